package import Core
import Foundation
package import Hummingbird
package import Logging
package import NIOCore

/// What one request carries through the middleware to its controller.
package struct GatewayContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// The connection (HTTP/1.1) or the stream (HTTP/2); streams are written to it directly.
    package let channel: any Channel
    /// Also `X-Request-Id`, `instance` of a problem and `request.id` in the log.
    package let requestID: String
    /// Who asks; set by ``AuthenticationMiddleware``.
    package var identity: Identity?

    package init(source: ApplicationRequestContextSource) {
        self.coreContext = CoreRequestContextStorage(source: source)
        self.channel = source.channel
        self.requestID = source.logger[metadataKey: "hb.request.id"].map { "\($0)" } ?? ""
    }

    /// The identity of a route behind ``AuthenticationMiddleware``.
    ///
    /// - throws: ``Problem`` `unauthorized` on a route that is not.
    package func requireIdentity() throws -> Identity {
        guard let identity else { throw Problem(.unauthorized) }
        return identity
    }

    /// A path segment by its name in the route, percent-decoded.
    ///
    /// - throws: ``Problem`` `not-found` if it is not UTF-8.
    package func segment(_ name: String) throws -> String {
        guard let text = self.parameters.get(name)?.removingPercentEncoding, !text.contains("\0") else {
            throw Problem.notFound
        }
        return text
    }

    /// A path segment that is an identifier; any other text names nothing.
    ///
    /// - throws: ``Problem`` `not-found`.
    package func identifier<ID: Identifier>(_ name: String, as type: ID.Type = ID.self) throws -> ID {
        guard let identifier = ID(try self.segment(name)) else { throw Problem.notFound }
        return identifier
    }
}

/// A user on a device, as proven by a token, a ticket or an API key.
package struct Identity: Sendable {
    package let user: User
    package let device: DeviceID
    package let session: SessionID
    /// When the credential ends, and with it the streams that it opened; `nil` for never.
    package let expiresAt: Timestamp?

    package init(user: User, device: DeviceID, session: SessionID, expiresAt: Timestamp?) {
        self.user = user
        self.device = device
        self.session = session
        self.expiresAt = expiresAt
    }
}
