import Core
import Foundation
import Testing

/// A room with Siti, who owns it, Budi and Dewi, and what tests of calls do in it.
struct CallLobby: Sendable {
    let server: TestServer
    let siti: Person
    let budi: Person
    let dewi: Person

    init(_ server: TestServer) async throws {
        self.server = server
        self.siti = try await server.signUp("siti")
        self.budi = try await server.signUp("budi")
        self.dewi = try await server.signUp("dewi")
        _ = try await self.siti.makeRoom("lobby")
        for person in [self.budi, self.dewi] { try await person.join("lobby") }
    }

    /// Somebody calls, by default Siti; the path of the call.
    func call(
        _ caller: Person? = nil, inviting users: [JSONValue]? = nil, seconds: Int64 = 60
    ) async throws -> String {
        var body: [String: JSONValue] = ["media": ["audio": true, "video": true]]
        body["invite"] = users.map { .array($0) }
        body["ringTimeoutSeconds"] = .integer(seconds)
        let reply = try await (caller ?? self.siti).post("/v1/rooms/lobby/calls", .object(body))
        try #require(reply.status == 201, "\(reply.text)")
        return "/v1/calls/" + (reply.json["call"]?["id"]?.stringValue ?? "")
    }

    func join(_ path: String, _ person: Person) async throws {
        let reply = try await person.post(path + "/join")
        try #require(reply.status == 200, "\(reply.text)")
    }

    /// The id of the signal.
    @discardableResult
    func signal(
        _ path: String, _ from: Person, _ to: Person, _ more: [String: JSONValue]
    ) async throws -> String {
        var body = more
        body["to"] = .string(to.id)
        let reply = try await from.post(path + "/signals", .object(body))
        try #require(reply.status == 202, "\(reply.text)")
        return reply.id
    }

    /// Budi joins Siti's call, offers, and is answered; all of that was read.
    func answered(_ path: String, encrypted: Bool = false) async throws {
        try await self.join(path, self.budi)
        let description: [String: JSONValue] = encrypted ? ["encrypted": true, "payload": "x"] : ["sdp": "v=0\r\n"]
        let offer = try await self.signal(path, self.budi, self.siti, description.merging(["type": "offer"]) { $1 })
        try await self.read(path, self.siti)
        let answer = description.merging(["type": "answer", "offer": .string(offer)]) { $1 }
        try await self.signal(path, self.siti, self.budi, answer)
        try await self.read(path, self.budi)
    }

    /// Candidates of these types, from one to the other; they are read.
    func candidates(_ path: String, _ from: Person, _ to: Person, _ types: [String]) async throws {
        let candidates = types.map { type -> JSONValue in
            ["candidate": .string("candidate:1 1 udp 2113937151 192.0.2.7 50000 typ \(type)"), "sdpMid": "0"]
        }
        try await self.signal(path, from, to, ["type": "candidates", "candidates": .array(candidates)])
        try await self.read(path, to)
    }

    /// What a person's device finds of the call in the log; reading it delivers it.
    func read(_ path: String, _ person: Person) async throws {
        let reply = try await person.get(path + "/events?after=earliest&wait=0&types=signal")
        try #require(reply.status == 200, "\(reply.text)")
    }

    func report(_ path: String, _ person: Person, _ connection: String) async throws {
        let reply = try await person.patch(path + "/participants/me", ["connection": .string(connection)])
        try #require(reply.status == 200, "\(reply.text)")
    }

    /// What an admin finds.
    func record(_ path: String) async throws -> JSONValue {
        let reply = try await self.server.admin().get(path.replacing("/v1/calls", with: "/v1/admin/calls"))
        try #require(reply.status == 200, "\(reply.text)")
        return reply.json
    }
}
