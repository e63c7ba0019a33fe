import Core
import HTTPTypes
import Hub
import Hummingbird

/// Lets only signed-in users through, by `Authorization: Bearer`, as far as their keys reach and as often as they may.
struct AuthenticationMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let gateway: Gateway

    func handle(
        _ request: Request, context: GatewayContext, next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        let identity = try await self.gateway.identity(request, context)
        try self.gateway.authorize(identity, request, context)
        context.identity = identity
        if identity.user.role == .admin { context.client = self.gateway.clientAddress(request, context) }
        return try await next(request, context)
    }
}

extension Gateway {
    /// Who asks by token or key, and on which device, which thereby gave a sign of life. What it may is for
    /// ``authorize(_:_:_:)``.
    ///
    /// - throws: ``Problem`` `unauthorized`, `validation-failed`, `rate-limited` for who has been refused too often.
    func identity(_ request: Request, _ context: GatewayContext) async throws -> Identity {
        try await self.countingRefusals(request, context) {
            guard let token = request.bearerToken else { throw Problem(.unauthorized) }
            let identity = try await self.authenticator.identity(
                bearer: token, deviceLabel: try request.deviceLabel())
            self.hub.registry.asked(identity.device)
            return identity
        }
    }

    /// Counts attempts with credentials that are no good, by address: valid ones are never held up by them.
    ///
    /// - throws: what `attempt` throws, or ``Problem`` `rate-limited` instead.
    func countingRefusals<Value>(
        _ request: Request, _ context: GatewayContext, _ attempt: () async throws -> Value
    ) async throws -> Value {
        do {
            return try await attempt()
        } catch let problem as Problem where problem.kind == .unauthorized {
            try self.count(.anonymous, ofClientOf: request, context)
            throw problem
        }
    }

    /// Counts an attempt at a user's password, by name and address, until it proves right.
    ///
    /// - throws: what `attempt` throws; ``Problem`` `rate-limited` before it.
    func countingPasswords<Value>(
        of username: String, _ request: Request, _ context: GatewayContext, _ attempt: () async throws -> Value
    ) async throws -> Value {
        let address = self.clientAddress(request, context)
        if let verdict = self.limiter.takePassword(of: username, at: address) {
            context.rate.verdict = verdict
            try verdict.requireAllowed()
        }
        let value = try await attempt()
        self.limiter.passwordWasRight(of: username, at: address)
        return value
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
