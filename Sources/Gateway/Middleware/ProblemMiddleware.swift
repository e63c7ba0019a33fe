package import Core
import Foundation
import HTTPTypes
import Hub
import Hummingbird
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

/// The one place where errors become `application/problem+json` (RFC 9457), and where every answer gets its
/// `X-Request-Id`.
struct ProblemMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    func handle(
        _ request: Request, context: GatewayContext, next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = try Self.problem(for: error, request: request, context: context).response(
                instance: context.requestID)
        }
        response.headers[.requestID] = context.requestID
        if let verdict = context.rate.verdict { response.headers.set(verdict) }
        if context.channel.isMultiplexed {
            // HTTP/2 has no fields about the connection, and clients take one for an error (RFC 9113, 8.2.2).
            response.headers[.connection] = nil
            response.headers[.upgrade] = nil
        } else if request.headers[.upgrade] != nil, response.status != .switchingProtocols {
            // NIO's decoder reads nothing further once it saw `Upgrade` (curl --http2 sends one in clear text).
            response.headers[.connection] = "close"
        }
        return response
    }

    /// - throws: `error` itself where Hummingbird must see it: a request that could not be parsed.
    private static func problem(for error: any Error, request: Request, context: GatewayContext) throws -> Problem {
        switch error {
        case let problem as Problem:
            return problem
        case let error as any UnavailabilityError:
            context.logger.error(
                "store refused", metadata: ["request.id": "\(context.requestID)", "error": "\(error)"])
            return Problem(.unavailable)
        case let error as any HTTPResponseError:
            return Problem(status: error.status)
        case is CancellationError, is ChannelError, is HTTPParserError:
            throw error
        default:
            context.logger.error(
                "request failed",
                metadata: ["request.id": "\(context.requestID)", "error": "\(String(reflecting: error))"])
            return Problem(.internalError)
        }
    }
}

extension Problem {
    /// Hummingbird's own refusals.
    fileprivate init(status: HTTPResponse.Status) {
        switch status {
        case .notFound: self.init(.notFound)
        case .contentTooLarge: self.init(.bodyTooLarge)
        case .methodNotAllowed: self.init(.methodNotAllowed)
        case .unsupportedMediaType: self.init(.unsupportedMediaType)
        case .internalServerError: self.init(.internalError)
        default: self.init(.invalidRequest)
        }
    }

    /// The members of the body, as JSON.
    package func body(instance: String) -> JSONValue {
        var body = self.members
        body["type"] = .string("/problems/\(self.kind.rawValue)")
        body["title"] = .string(self.kind.title)
        body["status"] = .integer(Int64(self.kind.status))
        body["detail"] = self.detail.map { .string($0) }
        body["instance"] = .string(instance)
        if !self.errors.isEmpty {
            body["errors"] = .array(
                self.errors.map { .object(["field": .string($0.field), "message": .string($0.message)]) })
        }
        return .object(body)
    }

    func response(instance: String) throws -> Response {
        var headers: HTTPFields = [.contentType: "application/problem+json"]
        headers[.retryAfter] = self.retryAfterSeconds.map { String($0) }
        if !self.allow.isEmpty { headers[.allow] = self.allow.joined(separator: ", ") }
        switch self.kind {
        case .unauthorized: headers[.wwwAuthenticate] = "Bearer"
        case .upgradeRequired:
            headers[.upgrade] = "websocket"
            headers[.secWebSocketVersion] = "13"
        // What is left of the body is not worth reading.
        case .bodyTooLarge: headers[.connection] = "close"
        default: break
        }
        let data = try JSON.encode(self.body(instance: instance))
        return Response(
            status: .init(code: self.kind.status), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(data: data)))
    }
}
