package import Core
import NIOCore
import Synchronization

/// Who reads at the moment, over all loops: for the limits, for `delivery: live`, for presence and for replacing.
package final class Registry: Sendable {
    /// One open stream, or one waiting poll, as others see it.
    struct Reader: Sendable {
        let id: Int
        let subscription: Subscription
        let loop: Int
        let address: SocketAddress?
        let openedAt: Timestamp
    }

    private struct Entry {
        let reader: Reader
        let device: Readers
        let user: Readers
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
        var places: [Int: (device: Readers, user: Readers)] = [:]
        /// When the user's last reader left, or polled, for those who have none.
        var lastSeen: [UserID: Timestamp] = [:]
        /// Whose last reader said goodbye, since somebody last asked for these.
        var goodbyes: Set<UserID> = []
        /// Those who are there at the other end of a bridge, by their devices here.
        var bridged: [BridgeName: [DeviceID: UserID]] = [:]

        func isBridged(_ device: DeviceID) -> Bool { self.bridged.values.contains { $0[device] != nil } }

        func bridgedDevice(of user: UserID) -> DeviceID? {
            self.bridged.values.lazy.compactMap { $0.first { $0.value == user }?.key }.first
        }

        /// Those of the subscription's device and user, found or made.
        mutating func readers(of subscription: Subscription) -> (device: Readers, user: Readers) {
            let device = self.byDevice[subscription.device] ?? Readers()
            let user = self.byUser[subscription.user] ?? Readers()
            self.byDevice[subscription.device] = device
            self.byUser[subscription.user] = user
            return (device, user)
        }

        /// Forgets what nobody needs to find any more.
        mutating func tidy(_ device: Readers, _ user: Readers, of subscription: Subscription) {
            if device.isEmpty, device.placeCount == 0 { self.byDevice[subscription.device] = nil }
            guard user.isEmpty, user.placeCount == 0 else { return }
            self.byUser[subscription.user] = nil
            if let lastSeen = user.lastSeen { self.lastSeen[subscription.user] = lastSeen }
        }
    }

    /// The readers of one device, or of one user. Only touched under the registry's lock.
    private final class Readers {
        var streams: Set<Int> = []
        var polls: Set<Int> = []
        /// ``Place``s that are held, read by or not.
        var placeCount = 0
        /// When the last reader left, or polled, if there is none.
        var lastSeen: Timestamp?
        var lastPolled: Timestamp?

        var isEmpty: Bool { self.streams.isEmpty && self.polls.isEmpty }
        var all: Set<Int> { self.streams.union(self.polls) }

        /// How many there are of one kind, the one that is to be replaced left out.
        func count(ofPolls isPoll: Bool, but older: Int?) -> Int {
            let ids = isPoll ? self.polls : self.streams
            return ids.count - (older.map { ids.contains($0) } == true ? 1 : 0)
        }

        func insert(_ id: Int, isPoll: Bool) {
            if isPoll { self.polls.insert(id) } else { self.streams.insert(id) }
        }

        /// - parameter isGoodbye: whether that it was there until now is to be forgotten. What polls goes on polling.
        func remove(_ id: Int, at now: Timestamp, isGoodbye: Bool) {
            if self.polls.remove(id) != nil { self.lastPolled = now } else { self.streams.remove(id) }
            if self.isEmpty { self.lastSeen = isGoodbye ? self.lastPolled : now }
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

    /// What a connection that polls again and again keeps, so that its device and user need not be looked for each
    /// time. It counts as no reader.
    final class Place: Sendable {
        fileprivate let id: Int
        fileprivate let subscription: Subscription
        private let registry: Registry

        fileprivate init(id: Int, _ subscription: Subscription, registry: Registry) {
            self.id = id
            self.subscription = subscription
            self.registry = registry
        }

        deinit { self.registry.remove(self.id, of: self.subscription) }
    }

    func place(for subscription: Subscription) -> Place {
        let id = self.state.withLock { state in
            let id = state.nextID
            state.nextID += 1
            let readers = state.readers(of: subscription)
            readers.device.placeCount += 1
            readers.user.placeCount += 1
            state.places[id] = readers
            return id
        }
        return Place(id: id, subscription, registry: self)
    }

    private func remove(_ place: Int, of subscription: Subscription) {
        self.state.withLock { state in
            guard let (device, user) = state.places.removeValue(forKey: place) else { return }
            device.placeCount -= 1
            user.placeCount -= 1
            state.tidy(device, user, of: subscription)
        }
    }

    /// Takes one of the bounded places of readers, or says that there is none: 8 streams for each device, 32 for each
    /// user. Polls that wait have places of their own, as many.
    ///
    /// - parameter place: of the same subscription.
    /// - returns: the place, and the older stream of the same ticket that must end.
    /// - throws: ``Problem`` `too-many-streams`.
    func reserve(
        _ subscription: Subscription, from address: SocketAddress? = nil, loop: Int, at place: Place? = nil
    ) throws(Problem) -> (Reservation, replaced: (id: Int, loop: Int)?) {
        let now = self.time.now
        let reserved: (id: Int, replaced: (id: Int, loop: Int)?)? = self.state.withLock { state in
            let older = subscription.ticket.flatMap { state.byTicket[$0] }
            let isPoll = subscription.transport == .poll
            let (device, user) = place.flatMap { state.places[$0.id] } ?? state.readers(of: subscription)
            guard device.count(ofPolls: isPoll, but: older) < self.settings.streamsPerDeviceMax,
                user.count(ofPolls: isPoll, but: older) < self.settings.streamsPerUserMax
            else {
                state.tidy(device, user, of: subscription)
                return nil
            }
            let id = state.nextID
            state.nextID += 1
            let reader = Reader(id: id, subscription: subscription, loop: loop, address: address, openedAt: now)
            state.entries[id] = Entry(reader: reader, device: device, user: user)
            device.insert(id, isPoll: isPoll)
            user.insert(id, isPoll: isPoll)
            if let ticket = subscription.ticket { state.byTicket[ticket] = id }
            if let older { state.entries[older]?.isReplaced = true }
            return (id, older.flatMap { older in state.entries[older].map { (older, $0.reader.loop) } })
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
            let subscription = entry.reader.subscription
            // Nobody waits for the return of who said goodbye.
            entry.device.remove(id, at: now, isGoodbye: entry.isGoodbye)
            entry.user.remove(id, at: now, isGoodbye: entry.isGoodbye)
            if entry.user.isEmpty {
                state.lastSeen[subscription.user] = nil
                if entry.isGoodbye { state.goodbyes.insert(subscription.user) }
            }
            state.tidy(entry.device, entry.user, of: subscription)
            self.signsOfLife.stoppedReading(subscription.device, byPoll: subscription.transport == .poll, at: now)
            if let ticket = subscription.ticket, state.byTicket[ticket] == id { state.byTicket[ticket] = nil }
        }
    }

    /// How many readers of this device would get this event: open streams and waiting polls whose scope and filter
    /// match.
    package func readerCount(of device: DeviceID, for event: Event) -> Int {
        self.state.withLock { state in
            (state.byDevice[device]?.all ?? []).count { id in
                guard let subscription = state.entries[id]?.reader.subscription else { return false }
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
            return (state.byUser[user]?.all ?? []).sorted(by: >).compactMap { state.entries[$0]?.reader.subscription }
                .first { $0.readsFrames && $0.scope == .room(room) }
                .map { FrameRecipient.Seat(device: $0.device, transport: $0.transport) }
        }
    }

    /// Whether the user reads anything, or did, or polled, not longer ago than `grace`.
    package func isPresent(_ user: UserID, grace: Duration) -> Bool {
        let horizon = self.time.now.advanced(by: .zero - grace)
        return self.state.withLock { state in
            let readers = state.byUser[user]
            guard readers?.isEmpty != false, state.bridgedDevice(of: user) == nil else { return true }
            return [readers?.lastSeen, state.lastSeen[user]].contains { $0.map { $0 >= horizon } ?? false }
        }
    }

    /// Whether all that the user reads is read by another server for them; `nil` for who reads nothing just now.
    package func isRelayed(_ user: UserID) -> Bool? {
        self.state.withLock { state in
            let entries = (state.byUser[user]?.all ?? []).compactMap { state.entries[$0] }
            return entries.isEmpty ? nil : entries.allSatisfy(\.reader.subscription.isRelayed)
        }
    }

    /// How the device reads: its newest open stream or waiting poll, else by polls, if it polled within
    /// ``Limits/leaseHeld``; `nil` if it does not.
    package func transport(of device: DeviceID) -> Transport? {
        let open = self.state.withLock { state -> Transport? in
            if state.isBridged(device) { return .bridge }
            return state.byDevice[device]?.all.max().flatMap { state.entries[$0]?.reader.subscription.transport }
        }
        if let open { return open }
        let polledAt = self.signsOfLife.polledAt(device)
        return polledAt.map { self.time.now.duration(since: $0) < Limits.leaseHeld } == true ? .poll : nil
    }

    /// The device asked for something just now.
    package func asked(_ device: DeviceID) { self.signsOfLife.asked(device, at: self.time.now) }

    /// The device polled just now: it reads, and its user is there, even if it does not wait for the answer.
    package func polled(_ subscription: Subscription) {
        let now = self.time.now
        self.signsOfLife.polled(subscription.device, at: now)
        self.state.withLock { state in
            guard let readers = state.byUser[subscription.user] else {
                return state.lastSeen[subscription.user] = now
            }
            readers.lastPolled = now
            if readers.isEmpty { readers.lastSeen = now }
        }
    }

    /// Those whose last reader said goodbye since this was last asked for, back by now or not.
    func takeGoodbyes() -> Set<UserID> {
        self.state.withLock { state in
            defer { state.goodbyes = [] }
            return state.goodbyes
        }
    }

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
                state.entries[id].map { (id, $0.reader.loop, $0.reader.subscription.transport) }
            }
        }
    }

    /// How many open streams and waiting polls the device has.
    package func readerCount(of device: DeviceID) -> Int { self.wires(of: device).count }

    /// Users with a reader, and those whose last one left, or who polled, not longer ago than `grace`; older ones are
    /// forgotten.
    package func usersPresent(grace: Duration) -> Set<UserID> {
        let horizon = self.time.now.advanced(by: .zero - grace)
        return self.state.withLock { state in
            state.lastSeen = state.lastSeen.filter { $0.value >= horizon }
            let reading = state.byUser.filter { !$0.value.isEmpty || $0.value.lastSeen.map { $0 >= horizon } == true }
            return Set(reading.keys).union(state.lastSeen.keys).union(state.bridged.values.flatMap(\.values))
        }
    }

    /// Who is there at the other end of a bridge: present, and reading, by the one device that each of them has here.
    /// Whoever was there before and is not now has left just now.
    package func setBridged(_ devices: [DeviceID: UserID], by bridge: BridgeName) {
        let now = self.time.now
        self.state.withLock { state in
            for (device, user) in state.bridged[bridge] ?? [:] where devices[device] == nil {
                self.signsOfLife.stoppedReading(device, byPoll: false, at: now)
                state.lastSeen[user] = now
            }
            state.bridged[bridge] = devices.isEmpty ? nil : devices
        }
    }

    /// Open streams and waiting polls, ascending by id; at most `limit`.
    func readers(of user: UserID?, by transport: Transport?, after: Int, limit: Int) -> [Reader] {
        let found = self.state.withLock { state in
            state.entries.values.map(\.reader).filter { reader in
                reader.id > after && user.map { reader.subscription.user == $0 } ?? true
                    && transport.map { reader.subscription.transport == $0 } ?? true
            }
        }
        return Array(found.sorted { $0.id < $1.id }.prefix(limit))
    }

    /// The loop of an open stream or a waiting poll; `nil` if there is none of this id any more.
    func loop(of id: Int) -> Int? { self.state.withLock { $0.entries[id]?.reader.loop } }

    /// Open streams and waiting polls by how they read; a transport that nobody uses is left out.
    package var readerCounts: [Transport: Int] {
        self.state.withLock {
            $0.entries.values.reduce(into: [:]) { $0[$1.reader.subscription.transport, default: 0] += 1 }
        }
    }

    /// Open streams and waiting polls in all.
    package var readerCount: Int { self.state.withLock { $0.entries.count } }
}
