import Core
import HTTPTypes
import Hub
import Hummingbird
import WebSocketWire

/// `GET /ws/{room}`: the seed's room protocol. Its frames are another wire of the same log, and what its clients say
/// goes through the same operations as everybody's.
struct RoomSocketController: Sendable {
    let gateway: Gateway

    func addRoutes(to open: RouterGroup<GatewayContext>) {
        // It also takes a ticket, a resume token or a guest's name, so it authenticates by itself.
        open.get("/ws/:room", use: self.open)
    }

    /// How somebody comes.
    private enum Visitor: Sendable {
        case known(Identity)
        /// With the token by which they were here before.
        case back(Identity, token: String)
        case guest(name: String, color: String?)
    }

    /// Who came, after the write that let them in.
    private struct Entrant: Sendable {
        let room: RoomID
        let user: UserID
        let device: DeviceID
        let expiresAt: Timestamp?
        /// Of an API key; see ``Identity/granted``.
        let granted: Set<Permission>?
    }

    @Sendable private func open(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        let query = try Query(request)
        let start = try StartPosition(query["after"])
        let label = try request.deviceLabel()
        if let color = query["color"], !User.isValid(color: color) { throw Problem.invalid("color", "must be #rrggbb") }
        let accept = try request.webSocketAccept()
        try self.gateway.requireAllowedOrigin(of: request)
        guard self.gateway.readiness.state != .draining else { throw Problem(.unavailable) }
        let visitor = try await self.visitor(request, query, context)
        let token = if case .back(_, let token) = visitor { token } else { SecretToken(.resume).text }
        let entrant = try await self.enter(visitor, reference, token, deviceLabel: label)
        self.gateway.hub.registry.asked(entrant.device)
        let subscription = Subscription(
            user: entrant.user, device: entrant.device, scope: .room(entrant.room),
            filter: EventFilter(types: RoomFrame.eventTypes), transport: .websocket, expiresAt: entrant.expiresAt,
            ticket: SecretToken.hash(of: token), readsFrames: true,
            isRelayed: request.headers[.comblangBridge] != nil)
        let (admission, scene, instance) = try await self.gateway.store.read { store in
            let admission = try store.admit(subscription, from: start)
            let isResuming = if case .resumed = admission.start { true } else { false }
            let scene = try store.scene(of: entrant.room, for: entrant.user, hasHistory: !isResuming)
            return (admission, scene, try store.instance())
        }
        let reservation = try self.gateway.hub.reserve(
            subscription, from: context.channel.remoteAddress, on: context.channel.eventLoop)
        let welcome = RoomFrame.welcome(RoomFrame.Welcome(scene, admission, resumeToken: token))
        var response = try await EventStream(
            gateway: self.gateway, admission: admission, reservation: reservation, wire: .room,
            channel: context.channel, isPadded: false
        ).webSocketResponse(
            accept: accept,
            room: RoomSession.Place(
                gateway: self.gateway, room: entrant.room, welcome: welcome, granted: entrant.granted))
        response.headers[.comblangInstance] = instance
        return response
    }

    private func visitor(_ request: Request, _ query: Query, _ context: GatewayContext) async throws -> Visitor {
        let visitor = try await self.provenVisitor(request, query, context)
        switch visitor {
        case .known(let identity), .back(let identity, _):
            try identity.require(.readEvents)
            try self.gateway.count(.events, of: .user(identity.user.id), context)
        case .guest:
            // Signing up by another door.
            switch self.gateway.signIn.registration {
            case .open: try self.gateway.count(.signUps, ofClientOf: request, context)
            case .invite: throw Problem(.inviteRequired)
            case .closed: throw Problem(.registrationClosed)
            }
        }
        return visitor
    }

    private func provenVisitor(
        _ request: Request, _ query: Query, _ context: GatewayContext
    ) async throws -> Visitor {
        if request.bearerToken != nil { return .known(try await self.gateway.identity(request, context)) }
        let authenticator = self.gateway.authenticator
        let label = try request.deviceLabel()
        return try await self.gateway.countingRefusals(request, context) {
            if let token = query["resume"] {
                return .back(try await authenticator.identity(resuming: token), token: token)
            }
            if let ticket = query["ticket"] {
                let opened = try await authenticator.identity(ticket: ticket, deviceLabel: label, for: .webSocket)
                return .known(opened.identity)
            }
            guard let name = query["username"] else { throw Problem(.unauthorized) }
            guard self.gateway.settings.roomGuestsAllowed else {
                throw Problem(.unauthorized, "This server takes no guests: sign in and use a ticket")
            }
            return .guest(name: name, color: query["color"])
        }
    }

    /// Lets somebody in, in one write: a guest who may not come was never made.
    private func enter(
        _ visitor: Visitor, _ reference: RoomReference, _ token: String, deviceLabel: String?
    ) async throws -> Entrant {
        let (now, ids, hash) = (self.gateway.time.now, self.gateway.ids, SecretToken.hash(of: token))
        return try await self.gateway.store.write { store in
            let user: User
            let device: DeviceID
            var expiresAt: Timestamp?
            var granted: Set<Permission>?
            switch visitor {
            case .known(let identity):
                (user, device, expiresAt) = (identity.user, identity.device, identity.expiresAt)
                granted = identity.granted
            case .back(let identity, _):
                (user, device, granted) = (identity.user, identity.device, identity.granted)
                // A guest of this protocol has nothing but the connection to be renewed by.
                expiresAt = identity.user.kind == .guest ? nil : identity.expiresAt
            case .guest(let name, let color):
                let (guest, session) = try store.signUpVisitor(name, color: color, now: now, ids: ids)
                (user, device) = (guest, DeviceID(session: session.id, label: deviceLabel))
            }
            let acting = Acting(user: user, device: device, now: now, ids: ids)
            let room = try store.enterRoom(
                reference, mayJoin: granted?.contains(.joinRoom) ?? true, as: acting)
            if case .back = visitor {
                // The token goes on as it is.
            } else {
                try store.makeResumeToken(hash: hash, user: user.id, device: device, now: now)
            }
            return Entrant(
                room: room.id, user: user.id, device: device, expiresAt: expiresAt, granted: granted)
        }
    }
}

extension RoomFrame.Welcome {
    fileprivate init(_ scene: RoomScene, _ admission: Admission, resumeToken: String) {
        self.init(
            person: RoomFrame.Person(scene.user), users: scene.present.map { RoomFrame.Person($0) },
            history: scene.history.map { RoomFrame.Message($0.message, by: $0.user) },
            cursor: Cursor(epoch: admission.bounds.epoch, seq: admission.position).description,
            resumeToken: resumeToken)
    }
}

extension StartPosition {
    /// - parameter text: what `after` says; `nil` for none.
    /// - throws: ``Problem`` `invalid-cursor`.
    init(_ text: String?) throws(Problem) {
        switch text {
        case nil: self = .tail
        case "earliest": self = .earliest
        case .some(let text):
            guard let cursor = Cursor(text) else { throw Problem(.invalidCursor) }
            self = .cursor(cursor)
        }
    }
}

extension Gateway {
    /// A browser that is sent here by a page of another origin must be one of those that may call; others say nothing
    /// of an origin. CORS does not apply to WebSockets.
    ///
    /// - throws: ``Problem`` `forbidden`.
    func requireAllowedOrigin(of request: Request) throws(Problem) {
        guard let origin = request.headers[.origin], let allowed = self.settings.allowedOrigins,
            !allowed.contains(origin), origin.components != request.head.authority
        else { return }
        throw Problem(.forbidden, "Pages of this origin may not connect")
    }
}

extension String {
    /// Host and port of an origin.
    fileprivate var components: String? { self.split(separator: "/").last.map(String.init) }
}

extension Request {
    /// The value for `Sec-WebSocket-Accept`.
    ///
    /// - throws: ``Problem`` `upgrade-required`, `invalid-request`.
    func webSocketAccept() throws(Problem) -> String {
        do {
            return try WebSocketHandshake.accept { name in
                HTTPField.Name(name).map { self.headers[values: $0] } ?? []
            }
        } catch {
            switch error {
            case .notAnUpgrade, .unsupportedVersion: throw Problem(.upgradeRequired)
            case .invalidKey: throw Problem(.invalidRequest, "Sec-WebSocket-Key must be the base64 of 16 bytes")
            }
        }
    }
}
