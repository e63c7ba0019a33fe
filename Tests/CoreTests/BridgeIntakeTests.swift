import Core
import Hub
import TestSupport
import Testing

/// What becomes of what a remote room says, and of what is said here.
struct BridgeIntakeTests {
    private let store = MemoryStore()
    private let ids = IDSource.seeded(1)
    private let name = BridgeName(known: "durable")

    private func message(
        _ content: String, id: String? = "r1", from author: String = "rudi", metadata: JSONValue? = nil
    ) -> RemoteMessage {
        RemoteMessage(
            id: id, author: RemotePerson(id: "session-\(author)", username: author, color: "#123456"), content: content,
            metadata: metadata)
    }

    /// Ani's room, bridged.
    private func bridged(_ room: String = "lobby") async throws -> Acting {
        let (ids, name) = (self.ids, self.name)
        return try await self.store.write { store in
            let user = try store.signUp(NewUser(username: "ani"), refreshTokenHash: "h", now: .fixture, ids: ids).user
            let acting = Acting(user: user, device: DeviceID(known: "ses_x"), now: .fixture, ids: ids)
            _ = try store.createRoom(NewRoom(name: room), as: acting)
            _ = try store.createBridge(
                NewBridge(
                    name: name.text, room: .name(room), target: BridgeTarget(url: "ws://far/{room}", remoteRoom: "r")),
                by: nil, now: .fixture)
            return acting
        }
    }

    private func takeIn(_ message: RemoteMessage, at now: Timestamp = .fixture) async throws -> BridgeIntake {
        let (ids, name) = (self.ids, self.name)
        return try await self.store.write {
            try $0.takeIn(message, over: name, joinedMax: 8, now: now, ids: ids)
        }
    }

    private func history() async throws -> [(message: Message, user: User)] {
        try await self.store.read { store in
            let room = try #require(try store.room(name: "lobby"))
            return try store.messages(MessageQuery(room: room.id, afterSeq: 0, limit: 100))
        }
    }

    @Test func aRemoteMessageIsWrittenInItsAuthorsNameOnce() async throws {
        _ = try await self.bridged()
        guard case .taken(let author) = try await self.takeIn(self.message("halo")) else {
            Issue.record("not taken")
            return
        }
        guard case .known = try await self.takeIn(self.message("halo")) else {
            Issue.record("taken twice")
            return
        }
        let found = try await self.history()
        #expect(found.map(\.message.content) == ["halo"] && found.first?.message.origin == .bridge)
        #expect(found.first?.user.kind == .bridged && found.first?.user.displayName == "rudi")
        #expect(found.first?.user.id == author.user)
        let waiting = try await self.store.read { try $0.outboxCount(of: author.bridge) }
        #expect(waiting == 0, "it does not go back")
    }

    @Test func whatIsSaidHereWaitsInTheOutboxFromItsOwnWriteOn() async throws {
        let acting = try await self.bridged()
        let name = self.name
        let posted = try await self.store.write { store in
            try store.postMessage(NewMessage(content: "halo"), in: .name("lobby"), as: acting)
        }
        let entries = try await self.store.read {
            try $0.outbox(of: name, user: acting.user.id, after: 0, limit: 10)
        }
        #expect(entries.map(\.message) == [posted.id] && entries.map(\.seq) == [posted.seq])
    }

    @Test func aMessageThatComesBackByItsMarkIsKnown() async throws {
        let acting = try await self.bridged()
        let posted = try await self.store.write { store in
            try store.postMessage(NewMessage(content: "halo"), in: .name("lobby"), as: acting)
        }
        let own = BridgeMark(id: posted.id.text, via: ["elsewhere"])
        guard case .known = try await self.takeIn(self.message("halo", id: "r2", metadata: JSONValue?.none.marked(own)))
        else {
            Issue.record("a message of ours came back as another one")
            return
        }
        let foreign = JSONValue?.none.marked(BridgeMark(id: "msg_far", via: ["far"]))
        guard case .taken = try await self.takeIn(self.message("baru", id: "r3", metadata: foreign)),
            case .known = try await self.takeIn(self.message("baru", id: "r4", metadata: foreign))
        else {
            Issue.record("a mark is one message")
            return
        }
        let stored = try await self.history().last?.message.metadata.map { try JSON.decode(JSONValue.self, from: $0) }
        #expect(BridgeMark(in: stored ?? nil) == BridgeMark(id: "msg_far", via: ["far"]), "it stays known further on")
    }

    @Test func whatOneRoomHasSaysNothingOfAnother() async throws {
        let acting = try await self.bridged()
        let (ids, second) = (self.ids, BridgeName(known: "second"))
        let secret = try await self.store.write { store in
            _ = try store.createRoom(NewRoom(name: "other"), as: acting)
            let target = BridgeTarget(url: "ws://far/{room}", remoteRoom: "r")
            _ = try store.createBridge(
                NewBridge(name: second.text, room: .name("other"), target: target), by: nil, now: .fixture)
            return try store.postMessage(NewMessage(content: "rahasia"), in: .name("other"), as: acting)
        }
        // Two rooms here, bridged to the same one there: each takes in what is said there.
        let there = self.message("halo", id: "an id that is unique in the world")
        for name in [self.name, second] {
            for isFirst in [true, false] {
                let intake = try await self.store.write {
                    try $0.takeIn(there, over: name, joinedMax: 8, now: .fixture, ids: ids)
                }
                let isTaken = if case .taken = intake { true } else { false }
                #expect(isTaken == isFirst)
            }
        }
        let mark = JSONValue?.none.marked(BridgeMark(id: secret.id.text, via: []))
        try await self.store.read { store in
            let (lobby, other) = (
                try #require(try store.room(name: "lobby")), try #require(try store.room(name: "other"))
            )
            #expect(try store.knownMessage(marked: mark, in: lobby.id) == nil)
            #expect(try store.knownMessage(marked: mark, in: other.id)?.message.id == secret.id)
        }
    }

    @Test func aMessageThatWentThroughHereOrTooFarIsDropped() async throws {
        _ = try await self.bridged()
        let instance = try await self.store.read { try $0.instance() }
        let far = (0..<Limits.bridgeStationsMax).map { "s\($0)" }
        for via in [["x", instance], far] {
            let metadata = JSONValue?.none.marked(BridgeMark(id: "msg_some", via: via))
            guard case .known = try await self.takeIn(self.message("lagi", id: "r5", metadata: metadata)) else {
                Issue.record("taken though it went by \(via)")
                return
            }
        }
        #expect(try await self.history().isEmpty)
    }

    @Test func usersCannotForgeMarks() async throws {
        let acting = try await self.bridged()
        let forged = NewMessage(
            content: "halo", metadata: .object(["_comblang": BridgeMark(id: "x", via: []).json, "a": .bool(true)]))
        let posted = try await self.store.write { try $0.postMessage(forged, in: .name("lobby"), as: acting) }
        #expect(posted.metadata == #"{"a":true}"#)
    }

    @Test func whatIsTooMuchIsCutAndNotRefused() async throws {
        _ = try await self.bridged()
        let long = String(repeating: "a", count: Limits.messageCharactersMax + 5)
        let large = JSONValue.object(["x": .string(String(repeating: "b", count: Limits.metadataBytesMax))])
        _ = try await self.takeIn(self.message(long, metadata: large))
        let found = try #require(try await self.history().first?.message)
        #expect(found.content.count == Limits.messageCharactersMax)
        #expect((found.metadata?.utf8.count ?? 0) < 200)
        let name = RemotePerson(
            id: "q", username: "\u{7}\u{202E}\u{2028}\u{FEFF}\u{2067}" + String(repeating: "n", count: 200),
            color: "red")
        _ = try await self.takeIn(RemoteMessage(id: "r9", author: name, content: "b", metadata: nil))
        let author = try #require(try await self.history().last?.user)
        #expect(author.displayName == String(repeating: "n", count: Limits.displayNameCharactersMax))
        #expect(User.isValid(color: author.color) && User.isValid(username: author.username ?? ""))
    }

    @Test func whoWasRemovedByAModeratorStaysOut() async throws {
        let acting = try await self.bridged()
        guard case .taken(let author) = try await self.takeIn(self.message("halo")) else { return }
        try await self.store.write { try $0.removeMember(.id(author.user), of: .name("lobby"), as: acting) }
        guard case .refused = try await self.takeIn(self.message("lagi", id: "r2")) else {
            Issue.record("they speak on")
            return
        }
        #expect(try await self.history().count == 1)
    }

    @Test func theUserWhoWasAwayForLongestMakesRoomAndTheOldAreForgotten() async throws {
        _ = try await self.bridged()
        let (ids, name) = (self.ids, self.name)
        try await self.store.write { store in
            for number in 0..<(Limits.bridgedUsersMax + 1) {
                let person = RemotePerson(id: "s\(number)", username: "u\(number)", color: "")
                let now = Timestamp.fixture.advanced(by: .milliseconds(Int64(number)))
                _ = try store.bridgedUserSeen(person, over: name, now: now, ids: ids)
            }
            let users = try store.bridgedUsers(of: name)
            #expect(users.count == Limits.bridgedUsersMax && users.first?.remoteID == "s1")
        }
        let later = Timestamp.fixture.advanced(by: Limits.bridgedUserLifetime + .seconds(7200))
        try await self.store.write { store in
            let stays = try #require(try store.bridgedUsers(of: name).first)
            try store.expireBridgedUsers(of: name, but: [stays.user], now: later, ids: ids, limit: .max)
            #expect(try store.bridgedUsers(of: name) == [stays])
        }
    }

    @Test func aFullOutboxKeepsNobodyFromTalking() async throws {
        let acting = try await self.bridged()
        let name = self.name
        try await self.store.write { store in
            let first = try store.postMessage(NewMessage(content: "satu"), in: .name("lobby"), as: acting)
            for number in 1..<Int64(Limits.bridgeOutboxMax) {
                try store.insert(
                    OutboxEntry(seq: -number, bridge: name, user: acting.user.id, message: first.id))
            }
        }
        try await self.store.write { store in
            _ = try store.postMessage(NewMessage(content: "dua"), in: .name("lobby"), as: acting)
            let waiting = try store.outboxCount(of: name)
            #expect(waiting == Limits.bridgeOutboxMax)
        }
        #expect(try await self.history().count == 2)
    }
}
