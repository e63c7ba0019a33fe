import Core
import Synchronization

/// When each device last asked for something or polled, and when its last reader ended; forgotten after a while.
///
/// Two generations, the older of which is dropped whole, so that forgetting costs nothing for a single device. What is
/// remembered is bounded by the devices that were active within two of them.
final class SignsOfLife: Sendable {
    /// Longer than anybody asks back: a lease with its grace.
    private static let generation = Limits.leaseHeld + Limits.leaseGrace + .seconds(15)

    private struct Signs {
        var askedAt: Timestamp?
        var readUntil: Timestamp?
        var polledAt: Timestamp?
    }

    private struct State {
        var recent: [DeviceID: Signs] = [:]
        var older: [DeviceID: Signs] = [:]
        var recentSince = Timestamp(milliseconds: 0)

        mutating func note(_ device: DeviceID, at now: Timestamp, _ change: (inout Signs) -> Void) {
            if now.duration(since: self.recentSince) >= SignsOfLife.generation {
                self.older = self.recent
                self.recent = [:]
                self.recentSince = now
            }
            change(&self.recent[device, default: self.older[device] ?? Signs()])
        }
    }

    private let state = Mutex(State())

    func asked(_ device: DeviceID, at now: Timestamp) {
        self.state.withLock { $0.note(device, at: now) { $0.askedAt = now } }
    }

    func polled(_ device: DeviceID, at now: Timestamp) {
        self.state.withLock { $0.note(device, at: now) { $0.polledAt = now } }
    }

    func stoppedReading(_ device: DeviceID, byPoll: Bool, at now: Timestamp) {
        self.state.withLock { state in
            state.note(device, at: now) { signs in
                signs.readUntil = now
                if byPoll { signs.polledAt = now }
            }
        }
    }

    /// `nil` if it did not poll, as far as is remembered.
    func polledAt(_ device: DeviceID) -> Timestamp? {
        self.state.withLock { ($0.recent[device] ?? $0.older[device])?.polledAt }
    }

    /// As far as it is remembered; whether the device reads is not known here.
    func activity(of device: DeviceID) -> DeviceActivity {
        let signs = self.state.withLock { $0.recent[device] ?? $0.older[device] }
        return DeviceActivity(askedAt: signs?.askedAt, readUntil: signs?.readUntil)
    }
}
