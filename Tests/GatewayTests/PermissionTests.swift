import Core
import Foundation
import Gateway
import HTTPTypes
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// The permission table, cell by cell over HTTP, for rooms, members and messages.
struct PermissionTests {
    enum Asker: String, CaseIterable, Sendable { case outsider, admin, member, moderator, owner }

    /// One thing to do. `{other}` is an ordinary member, `{stranger}` is none; `{message}` is the other's message and
    /// `{own}` the asker's own, or the other's where the asker could not write one.
    struct Action: Sendable, CustomStringConvertible {
        let method: HTTPRequest.Method
        let path: String
        var body: JSONValue? = nil
        /// Answers by asker, in the order of ``Asker/allCases``.
        let expected: [Int]

        var description: String { "\(self.method.rawValue) \(self.path) \(self.body.map { "\($0)" } ?? "")" }
    }

    static let actions = [
        Action(method: .get, path: "", expected: [200, 200, 200, 200, 200]),
        Action(method: .get, path: "/members", expected: [200, 200, 200, 200, 200]),
        Action(method: .put, path: "/members/me", expected: [201, 201, 200, 200, 200]),
        Action(method: .delete, path: "/members/me", expected: [403, 403, 204, 204, 204]),
        Action(method: .patch, path: "", body: ["title": "T"], expected: [403, 200, 403, 200, 200]),
        Action(method: .patch, path: "", body: ["archived": true], expected: [403, 200, 403, 403, 200]),
        Action(method: .delete, path: "", expected: [403, 204, 403, 403, 204]),
        Action(method: .put, path: "/members/{stranger}", expected: [403, 403, 403, 201, 201]),
        Action(
            method: .put, path: "/members/{stranger}", body: ["role": "moderator"], expected: [403, 403, 403, 403, 201]),
        Action(
            method: .put, path: "/members/{stranger}", body: ["role": "owner"], expected: [403, 403, 403, 403, 201]),
        Action(
            method: .put, path: "/members/{other}", body: ["role": "moderator"], expected: [403, 200, 403, 403, 200]),
        Action(method: .put, path: "/members/{other}", body: ["role": "owner"], expected: [403, 200, 403, 403, 200]),
        Action(
            method: .put, path: "/members/{otherModerator}", body: ["role": "member"],
            expected: [403, 200, 403, 403, 200]),
        Action(method: .delete, path: "/members/{other}", expected: [403, 204, 403, 204, 204]),
        Action(method: .delete, path: "/members/{otherModerator}", expected: [403, 204, 403, 403, 204]),
        Action(method: .delete, path: "/members/{otherOwner}", expected: [403, 204, 403, 403, 204]),
        Action(method: .get, path: "/messages", expected: [403, 403, 200, 200, 200]),
        Action(method: .get, path: "/messages/{message}", expected: [403, 403, 200, 200, 200]),
        Action(method: .post, path: "/messages", body: ["content": "x"], expected: [403, 403, 201, 201, 201]),
        Action(method: .patch, path: "/messages/{own}", body: ["content": "y"], expected: [403, 403, 200, 200, 200]),
        Action(method: .delete, path: "/messages/{own}", expected: [403, 403, 204, 204, 204]),
        Action(
            method: .patch, path: "/messages/{message}", body: ["content": "y"], expected: [403, 403, 403, 200, 200]),
        Action(method: .delete, path: "/messages/{message}", expected: [403, 403, 403, 204, 204]),
        Action(method: .post, path: "/typing", expected: [403, 403, 204, 204, 204]),
        Action(method: .put, path: "/read", body: ["message": "{message}"], expected: [403, 403, 204, 204, 204]),
    ]

    @Test(arguments: actions)
    func theTableHoldsInPublicRooms(_ action: Action) async throws {
        for (asker, expected) in zip(Asker.allCases, action.expected) {
            try await TestServer.run { server in
                let stage = try await Stage(server, asker, roomName: "lobby")
                let reply = try await stage.perform(action)
                #expect(reply.status == expected, "\(asker): \(reply.text)")
                if expected == 403 {
                    let isStranger = asker == .outsider || asker == .admin
                    #expect(reply.slug == (isStranger ? "not-a-member" : "forbidden"), "\(asker)")
                }
            }
        }
    }

    @Test(arguments: actions)
    func aPrivateRoomDoesNotExistForOutsiders(_ action: Action) async throws {
        try await TestServer.run { server in
            let stage = try await Stage(server, .outsider, roomName: nil)
            let before = server.log.count
            let hidden = try await stage.perform(action)
            #expect(hidden.status == 404)
            let missing = try await stage.perform(action, room: "room_00000000000000000000000000")
            #expect(hidden.withoutInstance == missing.withoutInstance)
            #expect(server.log.count == before)
        }
    }

    @Test(arguments: actions)
    func insidersOfPrivateRoomsMayTheSame(_ action: Action) async throws {
        for (asker, expected) in zip(Asker.allCases, action.expected) where asker != .outsider {
            try await TestServer.run { server in
                let stage = try await Stage(server, asker, roomName: nil)
                #expect(try await stage.perform(action).status == expected, "\(asker)")
            }
        }
    }
}

/// A room with somebody of every role, and one who asks.
private struct Stage: Sendable {
    let asker: Person
    let room: String
    let names: [String: String]

    init(_ server: TestServer, _ kind: PermissionTests.Asker, roomName: String?) async throws {
        let founder = try await server.signUp("founder")
        let room = try await founder.makeRoom(roomName)
        var names: [String: String] = [:]
        for (name, role) in [("other", "member"), ("othermoderator", "moderator"), ("otherowner", "owner")] {
            let person = try await server.signUp(name)
            let invited = try await founder.put("/v1/rooms/\(room)/members/\(person.id)", ["role": .string(role)])
            try #require(invited.status == 201)
            names[name] = person.id
            if role == "member" { names["message"] = try await person.say("theirs", in: room) }
        }
        names["stranger"] = try await server.signUp("stranger").id
        switch kind {
        case .outsider: self.asker = try await server.signUp("asker")
        case .admin: self.asker = try await server.admin()
        case .member, .moderator, .owner:
            self.asker = try await server.signUp("asker")
            let role = JSONValue.string(kind.rawValue)
            try #require(try await founder.put("/v1/rooms/\(room)/members/@asker", ["role": role]).status == 201)
        }
        names["own"] = names["message"]
        if kind == .member || kind == .moderator || kind == .owner {
            names["own"] = try await self.asker.say("own", in: room)
        }
        self.room = room
        self.names = names
    }

    func perform(_ action: PermissionTests.Action, room: String? = nil) async throws -> Reply {
        let path = self.filled("/v1/rooms/\(room ?? self.room)\(action.path)")
        let body = try action.body.map { try JSON.text($0) }.map(self.filled)
        return try await self.asker.server.send(action.method, path, text: body, token: self.asker.token)
    }

    private func filled(_ text: String) -> String {
        self.names.reduce(text) { text, name in
            let key = ["othermoderator": "otherModerator", "otherowner": "otherOwner"][name.key] ?? name.key
            return text.replacingOccurrences(of: "{\(key)}", with: name.value)
        }
    }
}
