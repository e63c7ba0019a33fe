import Core
import Hub
import Hummingbird

/// `/v1/admin/connections`: who reads at this moment, and how far they are.
struct ConnectionController: Sendable {
    let gateway: Gateway

    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.get("/v1/admin/connections", use: self.list)
        admin.delete("/v1/admin/connections/:connection", use: self.cut)
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let after = query["after"].map { self.gateway.hub.connectionID($0) }
        if case .some(nil) = after {
            throw Problem.invalid("after", "must be the next of a page since the server's last start")
        }
        let found = try await self.gateway.hub.connections(
            of: query.identifier("user"), by: query.value("transport"), after: after ?? nil,
            limit: limit + 1)
        let record = AuditRecord(.connectionsListed, query.given("user", "transport", "after", "limit"))
        return try await self.gateway.readAudited(context, record) { store, _ in
            let users = try store.usersByID(found.map(\.subscription.user))
            return try Answer(page: found, limit: limit, request: request, key: \.id.description) {
                ConnectionResponse($0, user: users[$0.subscription.user])
            }
        }
    }

    @Sendable private func cut(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let hub = self.gateway.hub
        guard let id = hub.connectionID(try context.segment("connection")), hub.isOpen(id) else {
            throw Problem.notFound
        }
        let response = try await self.gateway.write(request, context) { store, acting in
            try store.audit(AuditRecord(.connectionCut, of: id.description), as: acting)
            return .noContent
        }
        hub.cut(id)
        return response
    }
}
