package import NIOCore

/// What the readers of one tick get: a tree whose paths from the root are sequences of the tick's events.
///
/// Readers that get the same end at the same node and share its bytes, so a reader costs one comparison for each event
/// and none for its write.
struct TickTree {
    /// Where a reader that has got nothing in this tick stands.
    static let root: Int32 = 0

    private struct Node {
        let parent: Int32
        /// The last event of the path, as an index into ``events``.
        let event: Int32
        /// Events come in order, so only the newest child can be for the present one.
        var newestChild: (event: Int32, node: Int32) = (-1, TickTree.root)
        /// By wire, unchunked and chunked; made when first asked for.
        var bytes: [ByteBuffer?] = []
        /// As the last poll got it.
        var page: (limit: Int, page: PollPage)?
    }

    private var nodes = [Node(parent: -1, event: -1)]
    private var events: [LoggedEvent] = []

    /// The index that the next event gets.
    var nextEvent: Int32 { Int32(self.events.count) }

    /// Adds an event that somebody gets.
    mutating func append(_ event: LoggedEvent) { self.events.append(event) }

    /// Where a reader at `node` stands when it gets the event of this index as well.
    mutating func child(of node: Int32, by event: Int32) -> Int32 {
        let known = self.nodes[Int(node)].newestChild
        if known.event == event { return known.node }
        let child = Int32(self.nodes.count)
        self.nodes.append(Node(parent: node, event: event))
        self.nodes[Int(node)].newestChild = (event, child)
        return child
    }

    /// The events on the way to `node`, in order.
    func events(to node: Int32) -> [LoggedEvent] {
        var path: [LoggedEvent] = []
        var node = node
        while node != Self.root {
            let step = self.nodes[Int(node)]
            path.append(self.events[Int(step.event)])
            node = step.parent
        }
        return path.reversed()
    }

    /// Their frames as one write, if a reader asked for them before.
    func knownBytes(to node: Int32, in slot: Int) -> ByteBuffer? {
        let bytes = self.nodes[Int(node)].bytes
        return bytes.isEmpty ? nil : bytes[slot]
    }

    /// Their frames as one write.
    mutating func bytes(to node: Int32, for wire: Wire, isChunked: Bool) -> ByteBuffer {
        let bytes = ByteBuffer(joining: self.events(to: node).map { $0.frame(for: wire) }, isChunked: isChunked)
        if self.nodes[Int(node)].bytes.isEmpty {
            self.nodes[Int(node)].bytes = [ByteBuffer?](repeating: nil, count: Self.slotCount)
        }
        self.nodes[Int(node)].bytes[Self.slot(of: wire, isChunked: isChunked)] = bytes
        return bytes
    }

    /// What a poll with this limit got before.
    func knownPage(to node: Int32, limit: Int) -> PollPage? {
        self.nodes[Int(node)].page.flatMap { $0.limit == limit ? $0.page : nil }
    }

    mutating func keep(_ page: PollPage, to node: Int32, limit: Int) { self.nodes[Int(node)].page = (limit, page) }

    /// Wires have two kinds of bytes each.
    static let slotCount = Wire.slotCount * 2
    static func slot(of wire: Wire, isChunked: Bool) -> Int { wire.slot * 2 + (isChunked ? 1 : 0) }

    /// Ends the tick; every reader is at the root again.
    mutating func removeAll() {
        self.nodes.removeSubrange(1...)
        self.nodes[0].newestChild = (-1, Self.root)
        self.events.removeAll(keepingCapacity: true)
    }
}

extension ByteBuffer {
    /// Frames as they go out: behind one another, and as one HTTP/1.1 chunk (RFC 9112, 7.1) where the sink wants that.
    package init(joining frames: [ByteBuffer], isChunked: Bool) {
        let size = frames.reduce(0) { $0 + $1.readableBytes }
        self = ByteBufferAllocator().buffer(capacity: size + 32)
        if isChunked { self.writeString(String(size, radix: 16) + "\r\n") }
        for frame in frames { self.writeImmutableBuffer(frame) }
        if isChunked { self.writeString("\r\n") }
    }
}
