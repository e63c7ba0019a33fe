package import Core
package import NIOCore
import Synchronization

/// An event with its encodings, made when first asked for and shared by all loops and readers.
///
/// A busy server holds thousands of these, so what is made for one wire is not kept for another.
package final class LoggedEvent: Sendable {
    package let event: Event
    private let epoch: String
    private let encodings = Mutex(Encodings())

    private struct Encodings {
        var envelope: String?
        var frames = [ByteBuffer?](repeating: nil, count: Wire.slotCount)
    }

    package init(_ event: Event, epoch: String) {
        self.event = event
        self.epoch = epoch
    }

    /// The JSON envelope that a poll's answer carries.
    package var envelope: String {
        self.encodings.withLock { encodings in
            if let envelope = encodings.envelope { return envelope }
            let envelope = self.event.envelope(epoch: self.epoch)
            encodings.envelope = envelope
            return envelope
        }
    }

    /// The frame for one wire.
    package func frame(for wire: Wire) -> ByteBuffer {
        self.encodings.withLock { encodings in
            if let frame = encodings.frames[wire.slot] { return frame }
            let envelope = encodings.envelope ?? self.event.envelope(epoch: self.epoch)
            var buffer = ByteBufferAllocator().buffer(capacity: envelope.utf8.count + 128)
            let id = self.event.type == .typing ? nil : "\(self.epoch).\(self.event.seq)"
            let frame = WireFrame(
                id: id, type: self.event.type.rawValue, envelope: envelope, event: self.event)
            wire.encode(frame, &buffer)
            encodings.frames[wire.slot] = buffer
            return buffer
        }
    }

    /// What it weighs in memory, roughly: its data and up to two encodings.
    var weight: Int { self.event.data.utf8.count * 3 + 512 }
}
