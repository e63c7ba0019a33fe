import Core
import Logging
package import NIOCore

/// How readers that are behind are brought up to date, by position: from memory, else from the database.
extension LoopHub {
    /// The reader's connection takes more again.
    func becameWritable(_ id: Int) {
        guard let subscriber = self.subscribers[id] else { return }
        subscriber.stalledSince = nil
        if subscriber.state == .behind { self.catchUp(subscriber) }
    }

    /// Writes until the reader is live, its connection is full, or the database must be asked.
    func catchUp(_ subscriber: Subscriber) {
        if case .poll(let waiter) = subscriber.delivery { return self.catchUp(waiter, of: subscriber) }
        guard case .stream(let wire, let sink) = subscriber.delivery else { return }
        while subscriber.state == .behind, sink.isWritable {
            guard subscriber.position < self.position else {
                subscriber.state = .live
                return
            }
            guard self.recent.reaches(behind: subscriber.position) else { return self.readDatabase(for: subscriber) }
            var frames = ByteBufferAllocator().buffer(capacity: 4096)
            for logged in self.recent.events(behind: subscriber.position) {
                subscriber.position = logged.event.seq
                guard subscriber.visibility.sees(logged.event), subscriber.profile.passes(logged.event) else {
                    continue
                }
                frames.writeImmutableBuffer(logged.frame(for: wire))
                self.deliveries.note(CollectionOfOne(logged.event))
                if frames.readableBytes >= self.settings.catchUpBytesMax { break }
            }
            // Deleted events leave no trace in memory: behind the last one that is there, nothing is missing.
            if self.recent.events(behind: subscriber.position).isEmpty { subscriber.position = self.position }
            if frames.readableBytes > 0 { sink.write(frames, chunkedBySelf: sink.isChunked) }
        }
    }

    private func catchUp(_ waiter: PollWaiter, of subscriber: Subscriber) {
        guard self.recent.reaches(behind: subscriber.position) else {
            return self.complete(waiter, of: subscriber, .reread)
        }
        let events = self.recent.events(behind: subscriber.position).filter {
            subscriber.visibility.sees($0.event) && subscriber.profile.passes($0.event)
        }
        if events.isEmpty {
            subscriber.position = self.position
            subscriber.state = .live
        } else {
            self.answer(waiter, of: subscriber, with: Array(events))
        }
    }

    // MARK: From the database

    private struct Page: Sendable {
        let bounds: LogBounds
        let events: [Event]
        let considered: Int64
    }

    private func readDatabase(for subscriber: Subscriber) {
        subscriber.state = .reading
        let (after, through, visibility) = (subscriber.position, self.position, subscriber.visibility)
        let (subscription, settings, store) = (subscriber.subscription, self.settings, self.store)
        let hub = NIOLoopBound(self, eventLoop: self.eventLoop)
        let id = subscriber.id
        // One task for each step of a reader beyond memory, none for those that are live.
        Task { [logger] in
            do {
                let page = try await store.read { store in
                    let found = try store.events(
                        after: after, through: through, visibility: visibility, scope: subscription.scope,
                        filter: subscription.filter, limit: settings.catchUpEventsMax,
                        bytesMax: settings.catchUpBytesMax)
                    return Page(bounds: try store.logBounds(), events: found.events, considered: found.considered)
                }
                hub.execute { $0.finishReading(page, for: id) }
            } catch {
                logger.warning("catching up from the database failed", metadata: ["error": "\(error)"])
                hub.execute { hub in
                    if let subscriber = hub.subscribers[id] { hub.end(subscriber, .rotate) }
                }
            }
        }
    }

    private func finishReading(_ page: Page, for id: Int) {
        guard let subscriber = self.subscribers[id], subscriber.state == .reading,
            case .stream(let wire, let sink) = subscriber.delivery
        else { return }
        subscriber.state = .behind
        if page.bounds.trimmedThrough > subscriber.position {
            // Retention overtook a reader that could not keep up: it is told, never silently skipped.
            let requested = self.cursor(subscriber.position)
            subscriber.position = self.position
            self.writeControl(.gap(requested: requested, cursor: self.cursor(self.position)), to: subscriber)
        } else {
            var frames = ByteBufferAllocator().buffer(capacity: 4096)
            // Memberships may have ended while the database was asked.
            for event in page.events where subscriber.visibility.sees(event) {
                frames.writeImmutableBuffer(LoggedEvent(event, epoch: self.epoch).frame(for: wire))
            }
            self.deliveries.note(page.events)
            subscriber.position = page.considered
            if frames.readableBytes > 0 { sink.write(frames, chunkedBySelf: sink.isChunked) }
        }
        self.catchUp(subscriber)
    }
}

extension NIOLoopBound {
    /// Runs on the loop that the value is bound to.
    package func execute(_ body: @escaping @Sendable (Value) -> Void) {
        self.eventLoop.execute { body(self.value) }
    }
}
