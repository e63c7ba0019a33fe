import Foundation

/// Joins what arrives into whole lines and hands them out without copying those that arrived whole.
struct EventLines {
    /// A server that sends a longer line is not understood.
    static let lineBytesMax = 4 * 1024 * 1024

    private var unfinished: [UInt8] = []

    /// Takes bytes of a body; `each` gets every line that they complete, without its line end.
    ///
    /// - throws: ``LoadFault`` for an overlong line.
    mutating func take(
        _ bytes: UnsafeRawBufferPointer, each: (UnsafeRawBufferPointer) -> Void
    ) throws(LoadFault) {
        var rest = bytes
        while let end = rest.offset(of: UInt8(ascii: "\n")) {
            let line = UnsafeRawBufferPointer(rebasing: rest[..<end])
            rest = UnsafeRawBufferPointer(rebasing: rest[(end + 1)...])
            if self.unfinished.isEmpty {
                each(line)
            } else {
                self.unfinished.append(contentsOf: line)
                self.endLine(each: each)
            }
        }
        self.unfinished.append(contentsOf: rest)
        guard self.unfinished.count <= Self.lineBytesMax else { throw LoadFault("a line without end") }
    }

    /// As ``take(_:each:)`` for text without line ends, which is part of a line that ``endLine(each:)`` ends.
    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(LoadFault) {
        self.unfinished.append(contentsOf: bytes)
        guard self.unfinished.count <= Self.lineBytesMax else { throw LoadFault("a message without end") }
    }

    var isEmpty: Bool { self.unfinished.isEmpty }

    mutating func endLine(each: (UnsafeRawBufferPointer) -> Void) {
        self.unfinished.withUnsafeBytes(each)
        self.unfinished.removeAll(keepingCapacity: true)
    }
}

/// An event's envelope, as every wire carries it; seen, not decoded.
struct Envelope {
    /// What kinds of events the load test tells apart.
    enum Kind { case message, ready, gap, end, other }

    /// The cursor. Valid as long as the line is.
    let id: UnsafeRawBufferPointer
    let kind: Kind

    private static let idStart = StaticBytes("{\"id\":\"")
    private static let dataField = StaticBytes("data: ")
    private static let kinds: [(StaticBytes, Kind)] = [
        (StaticBytes("\",\"type\":\"message.created\""), .message),
        (StaticBytes("\",\"type\":\"stream.ready\""), .ready),
        (StaticBytes("\",\"type\":\"stream.gap\""), .gap),
        (StaticBytes("\",\"type\":\"stream.end\""), .end),
    ]

    /// - parameter line: a `data:` line of SSE, a line of NDJSON or a WebSocket's text. Others, and events that have no
    ///   place in the log, are `nil`.
    init?(_ line: UnsafeRawBufferPointer) {
        let start = Self.dataField.isPrefix(of: line) ? Self.dataField.count : 0
        let envelope = UnsafeRawBufferPointer(rebasing: line[start...])
        guard Self.idStart.isPrefix(of: envelope) else { return nil }
        let behindStart = UnsafeRawBufferPointer(rebasing: envelope[Self.idStart.count...])
        guard let idEnd = behindStart.offset(of: UInt8(ascii: "\"")) else { return nil }
        self.id = UnsafeRawBufferPointer(rebasing: behindStart[..<idEnd])
        let rest = UnsafeRawBufferPointer(rebasing: behindStart[idEnd...])
        self.kind = Self.kinds.first { $0.0.isPrefix(of: rest) }?.1 ?? .other
    }
}

/// Text that bytes are compared with.
struct StaticBytes: Sendable {
    private let text: StaticString
    var count: Int { self.text.utf8CodeUnitCount }

    init(_ text: StaticString) { self.text = text }

    func isPrefix(of bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= self.count, let base = bytes.baseAddress else { return self.count == 0 }
        return memcmp(base, self.text.utf8Start, self.count) == 0
    }
}

extension UnsafeRawBufferPointer {
    /// Where the byte is first, counted from the start.
    func offset(of byte: UInt8) -> Int? {
        guard let base = self.baseAddress, let found = memchr(base, Int32(byte), self.count) else { return nil }
        return UnsafeRawPointer(found) - base
    }
}
