import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import TestSupport
import Testing

/// Every cause, by a call that fails of it.
struct CallDiagnosisTests {
    /// A call that fails; the path of its record.
    struct Failure: Sendable, CustomTestStringConvertible {
        let cause: CallCause
        let run: @Sendable (CallLobby) async throws -> String
        var testDescription: String { self.cause.rawValue }
    }

    @Test(arguments: failures)
    func failingCallIsToldInPlainLanguage(_ failure: Failure) async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await failure.run(lobby)
            // What was still on its way when the call ended is told of a moment later.
            try await server.turn(after: .milliseconds(500))
            let record = try await lobby.record(path)
            let diagnosis = try #require(record["diagnosis"])
            #expect(record["state"] == "ended")
            #expect(diagnosis["code"] == .string(failure.cause.rawValue), "\(record)")
            let summary = diagnosis["summary"]?.stringValue ?? ""
            #expect(summary.hasSuffix(".") && summary.count > 20)
            #expect((diagnosis["facts"]?.items.count ?? 0) >= 3)
            #expect((diagnosis["advice"]?.stringValue?.count ?? 0) > 20)
        }
    }

    @Test func everyCauseIsProvokedButTheUnknownOne() {
        let provoked = Set(Self.failures.map(\.cause))
        #expect(provoked == Set(CallCause.allCases).subtracting([.unknown]))
    }

    @Test func callThatWorkedHasNoDiagnosis() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call()
            #expect(try await lobby.record(path)["diagnosis"] == .null)
            try await lobby.answered(path)
            try await lobby.report(path, lobby.budi, "connected")
            _ = try await lobby.siti.post(path + "/leave")
            #expect(try await lobby.record(path)["diagnosis"] == .null)
        }
    }

    @Test func recordWithoutReasonsIsUnknownWithTheFacts() throws {
        var call = Call(
            id: .fixture(1), room: .fixture(1), initiator: .fixture(1), media: CallMedia(audio: true, video: true),
            ringTimeoutSeconds: 60, createdAt: .fixture)
        (call.state, call.endReason, call.endedAt) = (.ended, .rejected, .fixture)
        let rows = CallRows(call: call, participants: [Participant(call: call.id, user: .fixture(1), state: .left)])
        let details = CallDetails(
            record: CallRecord(rows, position: 1), rows: rows, timeline: [], qualities: [],
            names: [.fixture(1): "@siti"])
        let diagnosis = try #require(CallDiagnosis.of(details))
        #expect(diagnosis.code == .unknown)
        #expect(diagnosis.facts.first?.hasPrefix("@siti called at ") == true)
        #expect(diagnosis.summary.contains("rejected"))
    }

    // MARK: Calls that fail

    static let failures: [Failure] = ringing + negotiating + answered + intervening

    private static let ringing = [
        Failure(cause: .calleeOffline) { lobby in
            let path = try await lobby.call(inviting: ["@budi"], seconds: 10)
            try await lobby.server.turn(after: .seconds(10))
            return path
        },
        Failure(cause: .notAnswered) { lobby in
            let (budi, now) = (UserID(known: lobby.budi.id), lobby.server.clock.now)
            try await lobby.server.store.write { try $0.changePresence(of: budi, to: true, now: now) }
            let path = try await lobby.call(inviting: ["@budi"], seconds: 10)
            try await lobby.server.turn(after: .seconds(10))
            return path
        },
        Failure(cause: .calleeBusy) { lobby in
            let other = try await lobby.call(lobby.dewi)
            try await lobby.join(other, lobby.budi)
            let path = try await lobby.call(inviting: ["@budi"], seconds: 10)
            try await lobby.server.turn(after: .seconds(10))
            return path
        },
        Failure(cause: .declined) { lobby in
            let path = try await lobby.call(inviting: ["@budi"])
            _ = try await lobby.budi.post(path + "/reject", ["reason": "sedang rapat"])
            return path
        },
        Failure(cause: .callerGaveUp) { lobby in
            let path = try await lobby.call(inviting: ["@budi"])
            _ = try await lobby.siti.post(path + "/leave")
            return path
        },
        Failure(cause: .callerLost) { lobby in
            let path = try await lobby.call(inviting: ["@budi"], seconds: 300)
            for _ in 1...3 { try await lobby.server.turn(after: .seconds(60)) }
            return path
        },
        Failure(cause: .invitationExpired) { lobby in
            let path = try await lobby.call()
            try await lobby.server.turn(after: .seconds(3600))
            return path
        },
    ]

    private static let negotiating = [
        Failure(cause: .joinedWithoutOffer) { lobby in
            let path = try await lobby.call(inviting: ["@budi"])
            try await lobby.join(path, lobby.budi)
            try await lobby.server.turn(after: .seconds(60))
            return path
        },
        Failure(cause: .leftBeforeAnswer) { lobby in
            let path = try await lobby.call(inviting: ["@budi"])
            try await lobby.join(path, lobby.budi)
            _ = try await lobby.siti.post(path + "/leave")
            return path
        },
        Failure(cause: .offerNotDelivered) { lobby in
            let path = try await lobby.call(inviting: ["@budi"])
            try await lobby.join(path, lobby.budi)
            try await lobby.signal(path, lobby.budi, lobby.siti, ["type": "offer", "sdp": "v=0"])
            try await lobby.server.turn(after: .seconds(60))
            return path
        },
        Failure(cause: .offerNotAnswered) { lobby in
            let path = try await lobby.call(inviting: ["@budi"])
            try await lobby.join(path, lobby.budi)
            try await lobby.signal(path, lobby.budi, lobby.siti, ["type": "offer", "sdp": "v=0"])
            try await lobby.read(path, lobby.siti)
            try await lobby.server.turn(after: .seconds(60))
            return path
        },
        Failure(cause: .answerNotDelivered) { lobby in
            let path = try await lobby.call()
            try await lobby.join(path, lobby.budi)
            let offer = try await lobby.signal(path, lobby.budi, lobby.siti, ["type": "offer", "sdp": "v=0"])
            try await lobby.read(path, lobby.siti)
            let answer: [String: JSONValue] = ["type": "answer", "sdp": "v=0", "offer": .string(offer)]
            try await lobby.signal(path, lobby.siti, lobby.budi, answer)
            lobby.server.clock.advance(by: .seconds(20))
            _ = try await lobby.siti.post(path + "/leave")
            return path
        },
    ]

    /// Siti and Budi get as far as an answer and offer candidates of these types; then Siti hangs up.
    private static func neverConnected(
        _ cause: CallCause, siti: [String], budi: [String], encrypted: Bool = false
    ) -> Failure {
        Failure(cause: cause) { lobby in
            let path = try await lobby.call()
            try await lobby.answered(path, encrypted: encrypted)
            if !siti.isEmpty { try await lobby.candidates(path, lobby.siti, lobby.budi, siti) }
            if !budi.isEmpty { try await lobby.candidates(path, lobby.budi, lobby.siti, budi) }
            lobby.server.clock.advance(by: .seconds(35))
            _ = try await lobby.siti.post(path + "/leave")
            return path
        }
    }

    private static let answered = [
        neverConnected(.noCandidates, siti: ["host"], budi: []),
        neverConnected(.hostCandidatesOnly, siti: ["host"], budi: ["host", "host"]),
        neverConnected(.noRelayCandidates, siti: ["host", "srflx"], budi: ["host"]),
        neverConnected(.relayFailed, siti: ["host", "relay"], budi: ["host"]),
        neverConnected(.connectionNotReported, siti: [], budi: [], encrypted: true),
        Failure(cause: .candidatesDropped) { lobby in
            let path = try await lobby.call()
            try await lobby.answered(path)
            let batch = JSONValue.array(Array(repeating: ["candidate": "c"], count: Limits.candidatesPerGenerationMax))
            for _ in 1...2 {
                _ = try await lobby.siti.post(
                    path + "/signals", ["to": "@budi", "type": "candidates", "candidates": batch])
            }
            try await lobby.read(path, lobby.budi)
            _ = try await lobby.siti.post(path + "/leave")
            return path
        },
        Failure(cause: .connectionBroke) { lobby in
            let path = try await lobby.call()
            try await lobby.answered(path)
            for connection in ["connected", "failed"] {
                for person in [lobby.siti, lobby.budi] { try await lobby.report(path, person, connection) }
            }
            try await lobby.server.turn(after: .seconds(30))
            return path
        },
        Failure(cause: .deviceLost) { lobby in
            let path = try await lobby.call()
            try await lobby.answered(path)
            for _ in 1...5 {
                // Siti is there, and asks; her report is refused once the call has ended.
                _ = try await lobby.siti.patch(path + "/participants/me", ["connection": "connected"])
                try await lobby.server.turn(after: .seconds(30))
            }
            return path
        },
    ]

    private static let intervening = [
        Failure(cause: .participantRemoved) { lobby in
            let path = try await lobby.call()
            try await lobby.answered(path)
            _ = try await lobby.siti.delete("/v1/rooms/lobby/members/@budi")
            return path
        },
        Failure(cause: .roomArchived) { lobby in
            let path = try await lobby.call()
            _ = try await lobby.siti.delete("/v1/rooms/lobby")
            return path
        },
        Failure(cause: .endedByAdmin) { lobby in
            let path = try await lobby.call()
            _ = try await lobby.server.admin().post(path + "/end")
            return path
        },
        Failure(cause: .tooLong) { lobby in
            let path = try await lobby.call()
            try await lobby.answered(path)
            try await lobby.server.turn(after: .seconds(12 * 3600))
            return path
        },
    ]
}
