/// What the load test wants to know of a response's head.
struct ResponseHead: Equatable, Sendable {
    var status = 0
    /// Text of `Event-Cursor`.
    var eventCursor: [UInt8] = []
    var retryAfterSeconds: Int?
    fileprivate var contentLength: Int?
    fileprivate var isChunked = false
}

/// Reads HTTP/1.1 responses (RFC 9112) as their bytes come; bodies are handed out where they are, not copied.
///
/// Not a general client: it trusts that responses answer the requests in their order, and takes no trailers' contents.
struct ResponseReader {
    /// What the next bytes are.
    enum Piece: Equatable {
        case head(ResponseHead)
        /// Part of the body, as offsets into the bytes that were given.
        case body(Range<Int>)
        /// The response is complete.
        case end
        /// All bytes are used up.
        case needsMore
    }

    private enum State {
        case head
        case fixedBody(left: Int)
        case chunkSize
        case chunk(left: Int)
        case chunkEnd
        case trailer
        /// Until the connection closes, or frames of another protocol.
        case endless
    }

    private static let headBytesMax = 64 * 1024

    private var state = State.head
    /// Of a head, a chunk's size or a trailer, as far as it has come.
    private var text: [UInt8] = []

    /// What is at `index`, which moves behind it. Ask again until it needs more.
    ///
    /// - throws: ``LoadFault`` for what is no HTTP/1.1.
    mutating func next(in bytes: UnsafeRawBufferPointer, from index: inout Int) throws(LoadFault) -> Piece {
        if case .fixedBody(left: 0) = self.state {
            self.state = .head
            return .end
        }
        while index < bytes.count {
            switch self.state {
            case .head:
                // 1xx but 101 only announce the response.
                if let head = try self.readHead(bytes, &index), head.status == 101 || head.status >= 200 {
                    return .head(head)
                }
            case .fixedBody(let left):
                return self.readBody(left, bytes.count, &index) { .fixedBody(left: $0) }
            case .chunkSize:
                try self.readChunkSize(bytes, &index)
            case .chunk(let left):
                return self.readBody(left, bytes.count, &index) { $0 > 0 ? .chunk(left: $0) : .chunkEnd }
            case .chunkEnd:
                if try self.readLine(bytes, &index) { self.endLine(.chunkSize) }
            case .trailer:
                guard try self.readLine(bytes, &index) else { return .needsMore }
                let isLast = self.text == [UInt8(ascii: "\r")]
                self.endLine(isLast ? .head : .trailer)
                if isLast { return .end }
            case .endless:
                defer { index = bytes.count }
                return .body(index..<bytes.count)
            }
        }
        return .needsMore
    }

    private mutating func readBody(
        _ left: Int, _ count: Int, _ index: inout Int, next: (Int) -> State
    ) -> Piece {
        let range = index..<min(count, index + left)
        index = range.upperBound
        self.state = next(left - range.count)
        return .body(range)
    }

    /// Appends to ``text`` up to a line end, which is left out; `false` if it has not come yet.
    private mutating func readLine(_ bytes: UnsafeRawBufferPointer, _ index: inout Int) throws(LoadFault) -> Bool {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[index...])
        let end = rest.offset(of: UInt8(ascii: "\n"))
        self.text.append(contentsOf: rest[..<(end ?? rest.count)])
        index += end.map { $0 + 1 } ?? rest.count
        guard self.text.count <= Self.headBytesMax else { throw LoadFault("a line without end in HTTP") }
        return end != nil
    }

    private mutating func endLine(_ next: State) {
        self.text.removeAll(keepingCapacity: true)
        self.state = next
    }

    private mutating func readChunkSize(_ bytes: UnsafeRawBufferPointer, _ index: inout Int) throws(LoadFault) {
        guard try self.readLine(bytes, &index) else { return }
        let digits = self.text.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: " ") }
        var size = 0
        for byte in digits {
            guard let digit = byte.hexDigit, size < 1 << 40 else { throw LoadFault("a broken chunk") }
            size = size << 4 | Int(digit)
        }
        guard !digits.isEmpty else { throw LoadFault("a broken chunk") }
        self.endLine(size == 0 ? .trailer : .chunk(left: size))
    }

    private mutating func readHead(
        _ bytes: UnsafeRawBufferPointer, _ index: inout Int
    ) throws(LoadFault) -> ResponseHead? {
        // Line by line, so that what follows the head stays where it is.
        while try self.readLine(bytes, &index) {
            self.text.append(UInt8(ascii: "\n"))
            guard self.text.suffix(4).elementsEqual("\r\n\r\n".utf8) else { continue }
            let head = try ResponseHead(self.text)
            self.endLine(Self.state(after: head))
            return head
        }
        return nil
    }

    private static func state(after head: ResponseHead) -> State {
        switch head.status {
        case 101: .endless
        case 100..<200: .head
        case 204, 304: .fixedBody(left: 0)
        default:
            if head.isChunked { .chunkSize } else { head.contentLength.map { .fixedBody(left: $0) } ?? .endless }
        }
    }
}

extension ResponseHead {
    /// - parameter text: status line and fields, each with its line end.
    /// - throws: ``LoadFault`` for what is no HTTP/1.1.
    fileprivate init(_ text: [UInt8]) throws(LoadFault) {
        let lines = text.split(separator: UInt8(ascii: "\n"))
        guard let first = lines.first, first.starts(with: "HTTP/1.".utf8), first.count >= 12,
            let status = Self.number(first[(first.startIndex + 9)..<(first.startIndex + 12)])
        else { throw LoadFault("no HTTP/1.1") }
        self.status = status
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = Self.trimmed(line[(colon + 1)...])
            // Length first: it tells most fields apart, and this runs for each answer.
            switch colon - line.startIndex {
            case 11 where Self.isName("retry-after", line): self.retryAfterSeconds = Self.number(value)
            case 12 where Self.isName("event-cursor", line): self.eventCursor = Array(value)
            case 14 where Self.isName("content-length", line): self.contentLength = Self.number(value)
            case 17 where Self.isName("transfer-encoding", line): self.isChunked = true
            default: break
            }
        }
    }

    private static func isName(_ name: String, _ line: ArraySlice<UInt8>) -> Bool {
        zip(name.utf8, line).allSatisfy { $0 == $1 | ($1 >= UInt8(ascii: "A") && $1 <= UInt8(ascii: "Z") ? 0x20 : 0) }
    }

    private static func trimmed(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\r") || byte == 9 }
        return value.drop(while: isSpace).prefix { !isSpace($0) }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count < 16 else { return nil }
        var value = 0
        for byte in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return value
    }
}
