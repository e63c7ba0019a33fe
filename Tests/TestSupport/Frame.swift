/// A WebSocket frame, encoded and parsed by hand: a second opinion on the code under test.
package struct Frame: Equatable, Sendable, CustomStringConvertible {
    package static let continuation: UInt8 = 0, text: UInt8 = 1, binary: UInt8 = 2
    package static let close: UInt8 = 8, ping: UInt8 = 9, pong: UInt8 = 10

    package var opcode: UInt8
    package var payload: [UInt8]
    package var isFinal = true
    package var reserved: UInt8 = 0
    /// `nil`: not masked.
    package var mask: [UInt8]?

    package init(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, reserved: UInt8 = 0, mask: [UInt8]? = nil) {
        self.opcode = opcode
        self.payload = payload
        self.isFinal = isFinal
        self.reserved = reserved
        self.mask = mask
    }

    /// As a client sends it.
    package static func masked(
        _ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, reserved: UInt8 = 0
    ) -> Frame {
        Frame(opcode, payload, isFinal: isFinal, reserved: reserved, mask: [0x37, 0xFA, 0x21, 0x3D])
    }

    package static func closing(_ code: Int, _ reason: String = "") -> [UInt8] {
        [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8)
    }

    package var bytes: [UInt8] {
        var bytes = [(self.isFinal ? 0x80 : 0) | self.reserved << 4 | self.opcode]
        let maskBit: UInt8 = self.mask == nil ? 0 : 0x80
        let length = self.payload.count
        if length < 126 {
            bytes.append(maskBit | UInt8(length))
        } else if length < 65536 {
            bytes += [maskBit | 126, UInt8(length >> 8), UInt8(length & 0xFF)]
        } else {
            bytes.append(maskBit | 127)
            bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }
        }
        guard let mask else { return bytes + self.payload }
        return bytes + mask + self.payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    package var description: String {
        "Frame(opcode \(self.opcode), final \(self.isFinal), masked \(self.mask != nil), \(self.payload.prefix(40)))"
    }

    package enum ParseError: Error {
        case incomplete(after: [Frame])
        /// A length in more bytes than it needs.
        case wideLength
    }

    /// The frames of these bytes, unmasked.
    package static func parse(_ bytes: [UInt8]) throws -> [Frame] {
        var frames: [Frame] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let frame = try Self.takeFirst(from: &rest) else { throw ParseError.incomplete(after: frames) }
            frames.append(frame)
        }
        return frames
    }

    /// Takes a frame, unmasked; `nil` if it is not there to its end, when nothing is taken.
    package static func takeFirst(from bytes: inout ArraySlice<UInt8>) throws -> Frame? {
        var rest = bytes
        func take(_ count: Int) -> [UInt8]? {
            guard rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        guard let head = take(2) else { return nil }
        var length = Int(head[1] & 0x7F)
        if length > 125 {
            guard let bytes = take(length == 126 ? 2 : 8) else { return nil }
            let lengthMin = length == 126 ? 126 : 65536
            length = bytes.reduce(0) { $0 << 8 | Int($1) }
            guard length >= lengthMin else { throw ParseError.wideLength }
        }
        var mask: [UInt8]?
        if head[1] & 0x80 != 0 {
            guard let bytes = take(4) else { return nil }
            mask = bytes
        }
        guard var payload = take(length) else { return nil }
        if let mask { payload = payload.enumerated().map { $1 ^ mask[$0 % 4] } }
        bytes = rest
        return Frame(
            head[0] & 0x0F, payload, isFinal: head[0] & 0x80 != 0, reserved: head[0] >> 4 & 0x07, mask: mask)
    }
}
