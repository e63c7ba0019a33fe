import Core
import Hummingbird

/// `/v1/admin/users` and `/v1/admin/rooms`: everybody and everything, for admins.
struct AdministrationController: Sendable {
    let gateway: Gateway

    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.get("/v1/admin/users", use: self.listUsers)
        admin.patch("/v1/admin/users/:user", use: self.changeUser)
        admin.get("/v1/admin/rooms", use: self.listRooms)
    }

    @Sendable private func listUsers(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let page = try UserQuery(
            search: query.search(), role: query.value("role"), kind: query.value("kind"),
            isSuspended: query.optionalFlag("suspended"), isOnline: query.optionalFlag("online"),
            after: query.identifier("after"), limit: limit + 1)
        let record = AuditRecord(
            .usersListed, query.given("q", "role", "kind", "suspended", "online", "after", "limit"))
        return try await self.gateway.readAudited(context, record) { store, _ in
            try Answer(page: store.users(page), limit: limit, request: request, key: \.user.id.text) {
                UserOverviewPayload($0)
            }
        }
    }

    @Sendable private func changeUser(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.userReference()
        let body = try await request.readBody().decode(UserRightsRequest.self)
        return try await self.gateway.write(request, context) { store, acting in
            let rights = UserRights(role: body.role, isSuspended: body.suspended)
            return try Answer(.ok, UserPayload(store.changeRights(reference, rights, as: acting)))
        }
    }

    @Sendable private func listRooms(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let page = try RoomQuery(
            search: query.search(), visibility: query.value("visibility"),
            isArchived: query.optionalFlag("archived"), after: query.identifier("after"), limit: limit + 1)
        let record = AuditRecord(.roomsListed, query.given("q", "visibility", "archived", "after", "limit"))
        return try await self.gateway.readAudited(context, record) { store, _ in
            try Answer(page: store.rooms(page), limit: limit, request: request, key: \.room.id.text) {
                RoomOverviewPayload($0)
            }
        }
    }
}
