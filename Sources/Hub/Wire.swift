package import Core
package import NIOCore

/// What a wire writes once for all its readers.
package struct WireFrame: Sendable {
    /// The SSE `id`; `nil` for an ephemeral event.
    package let id: String?
    package let type: String
    /// The JSON envelope, one line.
    package let envelope: String
    /// SSE `retry:`, with a deliberate end.
    package let retryMilliseconds: Int64?

    package init(id: String?, type: String, envelope: String, retryMilliseconds: Int64? = nil) {
        self.id = id
        self.type = type
        self.envelope = envelope
        self.retryMilliseconds = retryMilliseconds
    }
}

/// How frames look on one kind of stream. The hub encodes each event once for each wire, never for each reader.
package struct Wire: Sendable {
    /// Where encoded frames are kept: 0 ..< ``slotCount``, one for each wire that exists.
    package let slot: Int
    package let transport: Transport
    /// Appends the frame's bytes.
    package let encode: @Sendable (WireFrame, inout ByteBuffer) -> Void

    package static let slotCount = 4

    package init(
        slot: Int, transport: Transport, encode: @escaping @Sendable (WireFrame, inout ByteBuffer) -> Void
    ) {
        self.slot = slot
        self.transport = transport
        self.encode = encode
    }
}

/// The connection under a stream. Used on its event loop only.
package protocol StreamSink: AnyObject {
    /// Whether each write must be an HTTP/1.1 chunk (RFC 9112, 7.1); the hub frames it, once for all readers.
    var isChunked: Bool { get }
    /// `false` when the reader is behind its connection; the sink then calls the hub when it changes.
    var isWritable: Bool { get }
    /// Bytes that were written and wait for the kernel.
    var pendingBytes: Int { get }
    /// Bytes that the kernel took in all; grows when a reader makes progress.
    var takenBytes: Int { get }
    /// Writes and flushes; bytes are whole frames.
    func write(_ bytes: ByteBuffer)
    /// Nothing follows: ends the response; the connection is closed if it has not taken everything after `grace`.
    func finish(grace: Duration)
}

/// Why the server ends a stream; `stream.end` says it.
package enum StreamEndReason: String, Sendable, CaseIterable {
    case rotate, drain, revoked, expired, replaced, slow, limit
    /// An admin cut it.
    case cut
}
