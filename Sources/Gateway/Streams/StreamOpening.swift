import Core
import HTTPTypes
import Hub
import Hummingbird

/// What a request for an SSE or NDJSON stream asks for.
struct StreamOpening: Sendable {
    let events: EventRequest
    let wire: Wire
    let isPadded: Bool

    /// - throws: ``Problem`` `validation-failed`, `invalid-cursor`.
    init(_ request: Request, _ query: Query, scope: EventRequest.Scope) throws(Problem) {
        try self.init(
            query, accept: request.headers[.accept], lastEventID: request.headers[.lastEventID], scope: scope)
    }

    private init(
        _ query: Query, accept: String?, lastEventID: String?, scope: EventRequest.Scope
    ) throws(Problem) {
        self.wire = try Self.wire(query, AcceptField(accept))
        self.isPadded = try query.flag("pad")
        self.events = try EventRequest(query, lastEventID: lastEventID, scope: scope)
    }

    /// A request of the express lane.
    ///
    /// - throws: ``Problem`` as above, `not-found` for what is the router's: another path, a device or a ticket in the
    ///   query.
    init(_ head: ExpressHead) throws(Problem) {
        let query = try Query(text: head.query)
        guard query["device"] == nil, query["ticket"] == nil else { throw .notFound }
        let scope: EventRequest.Scope
        if head.path == "/v1/events/stream" {
            scope = .user
        } else if let segments = head.segmentsOfRoom, segments.count == 3, segments[1...] == ["events", "stream"] {
            scope = .room(RoomReference(String(segments[0])))
        } else {
            throw .notFound
        }
        try self.init(query, accept: head.accept, lastEventID: head.lastEventID, scope: scope)
    }

    private static func wire(_ query: Query, _ accept: AcceptField) throws(Problem) -> Wire {
        let isNamed = try query.flag("names", default: true)
        switch query["format"] {
        case nil where accept.prefers("application/x-ndjson", over: "text/event-stream"): return .ndjson
        case nil: return isNamed ? .sse : .sseUnnamed
        case "sse": return isNamed ? .sse : .sseUnnamed
        case "ndjson": return .ndjson
        case .some: throw .invalid("format", "must be sse or ndjson")
        }
    }
}
