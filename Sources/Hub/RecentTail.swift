import Core
import DequeModule

/// The newest part of the log in memory, for readers that are a little behind. Each loop has its own; the events are
/// shared.
struct RecentTail {
    private var events: Deque<LoggedEvent> = []
    private var weight = 0
    /// Every event with a higher seq is here.
    private(set) var floor: Int64
    private let eventsMax: Int
    private let weightMax: Int
    /// The newest seqs at the last calls of ``age(turnsMax:)``, oldest first.
    private var turns: Deque<Int64> = []

    init(after floor: Int64, eventsMax: Int, weightMax: Int) {
        self.floor = floor
        self.eventsMax = eventsMax
        self.weightMax = weightMax
    }

    mutating func append(_ event: LoggedEvent) {
        self.events.append(event)
        self.weight += event.weight
        while self.events.count > self.eventsMax || self.weight > self.weightMax, let oldest = self.events.popFirst() {
            self.forget(oldest)
        }
    }

    /// Called at regular times: lets go of what was here `turnsMax` calls ago. Whoever is further behind than that
    /// reads from disk, which costs less than memory that a busy hour would hold for a quiet night.
    mutating func age(turnsMax: Int) {
        self.turns.append(self.events.last?.event.seq ?? self.floor)
        guard self.turns.count > turnsMax, let seq = self.turns.popFirst() else { return }
        while let oldest = self.events.first, oldest.event.seq <= seq {
            self.events.removeFirst()
            self.forget(oldest)
        }
    }

    private mutating func forget(_ oldest: LoggedEvent) {
        self.weight -= oldest.weight
        self.floor = oldest.event.seq
    }

    /// Whether all events behind `seq` are here.
    func reaches(behind seq: Int64) -> Bool { seq >= self.floor }

    /// The events behind `seq`, oldest first.
    func events(behind seq: Int64) -> Slice<Deque<LoggedEvent>> {
        var low = self.events.startIndex
        var high = self.events.endIndex
        while low < high {
            let middle = (low + high) / 2
            if self.events[middle].event.seq <= seq { low = middle + 1 } else { high = middle }
        }
        return self.events[low...]
    }

    /// Follows the log's redactions: the old encodings go with the old object. `nil` deletes.
    mutating func rewrite(_ seq: Int64, data: String?, epoch: String) {
        guard let index = self.events(behind: seq - 1).indices.first, self.events[index].event.seq == seq else {
            return
        }
        self.weight -= self.events[index].weight
        if let data {
            var event = self.events[index].event
            event.data = data
            let replacement = LoggedEvent(event, epoch: epoch)
            self.events[index] = replacement
            self.weight += replacement.weight
        } else {
            self.events.remove(at: index)
        }
    }
}
