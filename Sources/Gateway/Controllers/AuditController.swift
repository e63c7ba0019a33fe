import Core
import Hummingbird

/// `/v1/admin/audit`: what admins did.
struct AuditController: Sendable {
    let gateway: Gateway

    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.get("/v1/admin/audit", use: self.list)
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let page = try AuditQuery(
            admin: query.identifier("admin"), action: query.value("action"), resource: query["resource"],
            since: query.time("since"), until: query.time("until"), before: query.identifier("before"),
            after: query.identifier("after"), limit: limit + 1)
        let isAscending = page.after != nil && page.before == nil
        return try await self.gateway.read(context) { store, _ in
            let entries = try store.auditEntries(page)
            let admins = try store.usersByID(entries.map(\.admin))
            return try Answer(
                page: entries, limit: limit, request: request, next: isAscending ? "after" : "before",
                key: \.id.text, payload: { AuditEntryPayload($0, admin: admins[$0.admin]) })
        }
    }
}
