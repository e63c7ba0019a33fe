import Core
import Hub
import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A stream's bytes on their way to an HTTP/1.1 connection, below the encoder: chunks as the hub framed them, or
/// WebSocket frames.
///
/// They go straight to the socket where the channel holds nothing back. A fan-out consists of little else than these
/// calls; the way through the channel costs half as much again as the kernel does, most of it for touching memory that
/// is in no cache. What the kernel does not take, and every error, is the channel's.
final class ConnectionSink: StreamSink {
    // What a write looks at stands together; see ``Subscriber``.

    let isChunked: Bool
    /// Whether the channel may hold bytes that its socket has not taken yet: others write to it as well.
    var channelHoldsBytes = true
    private var isFinished = false
    /// The socket, as long as it is this connection's; -1 for none, or where there is TLS in between.
    private var descriptor: NIOBSDSocket.Handle
    private var writtenBytes = 0

    private let context: ChannelHandlerContext
    /// Done when nothing more is to be written; the response then ends.
    private let finished: EventLoopPromise<Void>
    /// The whole response was written: what is pending on the connection from now on is somebody else's.
    var isResponseComplete = false

    /// - parameter context: the ``ConnectionHandler``'s.
    init(isChunked: Bool, context: ChannelHandlerContext, finished: EventLoopPromise<Void>) {
        self.isChunked = isChunked
        self.context = context
        self.finished = finished
        let operations = context.channel.pipeline.syncOperations
        self.descriptor = (try? operations.withUnsafeTransportIfAvailable { (socket: NIOBSDSocket.Handle) in socket }) ?? -1
    }

    var isWritable: Bool { !self.channelHoldsBytes || self.context.channel.isWritable }

    var pendingBytes: Int {
        guard self.channelHoldsBytes else { return 0 }
        let pending = (try? self.context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        self.channelHoldsBytes = pending > 0
        return pending
    }

    var takenBytes: Int { self.writtenBytes - self.pendingBytes }

    func write(_ bytes: ByteBuffer) {
        guard !self.isFinished else { return }
        self.writtenBytes += bytes.readableBytes
        var rest = bytes
        if self.descriptor >= 0, self.pendingBytes == 0 {
            let sent = bytes.withUnsafeReadableBytes {
                send(self.descriptor, $0.baseAddress, $0.count, Self.sendFlags)
            }
            if sent == bytes.readableBytes { return }
            if sent > 0 { rest.moveReaderIndex(forwardBy: sent) }
        }
        self.channelHoldsBytes = true
        self.context.writeAndFlush(NIOAny(IOData.byteBuffer(rest)), promise: nil)
    }

    /// A socket that is gone is an error here, not a signal.
    private static let sendFlags = Int32(MSG_NOSIGNAL)

    func finish(grace: Duration) {
        guard !self.isFinished else { return }
        self.isFinished = true
        self.finished.succeed()
        let sink = NIOLoopBound(self, eventLoop: self.context.eventLoop)
        self.context.eventLoop.scheduleTask(in: .milliseconds(grace.milliseconds)) {
            // A reader that takes nothing does not get to keep the connection and what is buffered for it.
            if !sink.value.isResponseComplete { sink.value.context.close(promise: nil) }
        }
    }

    /// The connection is gone, and with it the number of its socket.
    func closed() {
        self.descriptor = -1
        self.isFinished = true
        self.finished.succeed()
    }
}
