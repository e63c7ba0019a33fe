import HTTPTypes
import Hummingbird

/// CORS on every answer, errors included. Own code, as Hummingbird's takes a list of origins only as literals.
struct CrossOriginMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    /// `nil`: all.
    let allowedOrigins: [String]?

    private static let exposed =
        "Event-Cursor, Link, Retry-After, X-Request-Id, Location, RateLimit, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
    private static let allowedHeaders =
        "Accept, Authorization, Content-Type, Idempotency-Key, Comblang-Device, Last-Event-ID"
    private static let allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"

    func handle(
        _ request: Request, context: GatewayContext, next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin] else { return try await next(request, context) }
        let isPreflight = request.method == .options && request.headers[.accessControlRequestMethod] != nil
        var response = isPreflight ? Response(status: .noContent) : try await next(request, context)
        if let allowedOrigins {
            response.headers[.vary] = "Origin"
            guard allowedOrigins.contains(origin) else { return response }
            response.headers[.accessControlAllowOrigin] = origin
        } else {
            response.headers[.accessControlAllowOrigin] = "*"
        }
        if isPreflight {
            response.headers[.accessControlAllowMethods] = Self.allowedMethods
            response.headers[.accessControlAllowHeaders] = Self.allowedHeaders
            response.headers[.accessControlMaxAge] = "86400"
        } else {
            response.headers[.accessControlExposeHeaders] = Self.exposed
        }
        return response
    }
}
