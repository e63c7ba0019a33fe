import Core
import Synchronization

/// Tells on stderr, once a second, how far a load test is.
final class LoadProgress: Sendable {
    /// Both sides at about the same moment.
    struct State: Sendable {
        let crowd: Crowd.State
        let poster: Poster.State

        /// Changes as long as something goes on.
        var movement: [Int] {
            [self.crowd.events, self.crowd.open, self.crowd.away, self.poster.answered, self.poster.sent]
        }
    }

    private struct Last {
        var toldAt = ContinuousClock.now
        var events = 0
        var answered = 0
    }

    private let subscribers: Int
    private let startedAt = ContinuousClock.now
    private let last = Mutex(Last())

    init(subscribers: Int) { self.subscribers = subscribers }

    /// Tells it unless less than a second has passed since the last time.
    func tell(_ what: String, _ state: State) {
        let now = ContinuousClock.now
        let line: String? = self.last.withLock { last in
            let passed = Double((now - last.toldAt).milliseconds) / 1000
            guard passed >= 1 else { return nil }
            let perSecond = { (count: Int) in (Double(max(0, count)) / passed).text(digits: 0) }
            var parts = ["\((now - self.startedAt).milliseconds / 1000) s: \(what)"]
            if self.subscribers > 0 {
                parts.append("\(state.crowd.open) of \(self.subscribers) streams")
                parts.append("\(perSecond(state.crowd.events - last.events)) events/s")
            }
            parts.append("\(perSecond(state.poster.answered - last.answered)) answers/s")
            last = Last(toldAt: now, events: state.crowd.events, answered: state.poster.answered)
            return parts.joined(separator: ", ")
        }
        if let line { Terminal.note(line) }
    }
}
