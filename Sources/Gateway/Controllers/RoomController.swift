import Core
import Hummingbird

/// `/v1/rooms`.
struct RoomController: Sendable {
    let gateway: Gateway

    func addRoutes(to signedIn: RouterGroup<GatewayContext>) {
        signedIn.post("/v1/rooms", use: self.create)
        signedIn.get("/v1/rooms", use: self.list)
        signedIn.get("/v1/rooms/:room", use: self.show)
        signedIn.patch("/v1/rooms/:room", use: self.change)
        signedIn.delete("/v1/rooms/:room", use: self.archive)
    }

    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let bytes = try await request.readBody()
        let body = try bytes.decode(NewRoomRequest.self)
        return try await self.gateway.write(request, context, body: bytes, creating: true) { store, acting in
            let new = NewRoom(name: body.name, title: body.title, visibility: body.visibility)
            let room = try store.createRoom(new, as: acting)
            return try Answer(
                .created, try store.payload(of: room, for: acting.user), location: "/v1/rooms/\(room.id)")
        }
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let after = try query.identifier("after", as: RoomID.self)
        return try await self.gateway.read(context) { store, user in
            let found = try store.roomViews(visibleTo: user.id, after: after, limit: limit + 1)
            return try Answer(page: found, limit: limit, request: request, key: \.room.id.text) { RoomPayload($0) }
        }
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        return try await self.gateway.read(context) { store, user in
            let room = try store.access(reference, as: user, to: .readRoom).room
            return try Answer(.ok, try store.payload(of: room, for: user))
        }
    }

    @Sendable private func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        let body = try await request.readBody().decode(RoomChangeRequest.self)
        return try await self.gateway.write(request, context) { store, acting in
            let change = RoomChange(name: body.name, title: body.title, isArchived: body.archived)
            let room = try store.changeRoom(reference, change, as: acting)
            return try Answer(.ok, try store.payload(of: room, for: acting.user))
        }
    }

    @Sendable private func archive(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        return try await self.gateway.write(request, context) { store, acting in
            _ = try store.changeRoom(reference, RoomChange(isArchived: true), as: acting)
            return .noContent
        }
    }
}

extension StoreReader {
    fileprivate func payload(of room: Room, for user: User) throws -> RoomPayload {
        try self.roomView(room.id, for: user.id).map { RoomPayload($0) } ?? RoomPayload(room)
    }
}
