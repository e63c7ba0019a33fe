import Core
import Hummingbird

/// `/v1/stream-tickets`: credentials for URLs, where `EventSource` and `WebSocket` cannot set headers.
struct StreamTicketController: Sendable {
    let gateway: Gateway

    func addRoutes(to signedIn: RouterGroup<GatewayContext>) {
        signedIn.post("/v1/stream-tickets", use: self.create)
    }

    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let token = SecretToken(.ticket)
        return try await self.gateway.write(request, context) { store, acting in
            let ticket = try store.makeStreamTicket(hash: token.hash, as: acting)
            let expiresAt = ticket.createdAt.advanced(by: Limits.ticketOpensWithin)
            return try Answer(.created, StreamTicketPayload(ticket: token.text, expiresAt: expiresAt))
        }
    }
}
