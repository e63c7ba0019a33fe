import Core
import HTTPTypes
import Hub
import Hummingbird

/// What a request for events asks for, on any wire; not yet checked against the store.
struct EventRequest: Sendable {
    /// The scope as the path (or, for a WebSocket, the query) names it.
    enum Scope: Sendable {
        case user
        case room(RoomReference)
        case call(CallID)
    }

    let scope: Scope
    let types: [EventFilter.TypePattern]?
    let rooms: [RoomReference]
    /// `nil`: no `after`.
    let start: StartPosition

    /// - throws: ``Problem`` `validation-failed` or `invalid-cursor`.
    init(_ request: Request, _ query: Query, scope: Scope) throws(Problem) {
        try self.init(query, lastEventID: request.headers[.lastEventID], scope: scope)
    }

    /// - parameter lastEventID: the field `Last-Event-ID`.
    /// - throws: ``Problem`` as above.
    init(_ query: Query, lastEventID: String?, scope: Scope) throws(Problem) {
        self.scope = scope
        let typeTexts = query.all("types").flatMap { $0.split(separator: ",").map(String.init) }
        guard typeTexts.count <= Limits.typePatternsMax else {
            throw .invalid("types", "must be at most \(Limits.typePatternsMax) types")
        }
        var types: [EventFilter.TypePattern] = []
        for text in typeTexts {
            guard let pattern = EventFilter.TypePattern(text) else {
                throw .invalid("types", "has no type that matches \(text.prefix(64))")
            }
            types.append(pattern)
        }
        self.types = types.isEmpty ? nil : types
        self.rooms = query.all("room").map { RoomReference($0) }
        guard self.rooms.count <= Limits.roomFiltersMax else {
            throw .invalid("room", "must be given at most \(Limits.roomFiltersMax) times")
        }
        let asked = try StartPosition(query["after"])
        // What an EventSource last saw is newer than the URL that it was made with.
        self.start = if let lastEventID, !lastEventID.isEmpty { try StartPosition(lastEventID) } else { asked }
    }

    /// Whether an earlier stream is continued, as far as the request says.
    static func isResuming(_ request: Request) -> Bool { request.headers[.lastEventID]?.isEmpty == false }

    /// Finds the rooms and checks that all may be followed, in one snapshot.
    ///
    /// - throws: ``Problem`` `not-found` or `not-a-member`.
    func admission(
        of identity: Identity, transport: Transport, ticket: String? = nil, in store: any StoreReader
    ) throws -> Admission {
        let followed = { (room: RoomReference) in try store.access(room, as: identity.user, to: .readEvents).room.id }
        let scope: EventScope =
            switch self.scope {
            case .user: .user
            case .room(let room): .room(try followed(room))
            case .call(let call): .call(call)
            }
        let rooms = try self.rooms.isEmpty ? nil : Set(self.rooms.map(followed))
        return try store.admit(
            Subscription(
                user: identity.user.id, device: identity.device, scope: scope,
                filter: EventFilter(types: self.types, rooms: rooms), transport: transport,
                expiresAt: identity.expiresAt, ticket: ticket),
            from: self.start)
    }
}
