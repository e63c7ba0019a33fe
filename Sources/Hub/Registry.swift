package import Core
import Synchronization

/// Who reads at the moment, over all loops: for the limits, for `delivery: live`, for presence and for replacing.
package final class Registry: Sendable {
    /// One open stream, or one waiting poll.
    struct Entry: Sendable {
        let subscription: Subscription
        let loop: Int
        /// A newer stream of the same ticket was opened, perhaps before this one began.
        var isReplaced = false
        /// Its client said goodbye: nobody waits for its return.
        var isGoodbye = false
    }

    private struct State {
        var nextID: Int = 1
        var entries: [Int: Entry] = [:]
        var byDevice: [DeviceID: Readers] = [:]
        var byUser: [UserID: Readers] = [:]
        var byTicket: [String: Int] = [:]
        /// When the user's last reader left, for those who have none.
        var lastSeen: [UserID: Timestamp] = [:]
        /// Those who are there at the other end of a bridge, by their devices here.
        var bridged: [BridgeName: [DeviceID: UserID]] = [:]

        func isBridged(_ device: DeviceID) -> Bool { self.bridged.values.contains { $0[device] != nil } }

        func bridgedDevice(of user: UserID) -> DeviceID? {
            self.bridged.values.lazy.compactMap { $0.first { $0.value == user }?.key }.first
        }
    }

    /// The readers of one device, or of one user.
    private struct Readers {
        var streams: Set<Int> = []
        var polls: Set<Int> = []

        var isEmpty: Bool { self.streams.isEmpty && self.polls.isEmpty }
        var all: Set<Int> { self.streams.union(self.polls) }

        /// How many there are of one kind, the one that is to be replaced left out.
        func count(ofPolls isPoll: Bool, but older: Int?) -> Int {
            let ids = isPoll ? self.polls : self.streams
            return ids.count - (older.map { ids.contains($0) } == true ? 1 : 0)
        }

        mutating func insert(_ id: Int, isPoll: Bool) {
            if isPoll { self.polls.insert(id) } else { self.streams.insert(id) }
        }

        mutating func remove(_ id: Int) {
            if self.polls.remove(id) == nil { self.streams.remove(id) }
        }
    }

    /// When devices last gave a sign of life; what leases are decided by.
    let signsOfLife = SignsOfLife()
    private let state = Mutex(State())
    private let settings: HubSettings
    private let time: any TimeSource

    init(settings: HubSettings, time: any TimeSource) {
        self.settings = settings
        self.time = time
    }

    /// A place among the bounded ones; given back when it goes away.
    package final class Reservation: Sendable {
        package let id: Int
        private let registry: Registry

        fileprivate init(id: Int, registry: Registry) {
            self.id = id
            self.registry = registry
        }

        deinit { self.registry.remove(self.id) }
    }

    /// Takes a place, or says that there is none: 8 streams for each device, 32 for each user. Polls that wait have
    /// places of their own, as many.
    ///
    /// - returns: the place, and the older stream of the same ticket that must end.
    /// - throws: ``Problem`` `too-many-streams`.
    func reserve(
        _ subscription: Subscription, loop: Int
    ) throws(Problem) -> (Reservation, replaced: (id: Int, loop: Int)?) {
        let reserved: (id: Int, replaced: (id: Int, loop: Int)?)? = self.state.withLock { state in
            let older = subscription.ticket.flatMap { state.byTicket[$0] }
            let isPoll = subscription.transport == .poll
            guard
                state.byDevice[subscription.device, default: Readers()].count(ofPolls: isPoll, but: older)
                    < self.settings.streamsPerDeviceMax,
                state.byUser[subscription.user, default: Readers()].count(ofPolls: isPoll, but: older)
                    < self.settings.streamsPerUserMax
            else { return nil }
            let id = state.nextID
            state.nextID += 1
            state.entries[id] = Entry(subscription: subscription, loop: loop)
            state.byDevice[subscription.device, default: Readers()].insert(id, isPoll: isPoll)
            state.byUser[subscription.user, default: Readers()].insert(id, isPoll: isPoll)
            state.lastSeen[subscription.user] = nil
            if let ticket = subscription.ticket { state.byTicket[ticket] = id }
            if let older { state.entries[older]?.isReplaced = true }
            return (id, older.flatMap { older in state.entries[older].map { (older, $0.loop) } })
        }
        guard let reserved else { throw Problem(.tooManyStreams) }
        return (Reservation(id: reserved.id, registry: self), reserved.replaced)
    }

    /// Whether a newer stream of the same ticket has taken this one's place.
    func isReplaced(_ id: Int) -> Bool { self.state.withLock { $0.entries[id]?.isReplaced ?? false } }

    private func remove(_ id: Int) {
        let now = self.time.now
        self.state.withLock { state in
            guard let entry = state.entries.removeValue(forKey: id) else { return }
            let subscription = entry.subscription
            state.byDevice[subscription.device]?.remove(id)
            if state.byDevice[subscription.device]?.isEmpty == true { state.byDevice[subscription.device] = nil }
            self.signsOfLife.stoppedReading(subscription.device, at: now)
            state.byUser[subscription.user]?.remove(id)
            if state.byUser[subscription.user]?.isEmpty == true {
                state.byUser[subscription.user] = nil
                if !entry.isGoodbye { state.lastSeen[subscription.user] = now }
            }
            if let ticket = subscription.ticket, state.byTicket[ticket] == id { state.byTicket[ticket] = nil }
        }
    }

    /// How many readers of this device would get this event: open streams and waiting polls whose scope and filter
    /// match.
    package func readerCount(of device: DeviceID, for event: Event) -> Int {
        self.state.withLock { state in
            (state.byDevice[device]?.all ?? []).count { id in
                guard let subscription = state.entries[id]?.subscription else { return false }
                return subscription.filter.passes(event, in: subscription.scope)
            } + (state.isBridged(device) ? 1 : 0)
        }
    }

    /// The stream's client closed it and will not come back, so that its user is not there any more if this was all
    /// that they read.
    package func saidGoodbye(_ reservation: Reservation) {
        self.state.withLock { $0.entries[reservation.id]?.isGoodbye = true }
    }

    /// The device by which a user reads frames in a room: that of the newest stream.
    package func seat(of user: UserID, in room: RoomID) -> FrameRecipient.Seat? {
        self.state.withLock { state in
            if let device = state.bridgedDevice(of: user) {
                return FrameRecipient.Seat(device: device, transport: .bridge)
            }
            let entries = (state.byUser[user]?.all ?? []).sorted(by: >).compactMap { state.entries[$0] }
            return entries.first { $0.subscription.readsFrames && $0.subscription.scope == .room(room) }
                .map { FrameRecipient.Seat(device: $0.subscription.device, transport: $0.subscription.transport) }
        }
    }

    /// Whether the user reads anything, or did not longer ago than `grace`.
    package func isPresent(_ user: UserID, grace: Duration) -> Bool {
        let horizon = self.time.now.advanced(by: .zero - grace)
        return self.state.withLock { state in
            state.byUser[user] != nil || state.bridgedDevice(of: user) != nil
                || state.lastSeen[user].map { $0 >= horizon } ?? false
        }
    }

    /// Whether all that the user reads is read by another server for them; `nil` for who reads nothing just now.
    package func isRelayed(_ user: UserID) -> Bool? {
        self.state.withLock { state in
            let entries = (state.byUser[user]?.all ?? []).compactMap { state.entries[$0] }
            return entries.isEmpty ? nil : entries.allSatisfy(\.subscription.isRelayed)
        }
    }

    /// How the device reads: its newest open stream or waiting poll; `nil` if it has none.
    package func transport(of device: DeviceID) -> Transport? {
        self.state.withLock { state in
            if state.isBridged(device) { return .bridge }
            return state.byDevice[device]?.all.max().flatMap { state.entries[$0]?.subscription.transport }
        }
    }

    /// The device asked for something just now.
    package func asked(_ device: DeviceID) { self.signsOfLife.asked(device, at: self.time.now) }

    /// What is known of the device at this moment.
    package func activity(of device: DeviceID) -> DeviceActivity {
        // Readers first: one that ends in between has then left its sign of life.
        let wires = self.wires(of: device)
        var activity = self.signsOfLife.activity(of: device)
        activity.isReading = !wires.isEmpty || self.state.withLock { $0.isBridged(device) }
        activity.readsOneWay = wires.contains { $0.transport == .sse || $0.transport == .ndjson }
        return activity
    }

    /// The device's open streams and waiting polls.
    func wires(of device: DeviceID) -> [(id: Int, loop: Int, transport: Transport)] {
        self.state.withLock { state in
            (state.byDevice[device]?.all ?? []).compactMap { id in
                state.entries[id].map { (id, $0.loop, $0.subscription.transport) }
            }
        }
    }

    /// How many open streams and waiting polls the device has.
    package func readerCount(of device: DeviceID) -> Int { self.wires(of: device).count }

    /// Users with a reader, and those whose last one left not longer ago than `grace`; older ones are forgotten.
    package func usersPresent(grace: Duration) -> Set<UserID> {
        let horizon = self.time.now.advanced(by: .zero - grace)
        return self.state.withLock { state in
            state.lastSeen = state.lastSeen.filter { $0.value >= horizon }
            let bridged = state.bridged.values.flatMap(\.values)
            return Set(state.byUser.keys).union(state.lastSeen.keys).union(bridged)
        }
    }

    /// Who is there at the other end of a bridge: present, and reading, by the one device that each of them has here.
    /// Whoever was there before and is not now has left just now.
    package func setBridged(_ devices: [DeviceID: UserID], by bridge: BridgeName) {
        let now = self.time.now
        self.state.withLock { state in
            for (device, user) in state.bridged[bridge] ?? [:] where devices[device] == nil {
                self.signsOfLife.stoppedReading(device, at: now)
                state.lastSeen[user] = now
            }
            state.bridged[bridge] = devices.isEmpty ? nil : devices
        }
    }

    /// Open streams and waiting polls in all.
    package var readerCount: Int { self.state.withLock { $0.entries.count } }
}
