import Core
import Foundation
import Hummingbird

/// `/v1/webhooks`: where events are posted to; for admins.
struct WebhookController: Sendable {
    let gateway: Gateway

    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.post("/v1/webhooks", use: self.create)
        admin.get("/v1/webhooks", use: self.list)
        admin.get("/v1/webhooks/:webhook", use: self.show)
        admin.patch("/v1/webhooks/:webhook", use: self.change)
        admin.delete("/v1/webhooks/:webhook", use: self.delete)
        admin.post("/v1/webhooks/:webhook/secret", use: self.rotateSecret)
        admin.post("/v1/webhooks/:webhook/redeliver", use: self.redeliver)
        admin.get("/v1/webhooks/:webhook/attempts", use: self.listAttempts)
    }

    /// The answer that an `Idempotency-Key` keeps holds the secret, sealed by that key.
    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let bytes = try await request.readBody()
        let body = try bytes.decode(NewWebhookRequest.self)
        let url = try Self.checked(body.url)
        let secret = SecretToken.makeWebhookSecret()
        return try await self.gateway.write(request, context, body: bytes, creating: true) { store, acting in
            let change = WebhookChange(description: body.description, types: body.types)
            let webhook = try store.makeWebhook(
                change, url: url, room: body.room.map { RoomReference($0) }, secret: secret, as: acting)
            return try Answer(
                .created, WebhookPayload(webhook, epoch: store.logBounds().epoch, secret: secret),
                location: "/v1/webhooks/\(webhook.id)")
        }
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let after = try query.identifier("after", as: WebhookID.self)
        return try await self.gateway.read(context) { store, _ in
            let epoch = try store.logBounds().epoch
            let webhooks = try store.webhooks().filter { webhook in after.map { webhook.id > $0 } ?? true }
            return try Answer(page: webhooks, limit: limit, request: request, key: \.id.text) {
                WebhookPayload($0, epoch: epoch)
            }
        }
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("webhook", as: WebhookID.self)
        return try await self.gateway.read(context) { store, _ in
            try Answer(.ok, WebhookPayload(store.requireWebhook(id), epoch: store.logBounds().epoch))
        }
    }

    @Sendable private func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("webhook", as: WebhookID.self)
        let body = try await request.readBody().decode(WebhookChangeRequest.self)
        let change = WebhookChange(
            url: try body.url.map { try Self.checked($0) }, description: body.description, types: body.types,
            isEnabled: body.enabled)
        return try await self.gateway.write(request, context) { store, acting in
            try Answer(
                .ok, WebhookPayload(store.changeWebhook(id, change, as: acting), epoch: store.logBounds().epoch))
        }
    }

    @Sendable private func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("webhook", as: WebhookID.self)
        return try await self.gateway.write(request, context) { store, acting in
            try store.deleteWebhook(id, as: acting)
            return .noContent
        }
    }

    /// Takes an `Idempotency-Key`: a second secret after a lost answer would push out the one that the receiver has.
    @Sendable private func rotateSecret(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("webhook", as: WebhookID.self)
        let secret = SecretToken.makeWebhookSecret()
        return try await self.gateway.write(request, context, creating: true) { store, acting in
            let webhook = try store.rotateSecret(of: id, to: secret, as: acting)
            return try Answer(.ok, WebhookPayload(webhook, epoch: store.logBounds().epoch, secret: secret))
        }
    }

    @Sendable private func redeliver(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("webhook", as: WebhookID.self)
        let body = try await request.readBody().decode(RedeliveryRequest.self)
        guard let cursor = Cursor(body.after) else { throw Problem.invalid("after", "must be a cursor") }
        return try await self.gateway.write(request, context) { store, acting in
            try Answer(
                .ok, WebhookPayload(store.redeliver(id, after: cursor, as: acting), epoch: store.logBounds().epoch))
        }
    }

    @Sendable private func listAttempts(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("webhook", as: WebhookID.self)
        let query = try Query(request)
        let limit = try query.pageLimit()
        let before = try query["before"].map { text in
            guard let number = Int64(text) else { throw Problem.invalid("before", "must be the next of a page") }
            return number
        }
        return try await self.gateway.read(context) { store, _ in
            let epoch = try store.logBounds().epoch
            _ = try store.requireWebhook(id)
            return try Answer(
                page: store.webhookAttempts(of: id, before: before, limit: limit + 1), limit: limit, request: request,
                next: "before", key: { String($0.id) }, payload: { WebhookAttemptPayload($0.attempt, epoch: epoch) })
        }
    }

    /// An address of HTTP that names a host and keeps no credentials. Whether it may be connected to is decided when it
    /// is.
    ///
    /// - returns: the address with its scheme in lower case.
    /// - throws: ``Problem`` `validation-failed`.
    private static func checked(_ url: String) throws(Problem) -> String {
        let scheme = url.prefix { $0 != ":" }.lowercased()
        let url = scheme + url.dropFirst(scheme.count)
        guard url.utf8.count <= Limits.webhookURLBytesMax, let parts = URLComponents(string: url),
            parts.scheme == "https" || parts.scheme == "http", parts.host.map(Self.isPlain) == true, parts.user == nil,
            parts.password == nil, parts.fragment == nil, url.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            parts.port.map({ (1...65_535).contains($0) }) ?? true
        else {
            throw .invalid(
                "url",
                "must be like https://example.org/hook, without user, password or fragment, at most "
                    + "\(Limits.webhookURLBytesMax) bytes")
        }
        return url
    }

    /// A name of letters, digits, dots and hyphens, or an address: the same to whatever reads it.
    private static func isPlain(_ host: String) -> Bool {
        let name = host.withoutBrackets
        return IPAddress(name) != nil
            || (!name.isEmpty
                && name.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                })
    }
}
