import Core
import Hub
import TestSupport
import Testing

private typealias World = HubWorld

/// Readers against a model, under random interleavings of commits, ticks, snapshots, full connections, slow database
/// reads, joinings, leavings and reconnects.
@Suite(.timeLimit(.minutes(5)))
struct HubRandomTests {
    /// Whoever reads, however often cut off, gets in order and once all that they may see, and nothing else.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func everyReaderGetsExactlyWhatIsTheirs(seed: UInt64) async throws {
        var run = try await RandomRun(seed: seed)
        for _ in 0..<400 { try await run.step() }
        try await run.finish()
        for complaint in run.complaints { Issue.record("seed \(seed): \(complaint)") }
    }
}

/// One client that follows the log, over any number of streams, by its cursor.
private struct Client {
    let user: User
    let label: String
    let scope: EventScope
    let filter: EventFilter
    /// Everything visible behind this seq is owed; `nil` before the first stream was ready.
    var startSeq: Int64?
    var cursor: Int64?
    var received: [Int64] = []
    /// Asked for, not begun: the snapshot grows old.
    var admission: Admission?
    var reader: HubWorld.Reader?
    /// How many of the present stream's frames were looked at.
    var framesSeen = 0
    /// The room of its scope was lost: nothing is owed any more.
    var isRevoked = false
}

/// What is true of the log and of who was in which room when.
private struct Truth {
    struct Stay {
        let room: RoomID
        let user: UserID
        let joinedSeq: Int64
        var leftSeq: Int64?
    }

    var events: [Int64: Event] = [:]
    var deleted: Set<Int64> = []
    var stays: [Stay] = []

    func wasMember(_ user: UserID, of room: RoomID, at seq: Int64) -> Bool {
        self.stays.contains {
            $0.user == user && $0.room == room && $0.joinedSeq <= seq && seq < $0.leftSeq ?? .max
        }
    }

    private func isFor(_ client: Client, _ event: Event, inRoom: (RoomID) -> Bool) -> Bool {
        event.audiences.contains { audience in
            switch audience {
            case .room(let room): inRoom(room)
            case .user(let user): user == client.user.id
            case .device(let device): device == HubWorld.device(of: client.user, client.label)
            }
        } && client.filter.passes(event, in: client.scope)
    }

    /// Whether the client could ever have been shown this.
    func allows(_ event: Event, to client: Client) -> Bool {
        self.isFor(client, event) { self.wasMember(client.user.id, of: $0, at: event.seq) }
    }

    /// Whether the client must have it in the end: by a membership that still lasts.
    func owes(_ event: Event, to client: Client) -> Bool {
        guard !client.isRevoked, let start = client.startSeq, event.seq > start, !self.deleted.contains(event.seq)
        else { return false }
        return self.isFor(client, event) { room in
            self.stays.contains {
                $0.user == client.user.id && $0.room == room && $0.leftSeq == nil && $0.joinedSeq <= event.seq
            }
        }
    }
}

private struct RandomRun {
    private let world: HubWorld
    private var generator: SeededGenerator
    private var truth = Truth()
    private var clients: [Client] = []
    private var signals: [(id: SignalID, seq: Int64)] = []
    private(set) var complaints: [String] = []

    private static let users = [World.alice, World.bob, World.carol]
    private static let rooms = [World.lobby, World.den]

    init(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        var settings = HubSettings()
        settings.recentEventsMax = Int.random(in: 2...30, using: &generator)
        settings.catchUpEventsMax = Int.random(in: 1...8, using: &generator)
        settings.catchUpBytesMax = Int.random(in: 100...2000, using: &generator)
        self.world = try await World(settings)
        self.generator = generator
        for index in 0..<8 {
            let room = Self.rooms[index % 2].id
            self.clients.append(
                Client(
                    user: Self.users[index % 3], label: "c\(index)", scope: index % 4 == 3 ? .room(room) : .user,
                    filter: index % 4 == 2 ? EventFilter(types: nil, rooms: [room]) : .everything))
        }
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self.generator) < percent }

    mutating func step() async throws {
        switch Int.random(in: 0..<100, using: &self.generator) {
        case 0..<40: try await self.write()
        case 40..<48: try await self.changeMembership()
        case 48..<51: try await self.deleteSignal()
        case 51..<66: try await self.world.tick(commits: Int.random(in: 1...6, using: &self.generator))
        case 66..<72: self.world.store.releaseReads(holdingLater: self.chance(70))
        default: try await self.actAsClient(Int.random(in: 0..<self.clients.count, using: &self.generator))
        }
        self.look()
    }

    // MARK: Writes

    private mutating func write() async throws {
        let user = Self.users[Int.random(in: 0..<3, using: &self.generator)]
        let room = Self.rooms[Int.random(in: 0..<2, using: &self.generator)]
        let draft: EventDraft
        switch Int.random(in: 0..<8, using: &self.generator) {
        case 0:
            draft = EventDraft(.readUpdated, to: [.user(user.id)], room: room.id, at: .fixture, data: "{}")
        case 1:
            let device = World.device(of: user, "c\(Int.random(in: 0..<8, using: &self.generator))")
            let id = SignalID.fixture(self.truth.events.count)
            draft = EventDraft(.signal, to: [.device(device)], room: room.id, at: .fixture, data: "{}", signal: id)
            let seq = try await self.append(draft)
            self.signals.append((id, seq))
            return
        case 2:
            draft = EventDraft(
                .presenceChanged, to: Self.rooms.map { .room($0.id) } + [.user(user.id)], at: .fixture, data: "{}")
        default:
            draft = EventDraft(.messageCreated, to: [.room(room.id)], room: room.id, at: .fixture, data: "{}")
        }
        try await self.append(draft)
    }

    @discardableResult
    private mutating func append(_ draft: EventDraft) async throws -> Int64 {
        let seq = try await self.world.append(draft)
        self.truth.events[seq] = draft.event(seq: seq)
        return seq
    }

    private mutating func changeMembership() async throws {
        let user = Self.users[Int.random(in: 0..<3, using: &self.generator)]
        let room = Self.rooms[Int.random(in: 0..<2, using: &self.generator)]
        let index = self.truth.stays.firstIndex { $0.user == user.id && $0.room == room.id && $0.leftSeq == nil }
        let seq: Int64
        if let index {
            seq = try await self.world.leave(user, room)
            self.truth.stays[index].leftSeq = seq
        } else {
            seq = try await self.world.join(user, room)
            self.truth.stays.append(Truth.Stay(room: room.id, user: user.id, joinedSeq: seq))
        }
        self.truth.events[seq] = Event(
            seq: seq, type: index == nil ? .memberJoined : .memberLeft, audiences: [.room(room.id), .user(user.id)],
            room: room.id, call: nil, actor: nil, at: .fixture, data: "{}")
    }

    private mutating func deleteSignal() async throws {
        guard let signal = self.signals.popLast() else { return }
        try await self.world.store.write { try $0.deleteEvents(of: [signal.id]) }
        self.truth.deleted.insert(signal.seq)
    }

    // MARK: Clients

    private mutating func actAsClient(_ index: Int) async throws {
        let client = self.clients[index]
        guard let reader = client.reader else {
            if client.admission == nil || self.chance(20) {
                try await self.admit(index)
            } else {
                try await self.begin(index)
            }
            return
        }
        switch Int.random(in: 0..<10, using: &self.generator) {
        case 0..<5:
            let window = self.chance(60) ? Int.random(in: 1...2000, using: &self.generator) : nil
            try await self.world.becomeWritable(reader, window: window)
        case 5..<8:
            reader.sink.update { $0.isWritable = false }
        default:
            try await self.disconnect(index)
        }
    }

    /// The client comes with its cursor, and for the first time with none or one of its choice.
    private mutating func admit(_ index: Int) async throws {
        let client = self.clients[index]
        guard !client.isRevoked else { return }
        let start: StartPosition =
            if let cursor = client.cursor { World.after(cursor) } else { self.chance(50) ? .earliest : .tail }
        do {
            self.clients[index].admission = try await self.world.admit(
                client.user, device: client.label, scope: client.scope, filter: client.filter, from: start)
        } catch let problem as Problem where problem == .notAMember {
            // A room's stream, of a room the user is not in.
            self.clients[index].admission = nil
            if client.startSeq != nil { self.clients[index].isRevoked = true }
        }
    }

    private mutating func begin(_ index: Int) async throws {
        guard let admission = self.clients[index].admission else { return }
        self.clients[index].admission = nil
        let window = self.chance(50) ? Int.random(in: 1...2000, using: &self.generator) : nil
        let reader = try await self.world.begin(admission, sink: FakeSink(window: window))
        self.clients[index].reader = reader
        self.clients[index].framesSeen = 0
    }

    private mutating func disconnect(_ index: Int) async throws {
        self.look()
        if let reader = self.clients[index].reader { try await self.world.close(reader) }
        self.clients[index].reader = nil
    }

    // MARK: Looking

    /// Takes in what the streams were sent since the last look.
    private mutating func look() {
        for index in self.clients.indices {
            guard let reader = self.clients[index].reader else { continue }
            let frames = reader.sink.frames
            for frame in frames[self.clients[index].framesSeen...] { self.take(frame, index, reader) }
            self.clients[index].framesSeen = frames.count
            if reader.sink.isFinished { self.clients[index].reader = nil }
        }
    }

    private mutating func take(_ frame: FakeSink.Frame, _ index: Int, _ reader: HubWorld.Reader) {
        let client = self.clients[index]
        guard let seq = frame.seq else { return self.complaints.append("a frame without a seq: \(frame)") }
        if seq < client.cursor ?? -1 { self.complaints.append("\(client.label): the cursor goes back to \(seq)") }
        self.clients[index].cursor = seq
        switch frame.type {
        case "stream.ready":
            if client.startSeq == nil { self.clients[index].startSeq = seq }
        case "stream.end":
            // Only a lost room may end a stream here, and it was lost behind the snapshot that admitted it.
            let snapshot = reader.admission.bounds.tail
            let hasLost = self.truth.stays.contains {
                client.scope == .room($0.room) && $0.user == client.user.id && $0.leftSeq ?? 0 > snapshot
            }
            if !hasLost { self.complaints.append("\(client.label): ended for nothing: \(frame.envelope)") }
            self.clients[index].isRevoked = true
        case "stream.gap":
            self.complaints.append("\(client.label): a gap")
        default:
            if seq <= client.received.last ?? -1 { self.complaints.append("\(client.label): \(seq) out of order") }
            self.clients[index].received.append(seq)
            guard let event = self.truth.events[seq], self.truth.allows(event, to: client) else {
                return self.complaints.append("\(client.label): \(seq) is not theirs")
            }
        }
    }

    private func missing(of client: Client) -> [Int64] {
        let received = Set(client.received)
        return self.truth.events.values.filter { self.truth.owes($0, to: client) && !received.contains($0.seq) }
            .map(\.seq).sorted()
    }

    /// All connections open up, and whoever is away comes back; then nothing may be missing.
    mutating func finish() async throws {
        self.world.store.releaseReads()
        try await self.world.tick()
        for index in self.clients.indices {
            for _ in 0..<3 where self.clients[index].reader == nil && !self.clients[index].isRevoked {
                try await self.admit(index)
                try await self.begin(index)
                self.look()
            }
            if let reader = self.clients[index].reader { try await self.world.becomeWritable(reader) }
        }
        for _ in 0..<2000 {
            self.world.store.releaseReads()
            try await self.world.tick()
            for client in self.clients {
                if let reader = client.reader, !reader.sink.isWritable { try await self.world.becomeWritable(reader) }
            }
            self.look()
            if self.clients.allSatisfy({ self.missing(of: $0).isEmpty }) { break }
            await Task.yield()
        }
        for client in self.clients {
            let missing = self.missing(of: client)
            if !missing.isEmpty { self.complaints.append("\(client.label) (\(client.scope)) misses \(missing)") }
        }
        if self.clients.allSatisfy({ $0.received.isEmpty }) { self.complaints.append("the test showed nothing") }
    }
}
