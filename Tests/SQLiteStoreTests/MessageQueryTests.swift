import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Every combination of filters finds the same in the database as in a plain walk over all messages.
@Suite struct MessageQueryTests {
    private static let rooms: [RoomID] = (1...3).map { .fixture($0) }
    private static let users: [User] = (1...4).map { User.fixture("user\($0)", id: .fixture($0)) }
    private static let words = ["halo", "apa", "kabar", "jarang"]

    private static func fill(_ writer: any StoreWriter, _ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for user in Self.users { try writer.insert(user) }
        for (index, room) in Self.rooms.enumerated() {
            try writer.insert(Room.fixture("room\(index)", id: room, createdBy: Self.users[0].id))
        }
        for number in 1...600 {
            // The last user writes rarely, and the last word is rare.
            let user = Self.users[number % 97 == 0 ? 3 : Int.random(in: 0...2, using: &random)]
            var text = (0..<3).map { _ in Self.words[Int.random(in: 0...2, using: &random)] }
            if number % 89 == 0 { text.append(Self.words[3]) }
            let room = Self.rooms[Int.random(in: 0...2, using: &random)]
            var message = try writer.post(text.joined(separator: " "), id: number, by: user.id, in: room)
            guard number % 13 == 0 else { continue }
            (message.content, message.deletedAt) = ("", .fixture)
            try writer.update(message)
        }
    }

    private static func query(_ random: inout SeededGenerator) -> MessageQuery {
        let texts = Self.words + ["halo kabar", "ka*", "jar*", "tidak"]
        let seq = { (random: inout SeededGenerator) in Int64.random(in: -5...620, using: &random) }
        return MessageQuery(
            room: Bool.random(using: &random) ? Self.rooms.randomElement(using: &random) : nil,
            beforeSeq: Bool.random(using: &random) ? seq(&random) : nil,
            afterSeq: Bool.random(using: &random) ? seq(&random) : nil,
            search: Bool.random(using: &random) ? texts.randomElement(using: &random) : nil,
            user: Bool.random(using: &random) ? Self.users.randomElement(using: &random)?.id : nil,
            limit: Int.random(in: 1...700, using: &random))
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func everyCombinationOfFiltersFindsTheSame(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let model = MemoryStore()
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        try await model.write { try Self.fill($0, seed) }
        try await store.write { try Self.fill($0, seed) }
        for _ in 0..<400 {
            let query = Self.query(&random)
            let expected = try await model.read {
                try $0.messages(query).map { [$0.message.id.text, $0.user.id.text] }
            }
            let found = try await store.read { try $0.messages(query).map { [$0.message.id.text, $0.user.id.text] } }
            #expect(found == expected, "seed \(seed): \(query)")
        }
        await store.close()
    }
}
