import Core
import Hummingbird

/// Lets only admins through; behind ``AuthenticationMiddleware``.
struct AdminMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    func handle(
        _ request: Request, context: GatewayContext, next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        try context.requireIdentity().user.require(.administer)
        return try await next(request, context)
    }
}
