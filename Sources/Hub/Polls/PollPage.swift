package import Core
package import NIOCore
import Synchronization

/// What a long-poll answers: `{"events": […], "cursor": "…", "more": false, "ephemeral": […]}`. Polls of one tick that
/// get the same share one.
package struct PollPage: Sendable {
    /// In order of the log.
    package let events: [LoggedEvent]
    package let ephemeral: [LoggedEvent]
    /// Where the next poll goes on.
    package let cursor: Cursor
    /// Whether there was more behind it already.
    package let hasMore: Bool
    /// All of it as JSON.
    package let body: ByteBuffer
    /// What the edge has made of it, for the next poll that gets the same.
    package let answer = SharedAnswer()

    package init(_ events: [LoggedEvent], ephemeral: [LoggedEvent] = [], cursor: Cursor, hasMore: Bool) {
        self.events = events
        self.ephemeral = ephemeral
        self.cursor = cursor
        self.hasMore = hasMore
        let envelopes = events.map(\.envelope)
        var body = ByteBufferAllocator().buffer(capacity: envelopes.reduce(128) { $0 + $1.utf8.count + 1 })
        body.writeString("{\"events\":[")
        body.write(separatedByCommas: envelopes)
        body.writeString("],\"cursor\":\"\(cursor)\",\"more\":\(hasMore),\"ephemeral\":[")
        body.write(separatedByCommas: ephemeral.map(\.envelope))
        body.writeString("]}")
        self.body = body
    }
}

/// Bytes that are made for the first of several equal answers.
package final class SharedAnswer: Sendable {
    private let made = Mutex<(origin: String?, bytes: ByteBuffer)?>(nil)

    /// - parameter origin: what answers to browsers differ by.
    package func bytes(for origin: String?, make: () -> ByteBuffer) -> ByteBuffer {
        self.made.withLock { made in
            if let made, made.origin == origin { return made.bytes }
            let bytes = make()
            made = (origin, bytes)
            return bytes
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func write(separatedByCommas texts: [String]) {
        for (index, text) in texts.enumerated() {
            if index > 0 { self.writeInteger(UInt8(ascii: ",")) }
            self.writeString(text)
        }
    }
}

/// What a waiting poll is answered with.
package enum PollResult: Sendable {
    /// Events behind the position it waited at, ascending, and where to go on.
    case events(PollPage)
    /// Memory does not reach back to its position any more: ask the database.
    case reread
    /// The server ends the wait: the credential ended or the room was lost.
    case ended(StreamEndReason, cursor: Cursor)
}

/// A poll that waits for something to answer.
final class PollWaiter {
    let limit: Int
    /// Called once, on the loop.
    let answer: (PollResult) -> Void
    /// When it is answered all the same: by a timer of its own, or by the sweep of the first second that is not before.
    var timeout: Scheduled<Void>?
    var answersAt: Timestamp?
    /// Whether its reader stays for the next poll of its connection.
    let isRepeated: Bool
    /// Its place, by which others know it.
    let id: Int

    init(id: Int, limit: Int, isRepeated: Bool = false, answer: @escaping (PollResult) -> Void) {
        self.id = id
        self.limit = limit
        self.isRepeated = isRepeated
        self.answer = answer
    }
}
