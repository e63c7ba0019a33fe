package import Core
package import HTTPTypes
import Hummingbird

/// What a route takes: the permission that an API key needs for it, and what it is counted as.
package struct RouteRule: Sendable {
    package let permission: Permission
    /// `nil`: hanging up, which ``CallController`` counts when it changes nothing.
    package let rate: RateClass?

    init(_ permission: Permission, _ rate: RateClass?) {
        self.permission = permission
        self.rate = rate
    }

    /// The rule of a route that a user asks for; `nil` for one that has none, which is closed to keys and counted as a
    /// write.
    ///
    /// - parameter path: as it was given to the router: `/v1/rooms/{room}`.
    package static func rule(_ method: HTTPRequest.Method, _ path: String) -> RouteRule? {
        let isReading = method == .get || method == .head
        if path.hasPrefix("/v1/admin/") || path.hasPrefix("/v1/webhooks") {
            return isReading ? RouteRule(.inspect, .reads) : RouteRule(.administer, .writes)
        }
        return self.table["\(isReading ? "GET" : method.rawValue) \(path)"]
    }

    private static let table: [String: RouteRule] = [
        "GET /v1/users": .init(.readUsers, .reads),
        "GET /v1/users/{user}": .init(.readUsers, .reads),
        "PATCH /v1/users/{user}": .init(.changeProfile, .writes),
        "DELETE /v1/users/{user}": .init(.deleteProfile, .writes),
        "POST /v1/users/{user}/api-keys": .init(.manageKeys, .writes),
        "GET /v1/users/{user}/api-keys": .init(.manageKeys, .reads),
        "DELETE /v1/users/{user}/api-keys/{key}": .init(.manageKeys, .writes),
        "DELETE /v1/tokens/current": .init(.endSession, .writes),
        "POST /v1/stream-tickets": .init(.readEvents, .events),
        "POST /v1/rooms": .init(.createRoom, .writes),
        "GET /v1/rooms": .init(.readRoom, .reads),
        "GET /v1/rooms/{room}": .init(.readRoom, .reads),
        "PATCH /v1/rooms/{room}": .init(.changeRoom, .writes),
        "DELETE /v1/rooms/{room}": .init(.archiveRoom, .writes),
        "GET /v1/rooms/{room}/members": .init(.listMembers, .reads),
        "PUT /v1/rooms/{room}/members/{user}": .init(.joinRoom, .writes),
        "DELETE /v1/rooms/{room}/members/{user}": .init(.leaveRoom, .writes),
        "POST /v1/rooms/{room}/messages": .init(.postMessage, .messages),
        "GET /v1/rooms/{room}/messages": .init(.readMessages, .reads),
        "GET /v1/rooms/{room}/messages/{message}": .init(.readMessages, .reads),
        "PATCH /v1/rooms/{room}/messages/{message}": .init(.editOwnMessage, .writes),
        "DELETE /v1/rooms/{room}/messages/{message}": .init(.editOwnMessage, .writes),
        "POST /v1/rooms/{room}/typing": .init(.type, .writes),
        "PUT /v1/rooms/{room}/read": .init(.markRead, .writes),
        "GET /v1/events": .init(.readEvents, .events),
        "GET /v1/events/stream": .init(.readEvents, .events),
        "GET /v1/rooms/{room}/events": .init(.readEvents, .events),
        "GET /v1/rooms/{room}/events/stream": .init(.readEvents, .events),
        "GET /v1/calls/{call}/events": .init(.readEvents, .events),
        "GET /v1/calls/{call}/events/stream": .init(.readEvents, .events),
        "GET /v1/ws": .init(.readEvents, .events),
        "GET /ws/{room}": .init(.readEvents, .events),
        "POST /v1/rooms/{room}/calls": .init(.startCall, .writes),
        "GET /v1/rooms/{room}/calls": .init(.readCalls, .reads),
        "GET /v1/calls": .init(.readCalls, .reads),
        "PUT /v1/calls/seen": .init(.joinCall, .writes),
        "GET /v1/calls/{call}": .init(.readCalls, .reads),
        "POST /v1/calls/{call}/join": .init(.joinCall, .writes),
        "POST /v1/calls/{call}/invite": .init(.startCall, .writes),
        "POST /v1/calls/{call}/signals": .init(.joinCall, .signals),
        "POST /v1/calls/{call}/quality": .init(.joinCall, .signals),
        "POST /v1/calls/{call}/reject": .init(.joinCall, nil),
        "POST /v1/calls/{call}/leave": .init(.joinCall, nil),
        "POST /v1/calls/{call}/end": .init(.joinCall, nil),
        "PATCH /v1/calls/{call}/participants/me": .init(.joinCall, .signals),
        "GET /v1/ice-servers": .init(.joinCall, .reads),
    ]
}

extension Gateway {
    /// Lets an identity through to the route: its key reaches so far, and it has not asked too often.
    ///
    /// - throws: ``Problem`` `insufficient-scope`, `rate-limited`.
    func authorize(_ identity: Identity, _ request: Request, _ context: GatewayContext) throws(Problem) {
        let rule = RouteRule.rule(request.method, context.endpointPath ?? "")
        try identity.require(rule?.permission)
        guard let rule else { return try self.count(.writes, of: .user(identity.user.id), context) }
        if let rate = rule.rate { try self.count(rate, of: .user(identity.user.id), context) }
    }

    /// Counts a request; its answer tells what is left.
    ///
    /// - throws: ``Problem`` `rate-limited`.
    func count(_ rateClass: RateClass, of subject: RateLimiter.Subject, _ context: GatewayContext) throws(Problem) {
        guard let verdict = self.limiter.take(rateClass, of: subject) else { return }
        context.rate.verdict = verdict
        try verdict.requireAllowed()
    }

    /// As above, for whoever asks without valid credentials.
    ///
    /// - throws: ``Problem`` `rate-limited`.
    func count(_ rateClass: RateClass, ofClientOf request: Request, _ context: GatewayContext) throws(Problem) {
        guard let address = self.clientAddress(request, context) else { return }
        try self.count(rateClass, of: .address(address.client), context)
    }
}
