import ComblangClient
import Foundation

/// One side of a call by the client that openapi-generator makes for swift6: `start` or `join`.
///
/// Everything that goes over the wire is a generated method's or model's. What is said and read is told in README.md.
@main
struct Caller {
    static let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:swft\r\n"
    static let payload: [String: JSONValue] = [
        "halo": .array([.int(1), .double(2.5), .bool(true), .null, .string("📞")])
    ]

    let configuration: ComblangClientAPIConfiguration
    let room: String
    let call: String
    let peer: String
    let log: EventLog

    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        let room = environment["ROOM"] ?? "lobby"
        let configuration = ComblangClientAPIConfiguration(basePath: environment["URL"] ?? "http://127.0.0.1:8080")
        let name = "swift-\(UInt32.random(in: .min ... .max))"
        let signedIn = try await IdentityAPI.createUser(
            newUser: NewUser(username: name), apiConfiguration: configuration)
        configuration.customHeaders["Authorization"] = "Bearer \(signedIn.accessToken)"
        let me = try await IdentityAPI.updateUser(
            user: "me", userChange: UserChange(displayName: "Swift"), apiConfiguration: configuration)
        _ = try await RoomsAPI.putMember(room: room, user: "me", apiConfiguration: configuration)
        say("user", me.id)
        let caller =
            if CommandLine.arguments.dropFirst().first == "start" {
                try await Self.start(in: room, inviting: environment["INVITE"], configuration)
            } else {
                try await Self.join(in: room, configuration)
            }
        try await caller.connect()
        if environment["HANGS_UP"] != nil {
            _ = readLine()
            _ = try await CallsAPI.leaveCall(
                call: caller.call, leaveRequest: LeaveRequest(reason: "hang-up"), apiConfiguration: configuration)
        }
        // Both sides read the log to the call's end.
        _ = try await caller.log.next { $0.call?.type == .callEnded ? $0 : nil }
        try await caller.tell()
    }

    static func start(
        in room: String, inviting user: String?, _ configuration: ComblangClientAPIConfiguration
    ) async throws -> Caller {
        let created = try await CallsAPI.createCallWithRequestBuilder(
            room: room, newCall: NewCall(media: CallMedia(audio: true, video: true), invite: user.map { [$0] }),
            idempotencyKey: UUID().uuidString, apiConfiguration: configuration
        ).execute()
        let call = created.body.call.id
        let log = EventLog(ofRoom: room, from: created.cursor, configuration)
        await log.follow(call: call, from: created.cursor)
        say("calling", call)
        let offer = try await log.next { $0.signal(.offer) }
        let caller = Caller(configuration: configuration, room: room, call: call, peer: offer.from, log: log)
        try await caller.send(
            .typeAnswerRequest(AnswerRequest(to: offer.from, type: .answer, offer: offer.id, sdp: Self.sdp)))
        return caller
    }

    static func join(in room: String, _ configuration: ComblangClientAPIConfiguration) async throws -> Caller {
        let snapshot = try await CallsAPI.listCallsWithRequestBuilder(
            room: room, limit: 1, state: .ringing, apiConfiguration: configuration
        ).execute()
        say("waiting")
        let log = EventLog(ofRoom: room, from: snapshot.cursor, configuration)
        let call =
            if let open = snapshot.body.items.first {
                open.id
            } else {
                try await log.next { event -> String? in
                    // Somebody rings me, or invites everybody.
                    guard let event = event.call, event.type == .callRinging || event.data.ringingAt == nil else {
                        return nil
                    }
                    return event.call
                }
            }
        let joined = try await CallsAPI.joinCallWithRequestBuilder(
            call: call, joinRequest: JoinRequest(media: ParticipantMediaChange(audio: true)),
            apiConfiguration: configuration
        ).execute()
        guard let peer = joined.body.peers.first else { throw Failure("nobody is in the call") }
        await log.follow(call: call, from: joined.cursor)
        let caller = Caller(configuration: configuration, room: room, call: call, peer: peer.user, log: log)
        let offer = try await caller.send(
            .typeOfferRequest(OfferRequest(to: peer.user, type: .offer, sdp: Self.sdp)))
        say("joined", call)
        guard try await log.next({ $0.signal(.answer) }).offer == offer else {
            throw Failure("this answers another offer")
        }
        return caller
    }

    @discardableResult
    func send(_ signal: SignalRequest) async throws -> String {
        try await CallsAPI.sendSignal(
            call: self.call, signalRequest: signal, idempotencyKey: UUID().uuidString,
            apiConfiguration: self.configuration
        ).id
    }

    func connect() async throws {
        let ice = try await CallsAPI.getIceServers(call: self.call, apiConfiguration: self.configuration)
        guard ice.iceServers.first?.urls.first?.hasPrefix("stun:") == true else { throw Failure("no STUN server") }
        try await self.send(
            .typeCustomRequest(CustomRequest(to: self.peer, type: .custom, payload: .dictionary(Self.payload))))
        let candidate = RTCIceCandidateInit(
            candidate: "candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host", sdpMid: "0", sdpMLineIndex: 0,
            usernameFragment: "swft")
        try await self.send(
            .typeCandidatesRequest(
                CandidatesRequest(to: self.peer, type: .candidates, candidates: [candidate], end: true)))
        var received = try await self.log.next { $0.signal(.custom, .candidates) }
        while received.type == .custom {
            await self.log.keep(received.payload)
            received = try await self.log.next { $0.signal(.custom, .candidates) }
        }
        guard received.candidates?.first?.sdpMLineIndex == 0, received.end == true else {
            throw Failure("other candidates than were sent")
        }
        _ = try await CallsAPI.updateParticipant(
            call: self.call, participantChange: ParticipantChange(connection: .connected),
            apiConfiguration: self.configuration)
        try await CallsAPI.reportQuality(
            call: self.call,
            qualityReport: QualityReport(
                rttMs: 48.2, packetLoss: 0, localCandidateType: .host, remoteCandidateType: .host),
            apiConfiguration: self.configuration)
        say("connected")
    }

    /// What the models say of the call once it is over.
    func tell() async throws {
        let record = try await CallsAPI.getCall(call: self.call, apiConfiguration: self.configuration)
        let calls = try await CallsAPI.listOwnCalls(limit: 10, apiConfiguration: self.configuration).items
        guard let own = calls.first(where: { $0.id == self.call }), let answeredAt = record.answeredAt,
            let connectedAt = record.connectedAt, let endedAt = record.endedAt
        else { throw Failure("the record is not whole") }
        let badge = try await CallsAPI.markCallsSeen(
            callsSeenRequest: CallsSeenRequest(until: endedAt), apiConfiguration: self.configuration)
        let message = try await MessagesAPI.postMessage(
            room: self.room, newMessage: NewMessage(content: "Sampai jumpa", metadata: Self.payload),
            apiConfiguration: self.configuration)
        let history = try await MessagesAPI.listMessages(room: self.room, apiConfiguration: self.configuration).items
        let problem = try await self.refusal()
        let summary = Summary(
            call: record.id, state: record.state, endReason: record.endReason, endedBy: record.endedBy,
            participants: Dictionary(
                record.participants.map { ($0.user, $0.state) }, uniquingKeysWith: { first, _ in first }),
            missed: own.missed, connectedAfterAnswer: answeredAt <= connectedAt && connectedAt <= endedAt,
            unseen: badge.unseenCount, metadata: message.metadata, editedAt: message.editedAt,
            invitation: history.filter { $0.metadata?["call"] == .string(self.call) }.compactMap {
                $0.metadata?["action"]
            },
            problem: [.string(problem.type), .int(problem.status), problem.call.map { .string($0.id) } ?? .null],
            custom: await self.log.kept, seen: await self.log.seen, other: "unknownDefaultOpenApi")
        say("summary", String(decoding: try JSONEncoder().encode(summary), as: UTF8.self))
    }

    /// The problem that a call which has ended is refused with.
    private func refusal() async throws -> Problem {
        do {
            _ = try await CallsAPI.joinCall(call: self.call, apiConfiguration: self.configuration)
        } catch ErrorResponse.error(_, let body?, _, _) {
            return try self.configuration.codableHelper.decode(Problem.self, from: body).get()
        }
        throw Failure("it could be joined after its end")
    }
}

struct Summary: Encodable {
    let call: String
    let state: CallState
    let endReason: CallEndReason?
    let endedBy: String?
    let participants: [String: Participant.State]
    let missed: Bool
    let connectedAfterAnswer: Bool
    let unseen: Int
    let metadata: [String: JSONValue]?
    let editedAt: Date?
    let invitation: [JSONValue]
    let problem: [JSONValue]
    let custom: [JSONValue]
    let seen: [String: String]
    let other: String
}

struct Failure: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

func say(_ words: String...) {
    FileHandle.standardOutput.write(Data((words.joined(separator: " ") + "\n").utf8))
}
