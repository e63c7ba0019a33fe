package import Core
package import Hub
import Synchronization

/// The store that tests use where no file is wanted; it passes the same tests as the real one.
///
/// Its whole state is one value, so that a savepoint is a copy. Writes exclude one another; a read has the value as it
/// was when the read began.
package final class MemoryStore: EventStore {
    private struct Shared {
        var state = MemoryState()
        var followers: [@Sendable (CommittedChanges) -> Void] = []
    }

    private let shared = Mutex(Shared())

    package init() {}

    package func write<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        completion(
            Result {
                try self.shared.withLock { shared in
                    let writer = MemoryWriter(shared.state)
                    let value = try body(writer)
                    shared.state = writer.state
                    if !writer.changes.events.isEmpty || !writer.changes.rewritten.isEmpty {
                        for follower in shared.followers { follower(writer.changes) }
                    }
                    return value
                }
            })
    }

    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreReader) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        let state = self.shared.withLock { $0.state }
        completion(Result { try body(MemoryReader(state: state)) })
    }

    package func follow(_ consume: @escaping @Sendable (CommittedChanges) -> Void) async throws -> LogBounds {
        self.shared.withLock { shared in
            shared.followers.append(consume)
            return shared.state.bounds
        }
    }
}

/// What a database would refuse: a row that is there already, or a reference to one that is not.
package struct MemoryConstraintError: Error, CustomStringConvertible {
    package let description: String
}

/// All tables.
struct MemoryState: Sendable {
    struct LoggedEvent {
        var event: Event
        var message: MessageID?
        var signal: SignalID?
    }

    struct MemberKey: Hashable {
        var room: RoomID
        var user: UserID
    }

    var trimmedThrough: Int64 = 0
    var tail: Int64 = 0
    /// Ascending by seq.
    var events: [LoggedEvent] = []
    var users: [UserID: User] = [:]
    var sessions: [SessionID: Session] = [:]
    var refreshTokens: [String: RefreshToken] = [:]
    var tickets: [String: StreamTicket] = [:]
    var apiKeys: [APIKeyID: APIKey] = [:]
    var invites: [InviteID: Invite] = [:]
    var webhooks: [WebhookID: Webhook] = [:]
    /// Ascending by id.
    var webhookAttempts: [(id: Int64, webhook: WebhookID, attempt: WebhookAttempt)] = []
    var rooms: [RoomID: Room] = [:]
    var members: [MemberKey: Member] = [:]
    var messages: [MessageID: Message] = [:]
    var calls: [CallID: CallRows] = [:]
    var timelines: [CallID: [TimelineEntry]] = [:]
    /// In the order of their first reports.
    var qualities: [CallQuality] = []
    var records: [CallID: CallRecord] = [:]
    var callsSeen: [UserID: Timestamp] = [:]
    /// As stored; a call without one has ended.
    var deadlines: [CallID: Timestamp] = [:]
    /// Ascending by seq.
    var pendingSignals: [PendingSignal] = []
    var answers: [String: IdempotentAnswer] = [:]
    var bridging = MemoryBridges()
    var backups: [BackupID: Backup] = [:]
    /// In the order in which they were written.
    var audit: [AuditEntry] = []

    var bounds: LogBounds { LogBounds(epoch: "test", trimmedThrough: self.trimmedThrough, tail: self.tail) }
}
