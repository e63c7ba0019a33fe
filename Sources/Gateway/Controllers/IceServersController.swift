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
        let identity = try context.requireIdentity()
        var configuration = RTCConfigurationResponse(self.gateway.settings)
        if let call = try Query(request).identifier("call", as: CallID.self) {
            try await self.gateway.store.read { store in
                try store.requireJoined(call, as: identity.user, on: identity.device)
            }
            configuration = RTCConfigurationResponse(
                self.gateway.settings, for: identity.user.id, in: call, now: self.gateway.time.now)
        }
        var answer = try Answer(.ok, configuration)
        answer.headers[.cacheControl] = "no-store"
        return answer.response()
    }
}
