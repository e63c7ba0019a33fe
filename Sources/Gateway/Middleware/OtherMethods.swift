import Core
import HTTPTypes
package import Hummingbird

/// The router, for requests with any method at all (RFC 9110, 15.5.6).
///
/// Hummingbird looks up path and method together, so it would answer 404 to a `PROPFIND` of a path that exists.
package struct AnyMethodResponder: HTTPResponder {
    /// Those that every path has an answer to.
    static let routed: Set<HTTPRequest.Method> = [
        .get, .head, .post, .put, .patch, .delete, .options, .trace, .connect,
    ]

    private let router: RouterResponder<GatewayContext>

    init(router: Router<GatewayContext>) { self.router = router.buildResponder() }

    package func respond(to request: Request, context: GatewayContext) async throws -> Response {
        guard !Self.routed.contains(request.method) else {
            return try await self.router.respond(to: request, context: context)
        }
        // No path has TRACE either, so its answer is the right one: 405 with `Allow`, or 404.
        var head = request.head
        head.method = .trace
        return try await self.router.respond(to: Request(head: head, body: request.body), context: context)
    }
}

extension Router where Context == GatewayContext {
    /// Gives every path an answer to the methods it does not have.
    func answerOtherMethods() {
        let paths = Dictionary(grouping: self.routes, by: \.path.description)
        for (path, routes) in paths.sorted(by: { $0.key < $1.key }) {
            var allowed = Set(routes.map(\.method))
            if allowed.contains(.get), !EventController.pathsWithoutHead.contains(path) { allowed.insert(.head) }
            var problem = Problem(.methodNotAllowed)
            problem.allow = allowed.map(\.rawValue).sorted()
            for method in AnyMethodResponder.routed where !allowed.contains(method) {
                self.on(RouterPath(path), method: method) { [problem] _, _ -> Response in throw problem }
            }
        }
    }
}
