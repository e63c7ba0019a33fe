import Core
import Hub
import Logging
import SQLiteStore
import TestSupport

/// The implementations that the same tests are for.
enum StoreKind: CaseIterable, Sendable {
    case sqlite, memory

    /// Runs `body` on a new, empty store.
    func run(_ body: (any EventStore) async throws -> Void) async throws {
        switch self {
        case .memory: try await body(MemoryStore())
        case .sqlite:
            let directory = try TemporaryDirectory()
            let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
            do {
                try await body(store)
            } catch {
                await store.close()
                throw error
            }
            await store.close()
        }
    }

    /// As ``run(_:)``, with alice (owner), bob (member) and carol (no member) and the room `lobby`.
    func runInLobby(_ body: (any EventStore) async throws -> Void) async throws {
        try await self.run { store in
            try await store.write { writer in
                for user in [User.alice, .bob, .carol] { try writer.insert(user) }
                try writer.insert(Room.lobby)
                try writer.insert(Member.fixture(User.alice.id, of: Room.lobby.id, role: .owner))
                try writer.insert(Member.fixture(User.bob.id, of: Room.lobby.id))
            }
            try await body(store)
        }
    }
}

extension Logger {
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

extension User {
    static let alice = User.fixture("alice", id: .fixture(1))
    static let bob = User.fixture("bob", id: .fixture(2))
    static let carol = User.fixture("carol", id: .fixture(3))
}

extension Room {
    static let lobby = Room.fixture("lobby", id: .fixture(1), createdBy: User.alice.id)
}

extension EventDraft {
    /// A message event for the lobby, with `data` as a JSON string member.
    static func chat(
        _ text: String, _ type: EventType = .messageCreated, message: MessageID? = nil, at time: Timestamp = .fixture
    ) -> EventDraft {
        EventDraft(
            type, to: [.room(Room.lobby.id)], room: Room.lobby.id, actor: User.alice.id, at: time,
            data: "{\"content\":\"\(text)\"}", message: message)
    }

    /// A signal for one device.
    static func signal(
        _ signal: SignalID, call: CallID, to device: DeviceID, data: String = "{}", at time: Timestamp = .fixture
    ) -> EventDraft {
        EventDraft(
            .signal, to: [.device(device)], room: Room.lobby.id, call: call, actor: User.alice.id, at: time, data: data,
            signal: signal)
    }
}

extension StoreWriter {
    /// Appends the event of a message and inserts the message with its seq.
    @discardableResult
    func post(
        _ content: String, id: Int, by user: UserID = User.alice.id, in room: RoomID = Room.lobby.id
    ) throws -> Message {
        var draft = EventDraft.chat(content, message: .fixture(id))
        draft.room = room
        draft.audiences = [.room(room)]
        let seq = try self.append(draft)
        let message = Message(
            id: .fixture(id), room: room, seq: seq, user: user, content: content, metadata: nil, createdAt: .fixture,
            origin: .rest)
        try self.insert(message)
        return message
    }
}

/// All of the log that has an audience here: everything that any of these users, rooms or devices may see.
func everything(
    _ reader: any StoreReader, user: UserID = User.alice.id, device: DeviceID = DeviceID(known: "ses_none"),
    rooms: [RoomID: Int64] = [Room.lobby.id: 0], after: Int64 = 0
) throws -> [Event] {
    try reader.events(
        after: after, through: .max, visibility: Visibility(user: user, device: device, rooms: rooms), scope: .user,
        filter: .everything, limit: .max, bytesMax: .max
    ).events
}
