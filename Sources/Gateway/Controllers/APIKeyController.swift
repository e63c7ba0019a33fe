import Core
import Hummingbird

/// `/v1/users/{user}/api-keys`: credentials for scripts, of oneself only.
struct APIKeyController: Sendable {
    let gateway: Gateway

    func addRoutes(to signedIn: RouterGroup<GatewayContext>) {
        signedIn.post("/v1/users/:user/api-keys", use: self.create)
        signedIn.get("/v1/users/:user/api-keys", use: self.list)
        signedIn.delete("/v1/users/:user/api-keys/:key", use: self.delete)
    }

    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.userReference()
        let body = try await request.readBody().decode(NewAPIKeyRequest.self)
        let secret = SecretToken(.apiKey)
        let allVisible = self.gateway.settings.allUsersVisible
        return try await self.gateway.write(request, context) { store, acting in
            try store.requireSelf(reference, acting.user, allVisible: allVisible)
            let new = NewAPIKey(name: body.name, scopes: body.scopes, expiresAt: body.expiresAt)
            let key = try store.makeAPIKey(new, hash: secret.hash, as: acting)
            // No Location: a key is shown in the list alone.
            return try Answer(.created, APIKeyPayload(key, lastUsedAt: nil, secret: secret.text))
        }
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.userReference()
        let query = try Query(request)
        let limit = try query.pageLimit()
        let after = try query.identifier("after", as: APIKeyID.self)
        let allVisible = self.gateway.settings.allUsersVisible
        return try await self.gateway.read(context) { store, user in
            try store.requireSelf(reference, user, allVisible: allVisible)
            let views = try store.apiKeyViews(of: user.id).filter { view in after.map { view.key.id > $0 } ?? true }
            return try Answer(page: views, limit: limit, request: request, key: \.key.id.text) {
                APIKeyPayload($0.key, lastUsedAt: $0.lastUsedAt)
            }
        }
    }

    @Sendable private func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.userReference()
        let id = try context.identifier("key", as: APIKeyID.self)
        let allVisible = self.gateway.settings.allUsersVisible
        return try await self.gateway.write(request, context) { store, acting in
            try store.requireSelf(reference, acting.user, allVisible: allVisible)
            try store.deleteAPIKey(id, as: acting)
            return .noContent
        }
    }
}
