package import Core
import NIOCore

/// Polls: readers that take one answer. Those of a connection that polls again and again stay between two polls.
extension LoopHub {
    /// Answers with the events behind the reader's position, as many as the limits allow.
    func answer(_ waiter: PollWaiter, of subscriber: Subscriber, with events: [LoggedEvent]) {
        self.complete(waiter, of: subscriber, .events(self.page(of: events, limit: waiter.limit, for: subscriber)))
    }

    func page(of events: [LoggedEvent], limit: Int, for subscriber: Subscriber) -> PollPage {
        var bytes = 0
        var fitting = 0
        for event in events.prefix(limit) {
            bytes += event.envelope.utf8.count + 1
            if fitting > 0, bytes > Limits.pollAnswerBytesMax { break }
            fitting += 1
        }
        self.deliveries.note(events.prefix(fitting).lazy.map(\.event))
        let isCut = fitting < events.count
        let seq = isCut ? events[fitting - 1].event.seq : max(self.position, subscriber.position)
        return PollPage(Array(events.prefix(fitting)), cursor: self.cursor(seq), hasMore: isCut)
    }

    func complete(_ waiter: PollWaiter, of subscriber: Subscriber, _ result: PollResult) {
        waiter.timeout?.cancel()
        // The waiter holds whoever is answered, and they hold the reader.
        subscriber.delivery = .none
        if waiter.isRepeated, case .events = result {
            subscriber.state = .resting
            subscriber.restsUntil = self.time.now.advanced(by: Self.restMax)
        } else {
            self.remove(subscriber.id)
        }
        waiter.answer(result)
    }

    /// A connection that has not polled for so long asks the database again.
    private static let restMax = Duration.seconds(60)

    // MARK: Repeated polls

    /// Takes in a reader that will poll; `nil` if memory cannot tell what happened to its memberships since its
    /// snapshot.
    func rest(_ admission: Admission) -> Subscriber? {
        // Streams and single polls have the positive numbers of their reservations.
        self.restingCount -= 1
        let subscriber = Subscriber(
            id: self.restingCount, admission: admission, profile: self.profile(for: admission.subscription),
            delivery: .none, rotatesAt: nil)
        subscriber.state = .resting
        subscriber.restsUntil = self.time.now.advanced(by: Self.restMax)
        guard self.add(subscriber, admission), subscriber.state == .resting else { return nil }
        return subscriber
    }

    /// Lets a reader that rests wait behind `seq`, or answers it at once.
    ///
    /// - returns: `false` if the database must be asked; the reader then goes on resting.
    func poll(_ subscriber: Subscriber, after seq: Int64, _ waiter: PollWaiter) -> Bool {
        // A cursor beyond what this loop has passed is another loop's, or none at all.
        guard subscriber.state == .resting, !self.isDraining, seq <= self.position, self.recent.reaches(behind: seq)
        else { return false }
        subscriber.delivery = .poll(waiter)
        subscriber.position = seq
        subscriber.state = .behind
        self.catchUp(subscriber)
        return true
    }

    /// Answers polls whose time is over, and forgets readers that have rested for too long.
    ///
    /// - returns: whether the reader is none that a second has anything else to do with.
    func sweep(poll subscriber: Subscriber, now: Timestamp) -> Bool {
        switch subscriber.delivery {
        case .stream: return false
        case .poll(let waiter):
            guard let answersAt = waiter.answersAt, now >= answersAt else { return false }
            self.answer(waiter, of: subscriber, with: [])
            return true
        case .none:
            if let until = subscriber.restsUntil, now >= until { self.remove(subscriber.id) }
            return subscriber.state == .ended
        }
    }
}

/// A reader that stays with its connection between two polls, so that the next one needs no look into the database: its
/// memberships are followed meanwhile. On its event loop only.
package final class PollReader {
    private let hub: LoopHub
    private let subscriber: Subscriber
    /// Gives the reader a place while it waits.
    private let reserve: () throws(Problem) -> Registry.Reservation

    init(_ subscriber: Subscriber, hub: LoopHub, reserve: @escaping () throws(Problem) -> Registry.Reservation) {
        self.subscriber = subscriber
        self.hub = hub
        self.reserve = reserve
    }

    /// Its connection is gone or polls for something else.
    package func forget() {
        self.cancel()
        self.hub.remove(self.subscriber.id)
    }

    /// Waits for something behind `cursor`, at most `timeout` and a second.
    ///
    /// - parameters:
    ///   - limit: the most events that the answer holds.
    ///   - answer: called once, perhaps before this returns.
    /// - returns: `false` if the database must be asked, or too many poll; `answer` is not called then.
    package func poll(
        after cursor: Cursor, limit: Int, timeout: Duration, answer: @escaping (PollResult) -> Void
    ) -> Bool {
        guard cursor.epoch == self.hub.epoch, let reservation = try? self.reserve() else { return false }
        let waiter = PollWaiter(id: reservation.id, limit: limit, isRepeated: true) { result in
            withExtendedLifetime(reservation) { answer(result) }
        }
        guard self.hub.poll(self.subscriber, after: cursor.seq, waiter) else { return false }
        guard case .poll = self.subscriber.delivery else { return true }
        if timeout < Self.sweptFrom {
            let bound = NIOLoopBound((self.hub, self.subscriber, waiter), eventLoop: self.hub.eventLoop)
            waiter.timeout = self.hub.eventLoop.scheduleTask(in: .milliseconds(timeout.milliseconds)) {
                let (hub, subscriber, waiter) = bound.value
                guard case .poll(let present) = subscriber.delivery, present === waiter else { return }
                hub.answer(waiter, of: subscriber, with: [])
            }
        } else {
            // A timer for each of thousands of polls, cancelled by nearly all of them, costs more than they do.
            waiter.answersAt = self.hub.time.now.advanced(by: timeout)
        }
        return true
    }

    private func cancel() {
        guard case .poll(let waiter) = self.subscriber.delivery else { return }
        self.hub.complete(waiter, of: self.subscriber, .reread)
    }

    /// Timeouts from here on may be a second late.
    private static let sweptFrom = Duration.seconds(5)
}
