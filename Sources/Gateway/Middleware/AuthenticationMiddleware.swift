import Core
import HTTPTypes
import Hub
import Hummingbird

/// Lets only signed-in users through, by `Authorization: Bearer`.
struct AuthenticationMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let gateway: Gateway

    func handle(
        _ request: Request, context: GatewayContext, next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let token = request.bearerToken else { throw Problem(.unauthorized) }
        var context = context
        context.identity = try await self.gateway.identity(bearer: token, of: request)
        return try await next(request, context)
    }
}

extension Gateway {
    /// Who asks, and on which device, which thereby gave a sign of life.
    ///
    /// - throws: ``Problem`` `unauthorized`, `validation-failed`.
    func identity(bearer token: String, of request: Request) async throws -> Identity {
        let identity = try await self.authenticator.identity(bearer: token, deviceLabel: try request.deviceLabel())
        self.hub.registry.asked(identity.device)
        return identity
    }
}

extension Request {
    /// The token of `Authorization: Bearer …`.
    var bearerToken: String? {
        guard let value = self.headers[.authorization] else { return nil }
        let parts = value.split(separator: " ")
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1])
    }

    /// What the client calls its device: the header `Comblang-Device`, else `device=`.
    ///
    /// - throws: ``Problem`` `validation-failed`.
    func deviceLabel() throws(Problem) -> String? {
        var label = self.headers[.comblangDevice]
        if label == nil { label = try Query(self)["device"] }
        guard let label else { return nil }
        guard DeviceID.isValid(label: label) else {
            throw .invalid("Comblang-Device", "must be 1 to 64 of A-Z a-z 0-9 _ -")
        }
        return label
    }
}
