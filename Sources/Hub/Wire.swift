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
    /// What a wire that has other words than the envelope makes them of; `nil` for what the stream itself says.
    package let event: Event?

    package init(
        id: String?, type: String, envelope: String, retryMilliseconds: Int64? = nil, event: Event? = nil
    ) {
        self.event = event
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
    /// Whether its clients know how to come back where they were, so that their streams may be ended at any time.
    package let rotates: Bool
    /// Whether who types is told so.
    package let echoesTyping: Bool
    /// Appends the frame's bytes; none for what the wire has no words for.
    package let encode: @Sendable (WireFrame, inout ByteBuffer) -> Void

    package static let slotCount = 5

    package init(
        slot: Int, transport: Transport, rotates: Bool = true, echoesTyping: Bool = true,
        encode: @escaping @Sendable (WireFrame, inout ByteBuffer) -> Void
    ) {
        self.slot = slot
        self.transport = transport
        self.rotates = rotates
        self.echoesTyping = echoesTyping
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
    func finish(_ reason: StreamEndReason, grace: Duration)
}

/// Why the server ends a stream; `stream.end` says it.
package enum StreamEndReason: String, Sendable, CaseIterable {
    case rotate, drain, revoked, expired, replaced, slow, limit
    /// An admin cut it.
    case cut
}
