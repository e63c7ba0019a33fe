import Core
import Hub
import Hummingbird

/// `/v1/rooms/{room}/calls` and `/v1/calls/{call}`.
struct CallController: Sendable {
    let gateway: Gateway

    private static let path = "/v1/calls/"

    /// - parameter open: for `leave` and `end`, which a leave token alone may ask for.
    func addRoutes(open: RouterGroup<GatewayContext>, signedIn: RouterGroup<GatewayContext>) {
        signedIn.post("/v1/rooms/:room/calls", use: self.create)
        signedIn.get("/v1/rooms/:room/calls", use: self.list)
        signedIn.get("/v1/calls/:call", use: self.show)
        signedIn.post("/v1/calls/:call/join", use: self.join)
        signedIn.post("/v1/calls/:call/invite", use: self.invite)
        signedIn.post("/v1/calls/:call/signals", use: self.signal)
        signedIn.post("/v1/calls/:call/reject", use: self.reject)
        signedIn.patch("/v1/calls/:call/participants/me", use: self.changeParticipant)
        signedIn.post("/v1/calls/:call/quality", use: self.reportQuality)
        open.post("/v1/calls/:call/leave", use: self.leave)
        open.post("/v1/calls/:call/end", use: self.end)
    }

    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let room = try context.roomReference()
        let bytes = try await request.readBody()
        let body = try bytes.decode(NewCallRequest.self)
        let leaveToken = SecretToken(.leave)
        let new = NewCall(
            media: body.media, invite: try UserReference.list(body.invite ?? [], field: "invite"),
            ringTimeoutSeconds: body.ringTimeoutSeconds ?? Limits.ringTimeoutSecondsDefault,
            leaveTokenHash: leaveToken.hash, transport: try self.transport(context),
            credentialsLifetime: self.gateway.settings.turn?.credentialsLifetime)
        let joinedMax = self.gateway.settings.joinedParticipantsMax
        let user = try context.requireIdentity().user.id
        return try await self.gateway.write(request, context, body: bytes, creating: true) { answer in
            // A repeated request gets the first one's call, which only the answer names.
            guard let call = answer.location.flatMap({ CallID(String($0.dropFirst(Self.path.count))) }) else { return }
            try self.addICEServers(for: user, in: call, to: &answer)
        } _: { store, acting in
            let call = try store.createCall(in: room, new, joinedMax: joinedMax, as: acting)
            return try Answer(
                .created, CreatedCallResponse(call: call, leaveToken: leaveToken.text),
                location: "\(Self.path)\(call.call.id)")
        }
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let room = try context.roomReference()
        let query = try Query(request)
        let state = try query.value("state", as: CallState.self)
        let before = try query.identifier("before", as: CallID.self)
        let limit = try query.pageLimit()
        return try await self.gateway.read(context) { store, user in
            let calls = try store.calls(in: room, state: state, before: before, limit: limit + 1, as: user)
            return try Answer(
                page: calls, limit: limit, request: request, next: "before", key: \.call.id.text, payload: { $0 })
        }
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("call", as: CallID.self)
        return try await self.gateway.read(context) { store, user in try Answer(.ok, store.call(id, as: user)) }
    }

    @Sendable private func join(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("call", as: CallID.self)
        let bytes = try await request.readBody()
        let body = try bytes.decodeIfPresent(JoinRequest.self)
        let leaveToken = SecretToken(.leave)
        let joining = CallJoining(
            media: body.media ?? .init(), holdsCandidates: body.holdCandidates ?? false,
            takesOver: body.takeover ?? false, leaveTokenHash: leaveToken.hash, transport: try self.transport(context),
            credentialsLifetime: self.gateway.settings.turn?.credentialsLifetime)
        let joinedMax = self.gateway.settings.joinedParticipantsMax
        let user = try context.requireIdentity().user.id
        return try await self.gateway.write(request, context, body: bytes, creating: true) { answer in
            try self.addICEServers(for: user, in: id, to: &answer)
        } _: { store, acting in
            let joined = try store.joinCall(id, joining, joinedMax: joinedMax, as: acting)
            return try Answer(
                .ok,
                JoinedCallResponse(
                    call: joined.call, peers: joined.peers.map(PeerPayload.init), leaveToken: leaveToken.text))
        }
    }

    @Sendable private func invite(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("call", as: CallID.self)
        let bytes = try await request.readBody()
        let users = try UserReference.list(bytes.decode(InviteRequest.self).users, field: "users")
        return try await self.gateway.write(request, context, body: bytes, creating: true) { store, acting in
            try Answer(.ok, store.inviteToCall(id, users, as: acting))
        }
    }

    @Sendable private func signal(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("call", as: CallID.self)
        let bytes = try await request.readBody()
        let body = try bytes.decode(SignalRequest.self)
        let peer = try UserReference(body.to, field: "to")
        let content = try body.content()
        let registry = self.gateway.hub.registry
        let transport = try self.transport(context)
        return try await self.gateway.write(request, context, body: bytes, creating: true) { store, acting in
            let receipt = try store.sendSignal(id, to: peer, content, as: acting.reading(by: transport))
            var readerCount = 0
            if let event = receipt.event, let device = receipt.device {
                readerCount = registry.readerCount(of: device, for: event)
            }
            var answer = try Answer(.accepted, SignalReceiptResponse(receipt.id, readerCount: readerCount))
            answer.refusal = receipt.refusal
            return answer
        }
    }

    @Sendable private func reject(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("call", as: CallID.self)
        let body = try await request.readBody().decodeIfPresent(ReasonRequest.self)
        let acting = self.gateway.acting(as: try context.requireIdentity())
        return try await self.urgently(request, context, as: acting.user.id) {
            try $0.rejectCall(id, reason: body.reason, as: acting)
        }
    }

    @Sendable private func changeParticipant(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("call", as: CallID.self)
        let body = try await request.readBody().decode(ParticipantChangeRequest.self)
        let transport = try self.transport(context)
        return try await self.gateway.write(request, context) { store, acting in
            let acting = acting.reading(by: transport)
            return try Answer(
                .ok, store.changeParticipant(id, media: body.media, connection: body.connection, as: acting))
        }
    }

    @Sendable private func reportQuality(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("call", as: CallID.self)
        let body = try await request.readBody().decode(QualityRequest.self)
        let peer = try body.peer.map { text throws(Problem) in try UserReference(text, field: "peer") }
        return try await self.gateway.write(request, context) { store, acting in
            try store.reportQuality(of: id, body.report, peer: peer, as: acting)
            return .noContent
        }
    }

    private func addICEServers(for user: UserID, in call: CallID, to answer: inout Answer) throws {
        try answer.add(
            "iceServers",
            RTCConfigurationResponse(self.gateway.settings, for: user, in: call, now: self.gateway.time.now))
    }

    /// How the asking device reads, for the record.
    private func transport(_ context: GatewayContext) throws -> Transport? {
        self.gateway.hub.registry.transport(of: try context.requireIdentity().device)
    }

    // MARK: Hanging up

    @Sendable private func leave(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try await self.hangUp(request, context) { store, call, reason, leaver in
            try store.leaveCall(call, reason: reason, by: leaver)
        }
    }

    @Sendable private func end(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try await self.hangUp(request, context) { store, call, reason, leaver in
            try store.endCall(call, reason: reason, by: leaver)
        }
    }

    /// By leave token, which needs no other credentials, or as any other request.
    private func hangUp(
        _ request: Request, _ context: GatewayContext,
        _ operation: @escaping @Sendable (any StoreWriter, CallID, String?, CallLeaver) throws -> CallPayload
    ) async throws -> Response {
        let body = try await request.readBody(textAllowed: true).decodeIfPresent(LeaveRequest.self)
        let id: CallID
        let leaver: CallLeaver
        var user: UserID?
        if let leaveToken = body.leaveToken {
            guard let named = CallID(try context.segment("call")) else { throw Problem(.unauthorized) }
            id = named
            leaver = .tokenBearer(
                hash: SecretToken.hash(of: leaveToken), now: self.gateway.time.now, ids: self.gateway.ids)
        } else {
            let identity = try await self.gateway.identity(request, context)
            try self.gateway.authorize(identity, request, context)
            user = identity.user.id
            id = try context.identifier("call", as: CallID.self)
            var known = context
            known.client = self.gateway.clientAddress(request, context)
            let transport = self.gateway.hub.registry.transport(of: identity.device)
            leaver = .user(self.gateway.acting(as: identity, for: known).reading(by: transport))
        }
        return try await self.urgently(request, context, as: user) { try operation($0, id, body.reason, leaver) }
    }

    /// Writes before all that waits to be written. What changes something is never one request too many; what does not
    /// is counted.
    ///
    /// - parameter user: `nil` for who shows a leave token alone.
    private func urgently(
        _ request: Request, _ context: GatewayContext, as user: UserID?,
        _ operation: @escaping @Sendable (any StoreWriter) throws -> CallPayload
    ) async throws -> Response {
        let count = { () throws(Problem) in
            if let user { return try self.gateway.count(.writes, of: .user(user), context) }
            try self.gateway.count(.anonymous, ofClientOf: request, context)
        }
        do {
            let answer = try await self.gateway.store.writeUrgently { store in
                var answer = try Answer(.ok, operation(store))
                if let seq = store.lastAppendedSeq {
                    answer.cursor = Cursor(epoch: try store.logBounds().epoch, seq: seq)
                }
                return answer
            }
            if answer.cursor == nil { try count() }
            return answer.response()
        } catch let problem as Problem where problem.kind != .rateLimited {
            try count()
            throw problem
        }
    }
}
