import NIOCore

/// Cuts a stream of bytes into lines; a line that never ends is an error, not a growing buffer.
struct LineReader {
    /// An event's data is at most a request body, escaped.
    static let lineBytesMax = 4 * 1024 * 1024

    private var buffer = ByteBuffer()

    /// Takes what arrived and returns the lines that it completes, without their line ends.
    ///
    /// - throws: ``CommandFailure`` for a line of more than ``lineBytesMax``.
    mutating func lines(adding chunk: ByteBuffer) throws(CommandFailure) -> [String] {
        // What is already here holds no line end: each byte is looked at once.
        var searchFrom = self.buffer.readableBytes
        self.buffer.writeImmutableBuffer(chunk)
        var lines: [String] = []
        while let end = self.buffer.readableBytesView.dropFirst(searchFrom).firstIndex(of: UInt8(ascii: "\n")) {
            let length = end - self.buffer.readerIndex
            lines.append(self.buffer.readString(length: length) ?? "")
            self.buffer.moveReaderIndex(forwardBy: 1)
            searchFrom = 0
        }
        self.buffer.discardReadBytes()
        guard self.buffer.readableBytes <= Self.lineBytesMax else {
            throw CommandFailure("the server sent a line of more than \(Self.lineBytesMax) bytes")
        }
        return lines
    }
}
