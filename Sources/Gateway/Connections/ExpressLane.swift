import Core
import Hub
import NIOHTTP1

/// The few requests that come by the thousand: posting a message, polling again, opening a stream with a token.
///
/// They are answered on their event loop without a task of their own, and only in the case that all goes well. Whatever
/// else turns up (a token not seen before, a body that is no JSON, a refusal) is declined: the router gets the request
/// as if nothing had been, and tells the client what is wrong. So every rule is in one place, and this lane can only
/// ever be faster.
final class ExpressLane: Sendable {
    let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    /// The exchange that answers a request, if it is of this lane.
    func exchange(for head: HTTPRequestHead, on requests: RequestSwitch) -> (any ExpressExchange)? {
        switch head.method {
        case .GET:
            guard head.uri.utf8.count <= Self.uriBytesMax, head.uri.contains("/events/stream") else { return nil }
            guard let head = ExpressHead(head), let identity = self.identity(head, on: requests),
                identity.reaches(.readEvents)
            else { return nil }
            return ExpressStream(head, identity: identity, lane: self, requests: requests)
        case .POST:
            guard head.uri.hasSuffix("/messages"), let head = ExpressHead(head), head.query == nil,
                let segments = head.segmentsOfRoom, segments.count == 2, segments[1] == "messages",
                let length = head.contentLength, (0...Self.bodyBytesMax).contains(length),
                head.contentType?.isJSONType ?? true, let identity = self.identity(head, on: requests),
                identity.reaches(.postMessage)
            else { return nil }
            return ExpressPost(
                head, room: RoomReference(String(segments[0])), identity: identity, lane: self, requests: requests)
        default:
            return nil
        }
    }

    private static let uriBytesMax = 2048
    /// What takes long to read is not for an event loop: the worst 256 KiB of JSON need most of a second.
    private static let bodyBytesMax = 16 * 1024

    /// Who asks, as far as that is known without asking the database.
    func identity(_ head: ExpressHead, on requests: RequestSwitch) -> Identity? {
        guard let token = head.token, head.device.map(DeviceID.isValid(label:)) ?? true,
            let claims = requests.credentials.claims(in: token, self.gateway.authenticator.tokens)
        else { return nil }
        let identity = self.gateway.authenticator.knownIdentity(claims, deviceLabel: head.device)
        if let identity { self.gateway.hub.registry.asked(identity.device) }
        return identity
    }

    var isServing: Bool { self.gateway.readiness.state != .draining }
}

extension String {
    /// Whether a body of this media type is read as JSON; see ``Request/readBody(textAllowed:)``.
    fileprivate var isJSONType: Bool { self == "application/json" || self == "application/x-www-form-urlencoded" }
}
