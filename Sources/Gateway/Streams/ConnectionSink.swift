import Core
import Hub
import NIOCore

/// A stream's bytes on their way to an HTTP/1.1 connection, below the encoder: chunks as the hub framed them, or
/// WebSocket frames.
final class ConnectionSink: StreamSink {
    let isChunked: Bool
    private let channel: any Channel
    private let context: ChannelHandlerContext
    /// Done when nothing more is to be written; the response then ends.
    private let finished: EventLoopPromise<Void>
    private var isFinished = false
    private var writtenBytes = 0
    /// The whole response was written: what is pending on the connection from now on is somebody else's.
    var isResponseComplete = false

    init(isChunked: Bool, context: ChannelHandlerContext, finished: EventLoopPromise<Void>) {
        self.isChunked = isChunked
        self.channel = context.channel
        self.context = context
        self.finished = finished
    }

    var isWritable: Bool { self.channel.isWritable }
    var pendingBytes: Int { (try? self.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }
    var takenBytes: Int { self.writtenBytes - self.pendingBytes }

    func write(_ bytes: ByteBuffer) {
        guard !self.isFinished, self.channel.isActive else { return }
        self.writtenBytes += bytes.readableBytes
        self.context.writeAndFlush(NIOAny(bytes), promise: nil)
    }

    func finish(grace: Duration) {
        guard !self.isFinished else { return }
        self.isFinished = true
        self.finished.succeed()
        let sink = NIOLoopBound(self, eventLoop: self.channel.eventLoop)
        self.channel.eventLoop.scheduleTask(in: .milliseconds(grace.milliseconds)) {
            // A reader that takes nothing does not get to keep the connection and what is buffered for it.
            if !sink.value.isResponseComplete { sink.value.channel.close(promise: nil) }
        }
    }

    /// The connection is gone.
    func closed() {
        self.isFinished = true
        self.finished.succeed()
    }
}
