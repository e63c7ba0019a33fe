import Core
import Hub
import TestSupport
import Testing

/// What is kept of how connections were: sums of reports, of whom, for how long, and how many.
struct CallQualityTests {
    private let store = MemoryStore()
    private let ids = IDSource.seeded(9)
    private let alice = User.fixture("alice")
    private let bob = User.fixture("bob")
    private let carol = User.fixture("carol")
    private let room = Room.fixture(createdBy: User.fixture("alice").id)

    private func acting(_ user: User, at now: Timestamp = .fixture, device: String? = nil) -> Acting {
        Acting(
            user: user, device: DeviceID(session: SessionID(known: "ses_\(user.displayName)"), label: device),
            now: now, ids: self.ids)
    }

    /// Alice's call, and Bob in it.
    private func call() async throws -> CallID {
        let (room, users) = (self.room, [self.alice, self.bob, self.carol])
        let (asAlice, asBob) = (self.acting(self.alice), self.acting(self.bob))
        return try await self.store.write { store in
            for user in users { try store.insert(user) }
            try store.insert(room)
            for user in users { try store.insert(Member.fixture(user.id, of: room.id)) }
            let new = NewCall(media: CallMedia(audio: true, video: true), leaveTokenHash: "a")
            let id = try store.createCall(in: .id(room.id), new, as: asAlice).call.id
            _ = try store.joinCall(id, CallJoining(leaveTokenHash: "b"), as: asBob)
            return id
        }
    }

    private func report(
        _ call: CallID, _ report: QualityReport, peer: UserReference? = nil, _ acting: Acting
    ) async throws {
        try await self.store.write { try $0.reportQuality(of: call, report, peer: peer, as: acting) }
    }

    private func kept(_ call: CallID) async throws -> [CallQuality] {
        try await self.store.read { try $0.qualities(of: call) }
    }

    private func refusal(_ body: () async throws -> Void) async -> Problem.Kind? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? Problem)?.kind
        }
    }

    @Test func reportsAreKeptAsTheLastTheWorstAndTheMean() async throws {
        let call = try await self.call()
        let acting = self.acting(self.bob)
        let before = try await self.store.read { try $0.logBounds().tail }
        try await self.report(
            call,
            QualityReport(
                metrics: [.rttMs: 40, .sendKbps: 900], localCandidateType: .relay, remoteCandidateType: .srflx,
                candidateProtocol: .udp, relayProtocol: .tcp), acting)
        try await self.report(call, QualityReport(metrics: [.rttMs: 200, .sendKbps: 300]), acting)
        let later = self.acting(self.bob, at: Timestamp.fixture.advanced(by: .seconds(9)))
        try await self.report(call, QualityReport(metrics: [.rttMs: 60], localCandidateType: .host), later)

        let kept = try await self.kept(call)
        let quality = try #require(kept.first)
        #expect(kept.count == 1)
        #expect(quality.metrics[.rttMs] == CallQuality.Summary(last: 60, worst: 200, mean: 100, count: 3))
        #expect(quality.metrics[.sendKbps] == CallQuality.Summary(last: 300, worst: 300, mean: 600, count: 2))
        #expect(quality.metrics.count == 2)
        #expect(quality.localCandidateType == .host && quality.remoteCandidateType == .srflx)
        #expect(quality.candidateProtocol == .udp && quality.relayProtocol == .tcp && !quality.isRelayed)
        #expect(quality.user == self.bob.id && quality.peer == self.alice.id && quality.reportCount == 3)
        #expect(quality.firstAt == .fixture && quality.lastAt == later.now)
        #expect(try await self.store.read { try $0.logBounds().tail } == before, "nobody is told")
    }

    @Test func thePeerIsKnownWhileThereIsOneAndNamedAmongSeveral() async throws {
        let call = try await self.call()
        let (asCarol, report) = (self.acting(self.carol), QualityReport(metrics: [.packetLoss: 0.5]))
        #expect(await self.refusal { try await self.report(call, report, asCarol) } == .notJoined)
        try await self.report(call, report, self.acting(self.alice))
        _ = try await self.store.write { try $0.joinCall(call, CallJoining(leaveTokenHash: "c"), as: asCarol) }
        try await self.report(call, report, peer: .username("bob"), asCarol)
        try await self.report(call, report, peer: .id(self.alice.id), asCarol)
        try await self.report(call, report, asCarol)
        #expect(try await self.kept(call).map(\.peer) == [self.bob.id, self.bob.id, self.alice.id, nil])
        for peer in [UserReference.me, .id(self.carol.id), .username("nobody"), .id(.fixture(5))] {
            let kind = await self.refusal { try await self.report(call, report, peer: peer, asCarol) }
            #expect(kind == .validationFailed)
        }
        #expect(await self.refusal { try await self.report(call, QualityReport(), asCarol) } == .validationFailed)
        let elsewhere = self.acting(self.carol, device: "tab-2")
        #expect(await self.refusal { try await self.report(call, report, elsewhere) } == .joinedElsewhere)
        #expect(try await self.kept(call).map(\.reportCount) == [1, 1, 1, 1])
    }

    @Test func aReloadedPageReportsOfItsNewLeg() async throws {
        let call = try await self.call()
        let (acting, report) = (self.acting(self.bob), QualityReport(metrics: [.jitterMs: 1]))
        try await self.report(call, report, acting)
        _ = try await self.store.write { try $0.joinCall(call, CallJoining(leaveTokenHash: "d"), as: acting) }
        try await self.report(call, report, acting)
        let (kept, rows) = (try await self.kept(call), try await self.store.read { try $0.callRows(call) })
        #expect(kept.map(\.leg) == rows?.legs.filter { $0.user == self.bob.id }.map(\.id))
    }

    @Test func theLastReportMayComeAMinuteLateAndNoLater() async throws {
        let call = try await self.call()
        let report = QualityReport(metrics: [.rttMs: 1])
        let (asBob, asAlice) = (self.acting(self.bob), self.acting(self.alice))
        let (store, carol) = (self.store, self.acting(self.carol))
        // A third one, so that the call goes on without Bob.
        try await store.write { store in
            _ = try store.joinCall(call, CallJoining(leaveTokenHash: "c"), as: carol)
            _ = try store.leaveCall(call, reason: nil, by: .user(asBob))
        }
        let at = { (seconds: Int) in Timestamp.fixture.advanced(by: .seconds(seconds)) }
        try await self.report(call, report, self.acting(self.bob, at: at(60)))
        let late = await self.refusal { try await self.report(call, report, self.acting(self.bob, at: at(61))) }
        #expect(late == .notJoined)

        try await store.write { _ = try $0.endCall(call, reason: nil, by: .user(asAlice)) }
        try await self.report(call, report, self.acting(self.alice, at: at(60)))
        let ended = await self.refusal { try await self.report(call, report, self.acting(self.alice, at: at(61))) }
        #expect(ended == .callEnded)
    }

    @Test func qualityOfABoundedNumberOfConnectionsIsKept() async throws {
        let call = try await self.call()
        let report = QualityReport(metrics: [.rttMs: 1])
        try await self.report(call, report, self.acting(self.alice))
        let alice = try #require(try await self.kept(call).first)
        let ids = self.ids
        try await self.store.write { store in
            for _ in 1..<Limits.qualityRowsPerCallMax {
                var other = alice
                other.peer = ids.next(at: .fixture)
                try store.save(other)
            }
        }
        let refused = await self.refusal { try await self.report(call, report, self.acting(self.bob)) }
        #expect(refused == .limitReached)
        // What is kept already goes on.
        try await self.report(call, report, self.acting(self.alice))
        #expect(try await self.kept(call).first?.reportCount == 2)
    }
}
