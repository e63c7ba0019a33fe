import Core
import Hub
import Hummingbird

/// `/v1/ice-servers`.
struct IceServersController: Sendable {
    let gateway: Gateway

    func addRoutes(to signedIn: RouterGroup<GatewayContext>) {
        signedIn.get("/v1/ice-servers", use: self.show)
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.requireIdentity().user
        if let call = try Query(request).identifier("call", as: CallID.self) {
            _ = try await self.gateway.store.read { try $0.call(call, as: user) }
        }
        return try Answer(.ok, RTCConfigurationResponse(self.gateway.settings)).response()
    }
}
