package import Core
import Foundation
package import Hummingbird
import Logging
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
    /// Whose address it is, behind trusted proxies; known of admins, for the audit log.
    package var client: IPAddress?
    /// What it was counted as; shared by all copies, so that whoever answers sees it.
    let rate = RateNote()

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
    /// What an API key lets it do, if the user may; `nil`: all that the user may.
    package let granted: Set<Permission>?

    package init(
        user: User, device: DeviceID, session: SessionID, expiresAt: Timestamp?, granted: Set<Permission>? = nil
    ) {
        self.user = user
        self.device = device
        self.session = session
        self.expiresAt = expiresAt
        self.granted = granted
    }

    /// Whether the credential reaches so far.
    package func reaches(_ permission: Permission) -> Bool { self.granted?.contains(permission) ?? true }

    /// - parameter permission: `nil` for what no key may do.
    /// - throws: ``Problem`` `insufficient-scope`.
    package func require(_ permission: Permission?) throws(Problem) {
        guard self.granted != nil else { return }
        guard let permission else { throw Problem(.insufficientScope, "API keys cannot do this: sign in") }
        guard !self.reaches(permission) else { return }
        let scopes = Scope.allCases.filter { Permission.granted(to: $0).contains(permission) }.map(\.rawValue)
        throw Problem(
            .insufficientScope,
            scopes.isEmpty
                ? "API keys cannot do this: sign in" : "This takes the scope \(scopes.joined(separator: " or "))")
    }
}
