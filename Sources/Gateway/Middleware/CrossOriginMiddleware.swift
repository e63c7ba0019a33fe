import HTTPTypes
import Hummingbird

/// CORS on every answer, errors included. Own code, as Hummingbird's takes a list of origins only as literals.
struct CrossOriginMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    /// `nil`: all.
    let allowedOrigins: [String]?

    private static let exposed =
        "Event-Cursor, Link, Retry-After, X-Request-Id, Location, RateLimit, RateLimit-Policy"
    private static let allowedHeaders =
        "Accept, Authorization, Content-Type, Idempotency-Key, Comblang-Device, Last-Event-ID"
    private static let allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"

    func handle(
        _ request: Request, context: GatewayContext, next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin] else { return try await next(request, context) }
        let isPreflight = request.method == .options && request.headers[.accessControlRequestMethod] != nil
        // A preflight gets no further, so that it gets its id here.
        var response =
            isPreflight
            ? Response(status: .noContent, headers: [.requestID: context.requestID]) : try await next(request, context)
        for field in Self.fields(for: origin, allowedOrigins: self.allowedOrigins) {
            if isPreflight, field.name == .accessControlExposeHeaders { continue }
            response.headers[field.name] = field.value
        }
        if isPreflight, response.headers[.accessControlAllowOrigin] != nil {
            response.headers[.accessControlAllowMethods] = Self.allowedMethods
            response.headers[.accessControlAllowHeaders] = Self.allowedHeaders
            response.headers[.accessControlMaxAge] = "86400"
        }
        return response
    }

    /// What an answer that is no preflight's says to the browser; nothing to those that ask from no other origin.
    static func fields(for origin: String?, allowedOrigins: [String]?) -> HTTPFields {
        guard let origin else { return [:] }
        guard let allowedOrigins else {
            return [.accessControlAllowOrigin: "*", .accessControlExposeHeaders: Self.exposed]
        }
        guard allowedOrigins.contains(origin) else { return [.vary: "Origin"] }
        return [.vary: "Origin", .accessControlAllowOrigin: origin, .accessControlExposeHeaders: Self.exposed]
    }
}
