/// Signals to a remote room that wait for the session of whoever sends them, each sender's in order.
///
/// Bounded for each sender and in all: past a bound the oldest go. A signal that goes, or waits too long, is one that
/// is not delivered: it expires as everywhere, with notice to its sender.
package struct BridgeSignalQueue<Signal: Sendable>: Sendable {
    private struct Item {
        let signal: Signal
        let sender: UserID
        let call: CallID?
        let bytes: Int
        let at: Timestamp
    }

    private let perSenderMax: Int
    private let bytesMax: Int
    /// In the order in which they came.
    private var items: [Item] = []
    private var bytes = 0

    package init(
        perSenderMax: Int = Limits.bridgeWaitingSignalsMax, bytesMax: Int = Limits.bridgeWaitingSignalBytesMax
    ) {
        self.perSenderMax = perSenderMax
        self.bytesMax = bytesMax
    }

    package var senders: Set<UserID> { Set(self.items.map(\.sender)) }

    /// - parameters:
    ///   - bytes: what it holds in memory, about.
    ///   - at: when it was sent; not before that of the signals which wait.
    package mutating func add(_ signal: Signal, from sender: UserID, call: CallID?, bytes: Int, at: Timestamp) {
        if self.items.count(where: { $0.sender == sender }) >= self.perSenderMax,
            let oldest = self.items.firstIndex(where: { $0.sender == sender })
        {
            self.bytes -= self.items.remove(at: oldest).bytes
        }
        self.items.append(Item(signal: signal, sender: sender, call: call, bytes: bytes, at: at))
        self.bytes += bytes
        while self.bytes > self.bytesMax, !self.items.isEmpty { self.bytes -= self.items.removeFirst().bytes }
    }

    /// The sender's session is welcomed: all that waits for it, in order.
    package mutating func take(from sender: UserID) -> [Signal] {
        let taken = self.items.filter { $0.sender == sender }
        self.forget { $0.sender == sender }
        return taken.map(\.signal)
    }

    /// The call ended.
    package mutating func callEnded(_ call: CallID) { self.forget { $0.call == call } }

    /// Those that are too old have expired.
    package mutating func timePassed(at now: Timestamp) {
        let horizon = now.advanced(by: .zero - Limits.signalLifetime)
        guard let oldest = self.items.first, oldest.at <= horizon else { return }
        self.forget { $0.at <= horizon }
    }

    private mutating func forget(_ isGone: (Item) -> Bool) {
        self.items.removeAll(where: isGone)
        self.bytes = self.items.reduce(0) { $0 + $1.bytes }
    }
}
