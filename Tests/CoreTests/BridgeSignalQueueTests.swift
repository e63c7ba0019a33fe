import Core
import TestSupport
import Testing

/// What waits for a session over there.
struct BridgeSignalQueueTests {
    private let ani = UserID.fixture(1)
    private let budi = UserID.fixture(2)
    private let now = Timestamp.fixture

    @Test func eachSendersSignalsGoInOrderAndOnce() {
        var queue = BridgeSignalQueue<Int>()
        for number in 1...6 {
            queue.add(number, from: number % 2 == 0 ? self.budi : self.ani, call: .fixture(1), bytes: 1, at: self.now)
        }
        #expect(queue.senders == [self.ani, self.budi])
        #expect(queue.take(from: self.ani) == [1, 3, 5])
        #expect(queue.take(from: self.ani) == [])
        #expect(queue.senders == [self.budi])
        #expect(queue.take(from: self.budi) == [2, 4, 6])
    }

    @Test func signalsThatWaitAreBoundedAndTheOldestGo() {
        var queue = BridgeSignalQueue<Int>()
        queue.add(0, from: self.budi, call: nil, bytes: 1, at: self.now)
        for number in 1...(Limits.bridgeWaitingSignalsMax + 2) {
            queue.add(number, from: self.ani, call: nil, bytes: 1, at: self.now)
        }
        #expect(queue.take(from: self.budi) == [0], "others lose nothing by it")
        #expect(queue.take(from: self.ani) == Array(3...(Limits.bridgeWaitingSignalsMax + 2)))

        let third = Limits.bridgeWaitingSignalBytesMax / 3
        for number in 1...4 {
            queue.add(number, from: number == 1 ? self.budi : self.ani, call: nil, bytes: third, at: self.now)
        }
        #expect(queue.take(from: self.budi) == [], "of all the oldest")
        #expect(queue.take(from: self.ani) == [2, 3, 4])
        // What was taken does not count any more, and what is too large alone does not stay.
        queue.add(5, from: self.ani, call: nil, bytes: 3 * third, at: self.now)
        #expect(queue.take(from: self.ani) == [5])
        queue.add(6, from: self.ani, call: nil, bytes: Limits.bridgeWaitingSignalBytesMax + 1, at: self.now)
        #expect(queue.senders.isEmpty)
    }

    @Test func whatHasExpiredOrBelongsToAnEndedCallDoesNotGo() {
        var queue = BridgeSignalQueue<Int>()
        for number in 1...4 {
            let at = self.now.advanced(by: .seconds(number))
            queue.add(number, from: self.ani, call: .fixture(number % 2), bytes: 1, at: at)
        }
        queue.callEnded(.fixture(0))
        queue.timePassed(at: self.now.advanced(by: Limits.signalLifetime))
        queue.timePassed(at: self.now.advanced(by: Limits.signalLifetime + .seconds(1)))
        // The end of a call is told by a signal of it that comes behind.
        queue.add(5, from: self.ani, call: .fixture(0), bytes: 1, at: self.now.advanced(by: .seconds(5)))
        #expect(queue.take(from: self.ani) == [3, 5])
    }
}
