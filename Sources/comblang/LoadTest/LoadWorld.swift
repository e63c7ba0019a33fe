import Core
import NIOHTTP1

/// The users and rooms of one load test: made before it, deleted after it.
struct LoadWorld: Sendable {
    /// One user's sign-in.
    struct Account: Sendable {
        let token: String
    }

    /// The rooms' ids.
    let rooms: [String]
    /// Owner of the rooms; posts.
    let publisher: Account
    /// They listen, ``LoadPlan/user(ofSubscriber:)``.
    let readers: [Account]
    private let client: APIClient

    /// Requests under way while users and rooms are made and deleted.
    private static let concurrencyMax = 16

    /// Signs up guests, makes public rooms and lets the readers join those that they will follow.
    ///
    /// - throws: ``CommandFailure``; what was made until then is deleted.
    static func make(_ plan: LoadPlan, _ client: APIClient) async throws -> LoadWorld {
        let name = "load-" + String(UInt32.random(in: .min ... .max), radix: 36)
        let accounts = try await Self.signUp(plan.users + 1, name: name, client)
        do {
            let publisher = accounts[0]
            let rooms = try await Self.each(plan.rooms) { _ in
                let body = JSONValue.object(["title": .string("Load test \(name)"), "visibility": .string("public")])
                let answer = try await publisher.client(client).send(.POST, "/v1/rooms", body: body)
                return answer.body["id"]?.stringValue ?? ""
            }
            var joinings: [Set<Int>] = Array(repeating: [], count: plan.users)
            for number in 0..<plan.subscribers {
                joinings[plan.user(ofSubscriber: number)].insert(plan.room(ofSubscriber: number))
            }
            let readers = Array(accounts.dropFirst())
            let followed = joinings
            _ = try await Self.each(plan.users) { user in
                for room in followed[user].sorted() {
                    _ = try await readers[user].client(client).send(.PUT, "/v1/rooms/\(rooms[room])/members/me")
                }
            }
            if plan.mode == .get { try await Self.fill(rooms, size: plan.size, publisher.client(client)) }
            return LoadWorld(rooms: rooms, publisher: publisher, readers: readers, client: client)
        } catch {
            await Self.delete(accounts, client)
            throw error
        }
    }

    /// Deletes the users; the rooms are archived when their last member is gone. Best effort: guests expire anyway.
    func delete() async { await Self.delete(self.readers + [self.publisher], self.client) }

    private static func signUp(_ count: Int, name: String, _ client: APIClient) async throws -> [Account] {
        try await Self.each(count) { number in
            let body = JSONValue.object(["username": .string("\(name)-\(number)")])
            let answer = try await client.send(.POST, "/v1/users", body: body)
            guard let token = answer.body["accessToken"]?.stringValue else {
                throw client.strangeAnswer
            }
            return Account(token: token)
        }
    }

    /// Posts a page of messages to each room, to have something to read.
    private static func fill(_ rooms: [String], size: Int, _ client: APIClient) async throws {
        let content = String(repeating: "x", count: size)
        _ = try await Self.each(rooms.count * Limits.pageItemsDefault) { number in
            let path = "/v1/rooms/\(rooms[number % rooms.count])/messages"
            _ = try await client.send(.POST, path, body: .object(["content": .string(content)]))
        }
    }

    private static func delete(_ accounts: [Account], _ client: APIClient) async {
        _ = try? await Self.each(accounts.count) { number in
            _ = try? await accounts[number].client(client).send(.DELETE, "/v1/users/me")
        }
    }

    /// Does the work for 0 ..< count, some at a time; returns the results in order.
    private static func each<Result: Sendable>(
        _ count: Int, _ work: @escaping @Sendable (Int) async throws -> Result
    ) async throws -> [Result] {
        try await withThrowingTaskGroup(of: (Int, Result).self) { group in
            var results: [Int: Result] = [:]
            var next = 0
            while results.count < count {
                while next < count, next - results.count < Self.concurrencyMax {
                    let number = next
                    next += 1
                    group.addTask { (number, try await work(number)) }
                }
                if let (number, result) = try await group.next() { results[number] = result }
            }
            return (0..<count).compactMap { results[$0] }
        }
    }
}

extension LoadWorld.Account {
    /// The same server as this user.
    fileprivate func client(_ other: APIClient) -> APIClient { APIClient(other, token: self.token) }
}

extension LoadWorld {
    /// Where the log is now.
    ///
    /// - throws: ``CommandFailure``.
    func cursor() async throws(CommandFailure) -> String {
        let answer = try await self.publisher.client(self.client).send(.GET, "/v1/events")
        return answer.body["cursor"]?.stringValue ?? ""
    }
}
