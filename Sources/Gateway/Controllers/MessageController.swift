import Core
import Foundation
import Hub
import Hummingbird

/// `/v1/rooms/{room}/messages`, `typing` and `read`.
struct MessageController: Sendable {
    let gateway: Gateway

    func addRoutes(to signedIn: RouterGroup<GatewayContext>) {
        signedIn.post("/v1/rooms/:room/messages", use: self.post)
        signedIn.get("/v1/rooms/:room/messages", use: self.list)
        signedIn.get("/v1/rooms/:room/messages/:message", use: self.show)
        signedIn.patch("/v1/rooms/:room/messages/:message", use: self.edit)
        signedIn.delete("/v1/rooms/:room/messages/:message", use: self.delete)
        signedIn.post("/v1/rooms/:room/typing", use: self.type)
        signedIn.put("/v1/rooms/:room/read", use: self.markRead)
    }

    @Sendable private func post(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        let bytes = try await request.readBody()
        let body = try bytes.decode(NewMessageRequest.self)
        return try await self.gateway.write(request, context, body: bytes, creating: true) { store, acting in
            try Self.post(body, in: reference, store, acting)
        }
    }

    /// The write of a posted message and its answer.
    ///
    /// - throws: what ``StoreWriter/postMessage(_:in:as:)`` throws.
    static func post(
        _ body: NewMessageRequest, in room: RoomReference, _ store: any StoreWriter, _ acting: Acting
    ) throws -> Answer {
        let new = NewMessage(content: body.content, metadata: body.metadata)
        let message = try store.postMessage(new, in: room, as: acting)
        return try Answer(.created, message, acting.user, location: true)
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        let query = try Query(request)
        let page = try HistoryPage(
            before: query.identifier("before"), after: query.identifier("after"), search: query["q"],
            user: query.identifier("user"), limit: query.pageLimit())
        return try await self.gateway.read(context) { store, user in
            var probe = page
            probe.limit += 1
            let found = try store.history(of: reference, probe, as: user)
            let isAscending = page.after != nil && page.before == nil
            return try Answer(
                page: found, limit: page.limit, request: request, next: isAscending ? "after" : "before",
                key: \.message.id.text, text: { MessagePayload($0.message, $0.user).text })
        }
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (room, id) = (try context.roomReference(), try context.identifier("message", as: MessageID.self))
        return try await self.gateway.read(context) { store, user in
            let (message, author) = try store.message(id, in: room, as: user)
            return try Answer(.ok, message, author)
        }
    }

    @Sendable private func edit(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (room, id) = (try context.roomReference(), try context.identifier("message", as: MessageID.self))
        let body = try await request.readBody().decode(MessageChangeRequest.self)
        return try await self.gateway.write(request, context) { store, acting in
            let change = MessageChange(content: body.content, metadata: body.metadata)
            let (message, author) = try store.editMessage(id, in: room, change, as: acting)
            return try Answer(.ok, message, author)
        }
    }

    @Sendable private func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (room, id) = (try context.roomReference(), try context.identifier("message", as: MessageID.self))
        return try await self.gateway.write(request, context) { store, acting in
            try store.deleteMessage(id, in: room, as: acting)
            return .noContent
        }
    }

    /// Not in the log, so nothing is written: it goes to those who read at this moment.
    @Sendable private func type(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        let user = try context.requireIdentity().user
        let event = try await self.gateway.store.read { try self.gateway.typing(in: reference, as: user, $0) }
        self.gateway.hub.publishEphemeral(event)
        return Answer.noContent.response()
    }

    @Sendable private func markRead(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        let body = try await request.readBody().decode(ReadRequest.self)
        return try await self.gateway.write(request, context) { store, acting in
            try store.markRead(body.message, in: reference, as: acting)
            return .noContent
        }
    }
}

extension Gateway {
    /// The event that tells a room that somebody types.
    ///
    /// - throws: what ``StoreReader/typing(in:as:)`` throws.
    func typing(in room: RoomReference, as user: User, _ store: any StoreReader) throws -> Event {
        let payload = try store.typing(in: room, as: user)
        return Event(
            seq: 0, type: .typing, audiences: [.room(payload.room)], room: payload.room, call: nil, actor: user.id,
            at: self.time.now, data: try JSON.text(payload))
    }
}

extension Answer {
    /// A message by its hand-written encoding.
    fileprivate init(_ status: HTTPResponse.Status, _ message: Message, _ author: User, location: Bool = false) throws {
        self.init(status: status, body: Data(MessagePayload(message, author).text.utf8))
        self.message = message.id
        if location { self.location = "/v1/rooms/\(message.room)/messages/\(message.id)" }
    }
}
