package import Core
import Foundation
package import Hub
package import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Delivers the log's events to all webhooks: each gets its own in the log's order, one after the other, and a receiver
/// that fails holds up nobody else.
///
/// What was delivered is written down after it was, so a crash in between delivers once more, under the same
/// `webhook-id`.
package final class WebhookService: Service {
    /// Events of the log that are looked at in one turn; then it is written down how far it went.
    private static let eventsMax = 100
    /// A turn ends after so long, so that little is delivered twice after a crash.
    private static let turnMax = Duration.seconds(1)
    /// Events that are none of a webhook's are passed over in memory; so many at once are written down.
    private static let passedOverMax: Int64 = 1000
    private static let pause = Duration.milliseconds(20)
    private static let listEvery = Duration.seconds(1)
    /// Between tries of a database that fails.
    private static let retryEvery = Duration.seconds(1)

    /// Wakes the service at commits, as long as there is any webhook: nobody else pays for a look.
    private final class CommitSignal: Sendable {
        let commits: AsyncStream<Void>
        private let continuation: AsyncStream<Void>.Continuation
        let isWanted = Atomic(false)

        init() { (self.commits, self.continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

        func committed() { if self.isWanted.load(ordering: .relaxed) { self.continuation.yield() } }
        func look() { self.continuation.yield() }
    }

    private let store: any EventStore
    private let networks: WebhookNetworks
    private let epoch: String
    private let time: any TimeSource
    private let logger: Logger
    private let signal = CommitSignal()
    /// Looks names up, which blocks for as long as name servers are silent: nobody else is to wait for that.
    private let lookups = NIOThreadPool(numberOfThreads: 4)
    private let state = Mutex(State())

    private struct State {
        /// Webhooks that have their turn at this moment.
        var busy: Set<WebhookID> = []
        /// How far a webhook is beyond what was written down, as of a revision.
        var passed: [WebhookID: (revision: Int64, position: Int64)] = [:]
    }

    /// A webhook whose turn it is.
    private struct Turn: Sendable {
        var webhook: Webhook
        /// As it was written down.
        let position: Int64
    }

    /// Begins to follow the store.
    ///
    /// - parameter epoch: the log's, for `webhook-id` and the event's cursor.
    /// - throws: the store's error.
    package init(
        store: any EventStore, epoch: String, networks: WebhookNetworks, time: any TimeSource, logger: Logger
    ) async throws {
        self.store = store
        self.epoch = epoch
        self.networks = networks
        self.time = time
        self.logger = logger
        _ = try await store.follow { [signal] _ in signal.committed() }
    }

    /// Delivers until the graceful shutdown.
    package func run() async throws {
        self.lookups.start()
        // Without waiting for those under way.
        defer { self.lookups.shutdownGracefully { _ in } }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask {
                    while !Task.isCancelled {
                        self.signal.look()
                        try? await Task.sleep(for: Self.listEvery)
                    }
                }
                for await _ in self.signal.commits {
                    if Task.isCancelled { break }
                    for turn in await self.due() {
                        group.addTask { await self.serve(turn) }
                    }
                    // Commits that follow one another share a look.
                    try? await Task.sleep(for: Self.pause)
                }
                group.cancelAll()
            }
        }
    }

    /// Webhooks that have something to do now and are idle; they are busy from now on.
    private func due() async -> [Turn] {
        let now = self.time.now
        do {
            let (webhooks, tail) = try await self.store.read { store in
                (try store.webhooks().filter(\.isActive), try store.logBounds().tail)
            }
            self.signal.isWanted.store(!webhooks.isEmpty, ordering: .relaxed)
            return self.state.withLock { state in
                let known = Set(webhooks.map(\.id))
                state.passed = state.passed.filter { known.contains($0.key) }
                let turns = webhooks.map { webhook in
                    var turn = Turn(webhook: webhook, position: webhook.position)
                    if let passed = state.passed[webhook.id], passed.revision == webhook.revision {
                        turn.webhook.position = max(webhook.position, passed.position)
                    }
                    return turn
                }
                let due = turns.filter { turn in
                    !state.busy.contains(turn.webhook.id) && turn.webhook.position < tail
                        && turn.webhook.nextAttemptAt.map { $0 <= now } ?? true
                }
                state.busy.formUnion(due.map(\.webhook.id))
                return due
            }
        } catch {
            self.logger.error("webhooks not read", metadata: ["error": "\(error)"])
            return []
        }
    }

    /// One turn: as many events as it takes a second to deliver, or until one fails.
    private func serve(_ turn: Turn) async {
        let id = turn.webhook.id
        defer {
            self.state.withLock { _ = $0.busy.remove(id) }
            self.signal.committed()
        }
        do {
            let events = try await self.store.read {
                try $0.loggedEvents(after: turn.webhook.position, limit: Self.eventsMax)
            }
            let (after, attempts) = await self.deliver(events, to: turn.webhook)
            self.state.withLock { $0.passed[id] = (after.revision, after.position) }
            guard !attempts.isEmpty || after.position - turn.position >= Self.passedOverMax else { return }
            guard let isRecorded = await self.record(after, attempts) else { return }
            // An admin has changed it meanwhile: it begins anew from there.
            if !isRecorded { self.state.withLock { $0.passed[id] = nil } }
            if isRecorded, !after.isActive {
                self.logger.warning(
                    "webhook disabled",
                    metadata: [
                        "webhook.id": "\(id)", "reason": "\(after.disabledReason?.rawValue ?? "")",
                        "error": "\(after.lastError ?? "")",
                    ])
            }
        } catch {
            self.logger.error("webhook not served", metadata: ["webhook.id": "\(id)", "error": "\(error)"])
            try? await Task.sleep(for: Self.retryEvery)
        }
    }

    /// Writes down what was delivered, however long that takes: until then the webhook is busy, as what it was sent
    /// would be sent again.
    ///
    /// - returns: whether it stands as ``StoreWriter/record(_:_:now:)`` found it; `nil` when the server stops before.
    private func record(_ webhook: Webhook, _ attempts: [WebhookAttempt]) async -> Bool? {
        while true {
            do {
                let (now, store) = (self.time.now, self.store)
                // Also when the server stops.
                return try await Task { try await store.write { try $0.record(webhook, attempts, now: now) } }.value
            } catch {
                self.logger.error(
                    "webhook not recorded", metadata: ["webhook.id": "\(webhook.id)", "error": "\(error)"])
                guard !Task.isCancelled else { return nil }
                try? await Task.sleep(for: Self.retryEvery)
            }
        }
    }

    /// Delivers those of the events that are the webhook's.
    ///
    /// - returns: the webhook as it is then, and every attempt.
    private func deliver(_ events: [Event], to webhook: Webhook) async -> (Webhook, [WebhookAttempt]) {
        var webhook = webhook
        var attempts: [WebhookAttempt] = []
        var sender: WebhookSender?
        let end = ContinuousClock.now.advanced(by: Self.turnMax)
        for event in events {
            guard !Task.isCancelled, ContinuousClock.now < end else { break }
            guard webhook.takes(event) else {
                webhook.position = event.seq
                continue
            }
            let at = self.time.now
            let start = ContinuousClock.now
            let (outcome, status) = await self.attempt(event, to: webhook, by: &sender, at: at)
            // The server stops: nobody knows what became of it.
            if Task.isCancelled, outcome != .delivered { break }
            var error: String?
            switch outcome {
            case .delivered: break
            case .gone: error = "gone"
            case .failed(let text, _): error = text
            }
            attempts.append(
                WebhookAttempt(
                    seq: event.seq, type: event.type.rawValue, number: webhook.attempts + 1, at: at,
                    milliseconds: start.duration(to: .now).milliseconds, status: status, error: error))
            webhook = WebhookSchedule.next(
                webhook, seq: event.seq, outcome, jitter: Double.random(in: 0...1), now: self.time.now)
            if outcome != .delivered { break }
        }
        await sender?.close()
        return (webhook, attempts)
    }

    /// - parameter sender: that of the turn; made by its first attempt.
    private func attempt(
        _ event: Event, to webhook: Webhook, by sender: inout WebhookSender?, at now: Timestamp
    ) async -> (WebhookSchedule.Outcome, status: Int?) {
        // No full stop, which separates what is signed.
        let id = "evt_\(self.epoch)_\(event.seq)"
        let seconds = now.milliseconds / 1000
        let body = Data(event.webhookBody(epoch: self.epoch).utf8)
        let signature = WebhookSignature.field(
            id: id, timestamp: seconds, body: body, secrets: webhook.secrets(at: now))
        do throws(WebhookSender.Failure) {
            let present: WebhookSender
            if let sender {
                present = sender
            } else {
                present = try await WebhookSender(to: webhook.url, networks: self.networks, lookups: self.lookups)
            }
            sender = present
            let answer = try await present.post(
                body,
                fields: [
                    ("webhook-id", id), ("webhook-timestamp", String(seconds)), ("webhook-signature", signature),
                ])
            switch answer.status {
            case 200..<300: return (.delivered, answer.status)
            case 410: return (.gone, answer.status)
            default:
                let text = "the receiver answered \(answer.status)"
                return (.failed(text, retryAfter: answer.retryAfter), answer.status)
            }
        } catch {
            return (.failed(error.text, retryAfter: nil), nil)
        }
    }
}

extension Event {
    /// `{"type":…,"timestamp":…,"data":{…}}`, as the Standard Webhooks specification has it, with `id` (the cursor),
    /// `room`, `call` and `actor` as in an envelope.
    fileprivate func webhookBody(epoch: String) -> String {
        var text = "{\"type\":\"\(self.type.rawValue)\",\"timestamp\":\"\(self.at.rfc3339)\""
        text += ",\"id\":\"\(epoch).\(self.seq)\""
        if let room { text += ",\"room\":\"\(room.text)\"" }
        if let call { text += ",\"call\":\"\(call.text)\"" }
        if let actor { text += ",\"actor\":\"\(actor.text)\"" }
        return text + ",\"data\":\(self.data)}"
    }
}
