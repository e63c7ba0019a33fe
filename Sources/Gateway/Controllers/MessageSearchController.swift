import Core
import Hummingbird

/// `/v1/admin/messages`: what was said, for admins, where operators have allowed that.
struct MessageSearchController: Sendable {
    let gateway: Gateway

    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.get("/v1/admin/messages", use: self.search)
    }

    @Sendable private func search(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard self.gateway.settings.adminsSearchMessages else {
            throw Problem(.forbidden, "Searching chat is off on this server (setting adminMessageSearch)")
        }
        let query = try Query(request)
        let limit = try query.pageLimit()
        let page = try HistoryPage(
            before: query.identifier("before"), after: query.identifier("after"), search: query.search(),
            user: query.identifier("user"), limit: limit + 1)
        let room = try query.room()
        let isAscending = page.after != nil && page.before == nil
        let record = AuditRecord(
            .messagesSearched, query.given("q", "room", "user", "before", "after", "limit"))
        return try await self.gateway.readAudited(context, record) { store, admin in
            try Answer(
                page: store.searchMessages(page, in: room, as: admin), limit: limit, request: request,
                next: isAscending ? "after" : "before", key: \.message.id.text,
                text: { MessagePayload($0.message, $0.user).text })
        }
    }
}
