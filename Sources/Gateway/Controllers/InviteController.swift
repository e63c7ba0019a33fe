import Core
import Hummingbird

/// `/v1/admin/invites`: codes that let people sign up.
struct InviteController: Sendable {
    let gateway: Gateway

    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.post("/v1/admin/invites", use: self.create)
        admin.get("/v1/admin/invites", use: self.list)
        admin.delete("/v1/admin/invites/:invite", use: self.delete)
    }

    /// No `Idempotency-Key`: an answer that is kept would keep the code.
    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.readBody().decodeIfPresent(NewInviteRequest.self)
        let code = SecretToken(.invite)
        return try await self.gateway.write(request, context) { store, acting in
            let new = NewInvite(note: body.note, usesMax: body.uses, expiresAt: body.expiresAt)
            let invite = try store.makeInvite(new, hash: code.hash, as: acting)
            return try Answer(.created, InvitePayload(invite, code: code.text))
        }
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let after = try query.identifier("after", as: InviteID.self)
        return try await self.gateway.read(context) { store, _ in
            try Answer(
                page: store.invites(after: after, limit: limit + 1), limit: limit, request: request, key: \.id.text
            ) { InvitePayload($0) }
        }
    }

    @Sendable private func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("invite", as: InviteID.self)
        return try await self.gateway.write(request, context) { store, acting in
            try store.deleteInvite(id, as: acting)
            return .noContent
        }
    }
}
