/// Reads a server's WebSocket frames (RFC 6455, section 5.2) as their bytes come; payloads are handed out where they
/// are.
struct FrameReader {
    /// What the next bytes are.
    enum Piece: Equatable {
        /// Part of a text message, as offsets into the bytes that were given; `isLast`: the message ends with it.
        case text(Range<Int>, isLast: Bool)
        case ping([UInt8])
        /// The code, if the frame carries one.
        case close(UInt16?)
        /// All bytes are used up.
        case needsMore
    }

    private struct Frame {
        var opcode: UInt8
        var isFinal: Bool
        var left: Int
    }

    private static let controlPayloadBytesMax = 125
    private static let payloadBytesMax = 1 << 30

    /// The frame whose payload is being read.
    private var frame: Frame?
    /// Of a frame's header, as far as it has come.
    private var header: [UInt8] = []
    /// Of a control frame, as far as it has come.
    private var control: [UInt8] = []

    /// What is at `index`, which moves behind it. Ask again until it needs more.
    ///
    /// - throws: ``LoadFault`` for what no server may send.
    mutating func next(in bytes: UnsafeRawBufferPointer, from index: inout Int) throws(LoadFault) -> Piece {
        while true {
            if self.frame == nil { self.frame = try self.readHeader(bytes, &index) }
            guard var frame = self.frame else { return .needsMore }
            let range = index..<min(bytes.count, index + frame.left)
            index = range.upperBound
            frame.left -= range.count
            let isComplete = frame.left == 0
            self.frame = isComplete ? nil : frame
            switch frame.opcode {
            case 0, 1:
                guard !range.isEmpty || isComplete else { return .needsMore }
                return .text(range, isLast: isComplete && frame.isFinal)
            case 8, 9, 10:
                self.control.append(contentsOf: bytes[range])
                guard isComplete else { return .needsMore }
                defer { self.control.removeAll() }
                if frame.opcode == 9 { return .ping(self.control) }
                if frame.opcode == 8 {
                    return .close(self.control.count < 2 ? nil : UInt16(self.control[0]) << 8 | UInt16(self.control[1]))
                }
            default:
                throw LoadFault("a WebSocket frame that is no text")
            }
        }
    }

    private mutating func readHeader(_ bytes: UnsafeRawBufferPointer, _ index: inout Int) throws(LoadFault) -> Frame? {
        while index < bytes.count {
            self.header.append(bytes[index])
            index += 1
            guard self.header.count >= 2, self.header.count == 2 + Self.lengthBytes(self.header[1]) else { continue }
            defer { self.header.removeAll(keepingCapacity: true) }
            let opcode = self.header[0] & 15
            var length = Int(self.header[1])
            if self.header.count > 2 { length = self.header[2...].reduce(0) { ($0 & (1 << 40 - 1)) << 8 | Int($1) } }
            let max = opcode >= 8 ? Self.controlPayloadBytesMax : Self.payloadBytesMax
            // Bits for extensions that nobody asked for, or a mask, which clients alone apply.
            guard self.header[0] & 0x70 == 0, self.header[1] & 0x80 == 0, length <= max else {
                throw LoadFault("a broken WebSocket frame")
            }
            return Frame(opcode: opcode, isFinal: self.header[0] & 0x80 != 0, left: length)
        }
        return nil
    }

    private static func lengthBytes(_ byte: UInt8) -> Int {
        switch byte & 0x7F {
        case 126: 2
        case 127: 8
        default: 0
        }
    }
}
