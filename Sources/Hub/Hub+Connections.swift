package import Core
import NIOCore

/// Names an open stream or a waiting poll of this process: `con_7f3k2m-12`. Numbers begin anew with each process, hence
/// the process's own mark: an id from before a restart names nothing.
package struct ConnectionID: Hashable, Sendable, CustomStringConvertible {
    let number: Int
    private let mark: String

    init(_ number: Int, mark: String) { (self.number, self.mark) = (number, mark) }

    /// 6 characters of `[0-9a-z]`.
    static func randomMark() -> String {
        var generator = SystemRandomNumberGenerator()
        return String(randomBase36: 6, from: &generator)
    }

    package var description: String { "con_\(self.mark)-\(self.number)" }
}

/// An open stream or a waiting poll, as admins see it.
package struct OpenConnection: Sendable {
    package let id: ConnectionID
    package let subscription: Subscription
    package let openedAt: Timestamp
    /// The other end, which may be a proxy.
    package let remoteAddress: String?
    /// `nil` for one that is about to begin, or to end.
    package let standing: Standing?

    /// How far a reader is.
    package struct Standing: Sendable {
        /// Everything up to here was written to it, or is none of its business.
        package let cursor: Cursor
        /// Seqs of the log behind its tail.
        package let lag: Int64
        /// Bytes that were written and wait for the kernel.
        package let pendingBytes: Int
    }
}

extension Hub {
    /// Open streams and waiting polls, in the order in which they were opened.
    ///
    /// - parameters:
    ///   - after: the last one of the page before.
    ///   - limit: no more are looked at on their loops.
    package func connections(
        of user: UserID? = nil, by transport: Transport? = nil, after: ConnectionID? = nil, limit: Int
    ) async throws -> [OpenConnection] {
        let found = self.registry.readers(of: user, by: transport, after: after?.number ?? 0, limit: limit)
        var standings: [Int: OpenConnection.Standing] = [:]
        for (index, readers) in Dictionary(grouping: found, by: \.loop) {
            let loop = self.loops[index]
            let ids = Set(readers.map(\.id))
            let there = try await loop.eventLoop.submit { loop.hub.value.standings(of: ids) }.get()
            standings.merge(there) { $1 }
        }
        return found.map { reader in
            OpenConnection(
                id: ConnectionID(reader.id, mark: self.mark), subscription: reader.subscription,
                openedAt: reader.openedAt, remoteAddress: reader.address?.ipAddress, standing: standings[reader.id])
        }
    }

    /// An id that this process gave; it need not be open any more.
    ///
    /// - returns: `nil` for any other text.
    package func connectionID(_ text: String) -> ConnectionID? {
        guard let number = text.split(separator: "-").last.flatMap({ Int($0) }), number > 0 else { return nil }
        let id = ConnectionID(number, mark: self.mark)
        return id.description == text ? id : nil
    }

    /// Whether it is open.
    package func isOpen(_ id: ConnectionID) -> Bool { self.registry.loop(of: id.number) != nil }

    /// Ends a stream with `cut`, or answers a poll with nothing; the client may come again. One that is not open any
    /// more is left alone.
    package func cut(_ id: ConnectionID) {
        guard let index = self.registry.loop(of: id.number) else { return }
        let loop = self.loops[index]
        loop.eventLoop.execute {
            let hub = loop.hub.value
            if let reader = hub.reader(of: id.number) { hub.end(reader, .cut) }
        }
    }
}

extension LoopHub {
    func standings(of ids: Set<Int>) -> [Int: OpenConnection.Standing] {
        var found = ids.reduce(into: [Int: Subscriber]()) { $0[$1] = self.subscribers[$1] }
        if found.count < ids.count {
            for (id, reader) in self.repeatedPolls where ids.contains(id) { found[id] = reader }
        }
        return found.mapValues { reader in
            let seq = reader.state == .live ? max(self.position, reader.position) : reader.position
            let pendingBytes = reader.stream?.sink.pendingBytes ?? 0
            return OpenConnection.Standing(
                cursor: self.cursor(seq), lag: max(0, self.position - seq), pendingBytes: pendingBytes)
        }
    }

    /// The reader of a place.
    func reader(of id: Int) -> Subscriber? {
        self.subscribers[id] ?? self.repeatedPolls.first { $0.id == id }?.reader
    }

    /// Readers that stay with their connections have numbers of their own; their polls that wait have places.
    private var repeatedPolls: [(id: Int, reader: Subscriber)] {
        self.subscribers.values.compactMap { reader in
            guard case .poll(let waiter) = reader.delivery else { return nil }
            return (waiter.id, reader)
        }
    }
}
