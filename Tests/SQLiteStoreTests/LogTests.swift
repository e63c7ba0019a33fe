import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Appending, redaction, deletion and retention, in every implementation.
@Suite struct LogTests {
    private static let call = CallID.fixture(1)
    private static let device = DeviceID(known: "ses_x.tab")

    @Test(arguments: StoreKind.allCases) func eventsComeBackAsAppendedAndSeqsIncrease(kind: StoreKind) async throws {
        try await kind.run { store in
            expect(try await store.read { try $0.logBounds().tail }, is: 0)
            let drafts = [
                EventDraft(
                    .presenceChanged, to: [.room(.fixture(1)), .room(.fixture(2)), .user(User.alice.id)],
                    actor: User.bob.id, at: .fixture, data: "{\"online\":true}"),
                EventDraft.signal(.fixture(1), call: Self.call, to: Self.device),
                EventDraft(.userChanged, to: [], at: .fixture, data: "{}"),
            ]
            let seqs = try await store.write { writer in
                #expect(writer.lastAppendedSeq == nil)
                let next = writer.nextSeq
                let seqs = try drafts.map { try writer.append($0) }
                #expect(seqs.first == next)
                #expect(writer.lastAppendedSeq == seqs.last)
                return seqs
            }
            #expect(seqs == seqs.sorted() && Set(seqs).count == 3)
            let seen = try await store.read {
                try everything($0, device: Self.device, rooms: [.fixture(2): 0, .fixture(1): 0])
            }
            // The last one has no audience: it is for servers only.
            expect(seen, is: zip(drafts, seqs).prefix(2).map { $0.event(seq: $1) })
            expect(try await store.read { try $0.logBounds().tail }, is: seqs.last)
            expect(try await store.write { $0.lastAppendedSeq }, is: nil)
        }
    }

    @Test(arguments: StoreKind.allCases) func redactionLeavesNoEarlierVersion(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let recorder = Recorder()
            _ = try await store.follow(recorder.record)
            let edited = try await store.write { writer in
                try writer.post("secret one", id: 1)
                try writer.post("other", id: 2)
                try writer.append(.chat("secret two", .messageEdited, message: .fixture(1)))
                return try writer.append(.chat("clean", .messageEdited, message: .fixture(1)))
            }
            try await store.write { try $0.redactEvents(of: .fixture(1), before: edited, data: "{\"redacted\":1}") }
            let data = try await store.read { try everything($0).map(\.data) }
            #expect(
                data == ["{\"redacted\":1}", "{\"content\":\"other\"}", "{\"redacted\":1}", "{\"content\":\"clean\"}"])
            #expect(recorder.changes.last?.rewritten == [1: "{\"redacted\":1}", 3: "{\"redacted\":1}"])
            #expect(recorder.changes.last?.events == [])
            #expect(recorder.changes.last?.tail == edited)
        }
    }

    @Test(arguments: StoreKind.allCases) func followersGetARedactedEventOfTheSameCommitAsItIsKept(
        kind: StoreKind
    ) async throws {
        try await kind.runInLobby { store in
            let recorder = Recorder()
            _ = try await store.follow(recorder.record)
            try await store.write { writer in
                try writer.post("secret", id: 1)
                try writer.append(.signal(.fixture(1), call: Self.call, to: Self.device))
                let seq = try writer.append(.chat("clean", .messageEdited, message: .fixture(1)))
                try writer.redactEvents(of: .fixture(1), before: seq, data: "{}")
                try writer.deleteEvents(of: [.fixture(1)])
            }
            #expect(recorder.changes.flatMap(\.events).map(\.data) == ["{}", "{\"content\":\"clean\"}"])
        }
    }

    @Test(arguments: StoreKind.allCases) func deletedSignalsAreGoneAndTheirSeqsNeverComeAgain(
        kind: StoreKind
    ) async throws {
        try await kind.run { store in
            let recorder = Recorder()
            _ = try await store.follow(recorder.record)
            let first = LegID.fixture(1)
            let second = LegID.fixture(2)
            try await store.write { writer in
                let data = { (leg: LegID, to: LegID) in "{\"leg\":\"\(leg)\",\"toLeg\":\"\(to)\"}" }
                for number in 1...3 {
                    try writer.append(.signal(.fixture(number), call: Self.call, to: Self.device))
                }
                try writer.append(
                    .signal(.fixture(4), call: Self.call, to: Self.device, data: data(first, second)))
                try writer.append(
                    .signal(.fixture(5), call: Self.call, to: Self.device, data: data(second, first)))
                try writer.append(
                    .signal(.fixture(6), call: Self.call, to: Self.device, data: data(second, second)))
                try writer.append(.signal(.fixture(7), call: .fixture(2), to: Self.device, data: data(first, first)))
                var notice = EventDraft.chat("call")
                notice.call = Self.call
                try writer.append(notice)
            }
            let kept = { () async throws in
                try await store.read { try everything($0, device: Self.device).map(\.seq) }
            }
            try await store.write { try $0.deleteEvents(of: [.fixture(1), .fixture(3), .fixture(99)]) }
            #expect(try await kept() == [2, 4, 5, 6, 7, 8])
            #expect(recorder.changes.last?.rewritten == [1: nil, 3: nil])
            try await store.write { try $0.deleteSignalEvents(of: Self.call, leg: first) }
            #expect(try await kept() == [2, 6, 7, 8])
            try await store.write { try $0.deleteSignalEvents(of: Self.call) }
            #expect(try await kept() == [7, 8])
            try await store.write { writer in
                let seq = try writer.append(.signal(.fixture(9), call: Self.call, to: Self.device))
                try writer.deleteEvents(of: [.fixture(9)])
                #expect(seq == 9)
            }
            expect(try await store.read { try $0.logBounds().tail }, is: 9)
            expect(try await store.write { try $0.append(.chat("next")) }, is: 10)
        }
    }

    @Test(arguments: StoreKind.allCases) func retentionTrimsByAgeAndCountAndRemembersHowFar(
        kind: StoreKind
    ) async throws {
        try await kind.run { store in
            let times = [0, 1, 2, 3, 4, 5].map { Timestamp.fixture.advanced(by: .seconds($0)) }
            try await store.write { writer in
                for time in times { try writer.append(.chat("x", at: time)) }
            }
            let bound = { (time: Timestamp, count: Int) async throws in
                try await store.write { try $0.trimBound(olderThan: time, countMax: count) }
            }
            #expect(try await bound(.fixture, 10) == 0)
            #expect(try await bound(times[2], 10) == 2)
            #expect(try await bound(times[2], 3) == 3)
            #expect(try await bound(times[5].advanced(by: .seconds(1)), 10) == 6)
            expect(try await store.write { try $0.trimEvents(through: 3, limit: 2) }, is: 2)
            expect(try await store.read { try $0.logBounds() }.trimmedThrough, is: 2)
            expect(try await store.write { try $0.trimEvents(through: 3, limit: 2) }, is: 1)
            expect(try await store.read { try $0.logBounds() }.trimmedThrough, is: 3)
            expect(try await store.write { try $0.trimEvents(through: 3, limit: 2) }, is: 0)
            expect(try await store.read { try everything($0).map(\.seq) }, is: [4, 5, 6])
            expect(try await store.write { try $0.trimEvents(through: 1000, limit: 100) }, is: 3)
            let bounds = try await store.read { try $0.logBounds() }
            #expect(bounds.trimmedThrough == 6 && bounds.tail == 6)
            #expect(bounds.resume(from: bounds.tailCursor) == .resumed(after: 6))
            expect(try await store.write { try $0.append(.chat("next")) }, is: 7)
        }
    }
}
