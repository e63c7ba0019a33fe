import Core
import Hummingbird

/// `/v1/tokens`: signing in, refreshing, signing out.
struct TokenController: Sendable {
    let gateway: Gateway

    func addRoutes(open: RouterGroup<GatewayContext>, signedIn: RouterGroup<GatewayContext>) {
        open.post("/v1/tokens", use: self.grant)
        signedIn.delete("/v1/tokens/current", use: self.revoke)
    }

    @Sendable private func grant(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.readBody().decode(TokenRequest.self)
        let signedIn: SignedInPayload
        switch body.grant {
        case .password:
            guard let username = body.username else { throw Problem.invalid("username", "is required") }
            guard let password = body.password else { throw Problem.invalid("password", "is required") }
            signedIn = try await self.gateway.countingPasswords(of: username, request, context) {
                try await self.gateway.signIn.signIn(username: username, password: password)
            }
        case .refresh:
            guard let token = body.refreshToken else { throw Problem.invalid("refreshToken", "is required") }
            signedIn = try await self.gateway.countingRefusals(request, context) {
                try await self.gateway.signIn.refresh(token)
            }
        }
        return try Answer(.ok, signedIn).response()
    }

    @Sendable private func revoke(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let session = try context.requireIdentity().session
        return try await self.gateway.write(request, context) { store, acting in
            if let session = try store.session(session) { try store.revoke(session, now: acting.now) }
            return .noContent
        }
    }
}
