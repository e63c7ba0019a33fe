import Core
import Hub
import NIOCore
import Synchronization

/// A connection whose window the test opens and closes.
final class FakeSink: StreamSink, Sendable {
    struct State {
        var isWritable = true
        /// Bytes until it turns unwritable by itself; `nil`: never.
        var window: Int?
        var writes: [String] = []
        /// All frames so far, in order; of a connection without chunks.
        var frames: [Frame] = []
        var pendingBytes = 0
        var takenBytes = 0
        var finishedAfter: Duration?
        var writesWhenFull = 0
    }

    let isChunked: Bool
    private let state: Mutex<State>

    init(isChunked: Bool = false, window: Int? = nil) {
        self.isChunked = isChunked
        self.state = Mutex(State(window: window))
    }

    var isWritable: Bool { self.state.withLock { $0.isWritable } }
    var pendingBytes: Int { self.state.withLock { $0.pendingBytes } }
    var takenBytes: Int { self.state.withLock { $0.takenBytes } }
    var writes: [String] { self.state.withLock { $0.writes } }
    var isFinished: Bool { self.state.withLock { $0.finishedAfter != nil } }
    /// Writes of more than a control frame to a full connection.
    var writesWhenFull: Int { self.state.withLock { $0.writesWhenFull } }

    func update(_ body: (inout State) -> Void) { self.state.withLock { body(&$0) } }

    func write(_ bytes: ByteBuffer) {
        self.state.withLock { state in
            let text = String(buffer: bytes)
            state.writes.append(text)
            if !self.isChunked { state.frames += text.split(separator: "\n").map { Frame(line: String($0)) } }
            if !state.isWritable, !text.contains("stream.") { state.writesWhenFull += 1 }
            if let window = state.window {
                state.window = window - bytes.readableBytes
                if window <= bytes.readableBytes { state.isWritable = false }
            }
        }
    }

    func finish(_ reason: StreamEndReason, grace: Duration) { self.state.withLock { $0.finishedAfter = grace } }

    /// All frames so far, in order; of a connection without chunks.
    var frames: [Frame] { self.state.withLock { $0.frames } }
    /// The seqs of what came from the log.
    var seqs: [Int64] { self.frames.filter { !$0.isControl && $0.id != nil }.compactMap(\.seq) }
    var types: [String] { self.frames.map(\.type) }

    /// A frame as ``Wire/lines`` writes it: `id type envelope`.
    struct Frame: Sendable {
        let id: String?
        let type: String
        let envelope: String

        init(line: String) {
            let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
            self.id = parts[0] == "-" ? nil : parts[0]
            self.type = parts[1]
            self.envelope = parts[2]
        }

        var seq: Int64? { self.id.flatMap { Cursor($0)?.seq } }
        var isControl: Bool { self.type.hasPrefix("stream.") }
        /// The envelope's `data`.
        var data: JSONValue { (try? JSON.decode(JSONValue.self, from: self.envelope))?["data"] ?? .null }
    }
}

extension Wire {
    /// One line a frame: `id type envelope`, `-` for no id.
    static let lines = Wire(slot: 0, transport: .ndjson) { frame, buffer in
        buffer.writeString("\(frame.id ?? "-") \(frame.type) \(frame.envelope)\n")
    }
}
