import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import NIOPosix
import SQLiteStore
import Testing

/// Past the bounds of `docs/limits.md` that no other suite passes; and that the document names tests which exist.
struct LimitsTests {
    /// A field with the largest value that is taken and the smallest that is not.
    struct Bound: Sendable {
        let field: String
        let method: HTTPRequest.Method
        /// With its query; `%` stands for the value.
        var path: String
        /// As JSON text; `%` stands for the value.
        var body: String?
        var header: HTTPField.Name?
        let taken: [String]
        let refused: [String]

        static let all: [Bound] = [
            Bound(
                field: "username", method: .post, path: "/v1/users", body: #"{"username":"%"}"#,
                taken: ["ab", letters(32)], refused: ["a", letters(33), "Siti", "si ti", ".."]),
            Bound(
                field: "displayName", method: .patch, path: "/v1/users/me", body: #"{"displayName":"%"}"#,
                taken: ["é", letters(64)], refused: ["", letters(65), "   ", "a\\nb"] + noLines),
            Bound(
                field: "color", method: .patch, path: "/v1/users/me", body: #"{"color":"%"}"#, taken: ["#00ffAA"],
                refused: ["#00ffa", "#00ffag", "red"]),
            Bound(
                field: "password", method: .post, path: "/v1/users", body: #"{"username":"newcomer","password":"%"}"#,
                taken: [letters(256)], refused: [letters(7), letters(257)]),
            Bound(
                field: "name", method: .post, path: "/v1/rooms", body: #"{"name":"%"}"#, taken: ["xy", letters(32)],
                refused: ["x", letters(33), "Lobby", "room_00000000000000000000000000", ".."]),
            Bound(
                field: "title", method: .post, path: "/v1/rooms", body: #"{"title":"%"}"#,
                taken: ["é", letters(200), "\u{200F}שלום\u{200E}"],
                refused: [letters(201), "a\\u0000b"] + noLines),
            Bound(
                field: "content", method: .post, path: "/v1/rooms/lobby/messages", body: #"{"content":"%"}"#,
                taken: ["é", letters(32_000)], refused: ["", letters(32_001), "a\\u0000b"]),
            Bound(
                field: "metadata", method: .post, path: "/v1/rooms/lobby/messages",
                // {"m":""} are 8 bytes.
                body: #"{"content":"x","metadata":{"m":"%"}}"#, taken: [letters(8 * 1024 - 8)],
                refused: [letters(8 * 1024 - 7)]),
            Bound(
                field: "q", method: .get, path: "/v1/rooms/lobby/messages?q=%", taken: [letters(200)],
                refused: [letters(201)]),
            Bound(field: "limit", method: .get, path: "/v1/rooms?limit=%", taken: ["1", "200"], refused: bad(0, 201)),
            Bound(
                field: "limit", method: .get, path: "/v1/events?limit=%", taken: ["1", "1000"], refused: bad(0, 1001)),
            Bound(field: "wait", method: .get, path: "/v1/events?wait=%", taken: ["0", "60"], refused: bad(-1, 61)),
            Bound(
                field: "types", method: .get, path: "/v1/events?types=%", taken: [list("message.*", 50)],
                refused: [list("message.*", 51), "letter.*", "stream.ready"]),
            Bound(
                field: "room", method: .get, path: "/v1/events?x=0%", taken: [repeated("&room=lobby", 50)],
                refused: [repeated("&room=lobby", 51)]),
            Bound(
                field: "Comblang-Device", method: .get, path: "/v1/users/me", header: .comblangDevice,
                taken: ["a", letters(64)], refused: [letters(65), "tab 2", "tab.2"]),
            Bound(
                field: "Idempotency-Key", method: .post, path: "/v1/rooms", body: "{}", header: .idempotencyKey,
                taken: [letters(255)], refused: [letters(256), "a key"]),
            Bound(
                field: "ringTimeoutSeconds", method: .post, path: "/v1/rooms/lobby/calls",
                body: #"{"media":{"audio":true,"video":true},"ringTimeoutSeconds":%}"#, taken: ["10", "300"],
                refused: ["9", "301", "60.5"]),
            Bound(
                field: "invite", method: .post, path: "/v1/rooms/lobby/calls",
                body: #"{"media":{"audio":true,"video":true},"invite":[%]}"#, taken: [],
                refused: [list(#""@alice""#, 51)]),
        ]

        /// Of a report about a call of Alice's own.
        static let quality: [Bound] = [
            Bound(
                field: "rttMs", method: .post, path: "/v1/calls/{call}/quality", body: #"{"rttMs":%}"#,
                taken: ["0", "60000", "0.25"], refused: ["-1", "60000.5", "true", "\"48\""]),
            Bound(
                field: "packetLoss", method: .post, path: "/v1/calls/{call}/quality", body: #"{"packetLoss":%}"#,
                taken: ["0", "1", "0.004"], refused: ["-0.1", "1.001"]),
            Bound(
                field: "jitterMs", method: .post, path: "/v1/calls/{call}/quality", body: #"{"jitterMs":%}"#,
                taken: ["60000"], refused: ["-1", "60001"]),
            Bound(
                field: "sendKbps", method: .post, path: "/v1/calls/{call}/quality", body: #"{"sendKbps":%}"#,
                taken: ["10000000"], refused: ["-1", "10000001"]),
            Bound(
                field: "receiveKbps", method: .post, path: "/v1/calls/{call}/quality", body: #"{"receiveKbps":%}"#,
                taken: ["10000000"], refused: ["-1", "10000001"]),
            Bound(
                field: "framesPerSecond", method: .post, path: "/v1/calls/{call}/quality",
                body: #"{"framesPerSecond":%}"#,
                taken: ["1000"], refused: ["-1", "1001"]),
            Bound(
                field: "localCandidateType", method: .post, path: "/v1/calls/{call}/quality",
                body: #"{"localCandidateType":%}"#,
                taken: [#""relay""#], refused: [#""tunnel""#, "1"]),
            Bound(
                field: "relayProtocol", method: .post, path: "/v1/calls/{call}/quality", body: #"{"relayProtocol":%}"#,
                taken: [#""tls""#], refused: [#""quic""#]),
        ]

        /// Blank, of two lines, or turning round what is shown beside it.
        private static let noLines =
            ["\u{FEFF}", "\u{3000}", "a\u{85}b"]
            + [0x2028...0x202E, 0x2066...0x2069].joined().compactMap { (value: UInt32) in
                Unicode.Scalar(value).map { "a\($0)b" }
            }

        private static func letters(_ count: Int) -> String { String(repeating: "x", count: count) }
        private static func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }
        private static func list(_ text: String, _ count: Int) -> String {
            Array(repeating: text, count: count).joined(separator: ",")
        }
        private static func bad(_ numbers: Int...) -> [String] {
            numbers.map(String.init) + ["many", "99999999999999999999"]
        }
    }

    @Test func aFieldPastItsBoundIsNamedAndOneAtItsBoundIsTaken() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let created = try await alice.post("/v1/rooms/lobby/calls", ["media": ["audio": true, "video": true]])
            let call = created.json["call"]?["id"]?.stringValue ?? ""
            let send = { @Sendable (bound: Bound, value: String) in
                var headers: HTTPFields = [.authorization: "Bearer \(alice.token)"]
                if let name = bound.header { headers[name] = value }
                return try await server.send(
                    bound.method, bound.path.replacing("%", with: value).replacing("{call}", with: call),
                    text: bound.body.map { $0.replacing("%", with: value) }, headers: headers)
            }
            for bound in Bound.all + Bound.quality {
                for value in bound.refused {
                    let reply = try await send(bound, value)
                    #expect(reply.status == 422, "\(bound.field) \(value.prefix(40)): \(reply.text)")
                    #expect(reply.field == bound.field, "\(bound.field) \(value.prefix(40)): \(reply.text)")
                }
                for value in bound.taken {
                    let reply = try await send(bound, value)
                    #expect(200..<300 ~= reply.status, "\(bound.field) \(value.prefix(40)): \(reply.text)")
                }
            }
        }
    }

    @Test func bodyOver256KiBIsRefused() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let frame = #"{"content":"x","padding":""}"#
            for (size, status) in [(256 * 1024, 201), (256 * 1024 + 1, 413)] {
                let padding = String(repeating: "x", count: size - frame.utf8.count)
                let reply = try await server.send(
                    .post, "/v1/rooms/lobby/messages", text: frame.replacing(#":"""#, with: ":\"\(padding)\""),
                    token: alice.token)
                #expect(reply.status == status, "\(size) bytes")
            }
            let history = try await alice.get("/v1/rooms/lobby/messages")
            #expect(history.json["items"]?.elements.count == 1)
        }
    }

    @Test func roomsOfAUserAreBounded() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let id = try #require(UserID(alice.id))
            let identity = try await server.gateway.authenticator.identity(bearer: alice.token, deviceLabel: nil)
            let acting = server.gateway.acting(as: identity)
            try await server.store.write { store in
                for _ in 0..<Limits.roomsPerUserMax { _ = try store.createRoom(NewRoom(), as: acting) }
            }
            let refused = try await alice.post("/v1/rooms", .object([:]))
            #expect(refused.slug == "limit-reached")
            #expect(try await server.store.read { try $0.memberships(of: id).count } == Limits.roomsPerUserMax)
        }
    }

    @Test func pollAnswerStopsAtOneMebibyte() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let room = try await alice.makeRoom("lobby")
            let content = String(repeating: "x", count: Limits.messageCharactersMax)
            for _ in 0..<40 { _ = try await alice.say(content, in: room) }
            var path = "/v1/events?after=earliest&limit=1000&types=message.created"
            var (count, pages, hasMore) = (0, 0, true)
            while hasMore, pages < 5 {
                let page = try await alice.get(path)
                #expect(page.text.utf8.count < Limits.pollAnswerBytesMax + 2 * content.utf8.count)
                count += page.json["events"]?.elements.count ?? 0
                hasMore = page.json["more"] == .bool(true)
                let cursor = page.json["cursor"]?.stringValue ?? ""
                path = "/v1/events?after=\(cursor)&limit=1000&types=message.created&wait=0"
                pages += 1
            }
            #expect(count == 40)
            #expect(pages == 2)
        }
    }

    @Test(arguments: [(labels: ["one"], each: 8), (labels: ["one", "two", "three", "four"], each: 8)])
    func streamsOfADeviceAndOfAUserAreBounded(labels: [String], each: Int) async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            var held: [Registry.Reservation] = []
            for label in labels {
                let identity = try await server.gateway.authenticator.identity(bearer: alice.token, deviceLabel: label)
                let subscription = Subscription(
                    user: identity.user.id, device: identity.device, scope: .user, filter: .everything,
                    transport: .websocket)
                for _ in 0..<each {
                    held.append(
                        try server.gateway.hub.reserve(
                            subscription, on: MultiThreadedEventLoopGroup.singleton.any()))
                }
            }
            // A device that is full, or any other of a user who is.
            let label = labels.count == 1 ? "one" : "five"
            let path = "/v1/events/stream?format=ndjson"
            let refused = try await alice.send(.get, path, headers: [.comblangDevice: label])
            #expect(refused.slug == "too-many-streams")
            #expect(refused.headers[.retryAfter] != nil)
            let told = try await alice.send(.get, "/v1/events/stream", headers: [.comblangDevice: label])
            #expect(told.status == 200)
            #expect(told.text.contains(#""reason":"limit""#))
            #expect(told.text.contains("retry: "))
            withExtendedLifetime(held) {}
        }
    }

    @Test func trimmedCursorIsToldSo() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let room = try await alice.makeRoom("lobby")
            let old = try #require(try await alice.get("/v1/rooms").cursor)
            _ = try await alice.say("one", in: room)
            _ = try await alice.say("two", in: room)
            try await server.store.write { store in
                _ = try store.trimEvents(through: try store.logBounds().tail - 1, limit: 1000)
            }
            let refused = try await alice.get("/v1/events?after=\(old)")
            #expect(refused.status == 410)
            #expect(refused.slug == "cursor-expired")
            let restart = try #require(refused.json["cursor"]?.stringValue)
            let tail = try await alice.get("/v1/rooms").cursor
            #expect(restart == tail)
            let kept = try await alice.get("/v1/events?after=earliest")
            #expect(kept.json["events"]?.elements.count == 1)
        }
    }

    /// A name in the document that no test has would be a promise that nobody checks.
    @Test func testsThatTheDocumentNamesExist() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let document = try String(contentsOf: root.appending(path: "docs/limits.md"), encoding: .utf8)
        let tests = FileManager.default.enumerator(at: root.appending(path: "Tests"), includingPropertiesForKeys: nil)
        var sources = ""
        while let file = tests?.nextObject() as? URL {
            guard ["swift", "py"].contains(file.pathExtension) else { continue }
            sources += try String(contentsOf: file, encoding: .utf8)
        }
        var count = 0
        for row in document.split(separator: "\n") where row.hasPrefix("| ") {
            let last = row.split(separator: "|").dropLast(0).last?.trimmingCharacters(in: .whitespaces) ?? ""
            guard last.hasPrefix("`") else { continue }
            for name in last.split(separator: ",").map({ $0.trimmingCharacters(in: ["`", " "]) }) {
                count += 1
                #expect(sources.contains("func \(name)(") || sources.contains("def \(name)("), "\(name)")
            }
        }
        #expect(count > 40)
    }
}
