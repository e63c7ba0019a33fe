import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import SQLiteStore
import Synchronization
import Testing

/// Every operation is driven into every status that the contract lists for it, and each answer on the way is held
/// against the contract: status, headers, media type, every field, the problem's slug.
struct ContractAnswerTests {
    /// What a test cannot bring about by asking: a defect, a full disk or a drain, and the end of HTTP.
    private static let rare: Set<Int> = [101, 500, 503]

    @Test func everyAnswerIsInTheContractAndEveryStatusOfTheContractIsAnswered() async throws {
        let contract = try Contract()
        let unseen = Mutex<Set<String>?>(nil)
        let play = { @Sendable (server: TestServer, scenes: (inout ContractScenario) async throws -> Void) in
            let recorder = ContractRecorder(contract, server.client)
            var scenario = ContractScenario(recorder: recorder, server: server)
            try await scenario.setUp()
            try await scenes(&scenario)
            let missing = Set(recorder.unseen(rare: Self.rare))
            unseen.withLock { $0 = $0?.intersection(missing) ?? missing }
        }
        // Refusals and results need no socket.
        try await TestServer.run(settings: GatewaySettings(adminsSearchMessages: true)) { server in
            server.gateway.readiness.becameReady()
            try await play(server) { scenario in
                try await scenario.refuseStrangers()
                try await scenario.refuseMalformedRequests()
                try await scenario.refuseWhatIsNotThere()
                try await scenario.refuseOutsiders()
                try await scenario.refuseConflicts()
                try await scenario.succeed()
            }
        }
        // Streams do; here each ends by itself as soon as it has caught up.
        var brief = HubSettings()
        brief.rotateAfter = .zero
        try await TestServer.run(.ahc(.http), hubSettings: brief) { server in
            try await play(server) { try await $0.stream() }
        }
        var full = HubSettings()
        full.streamsPerDeviceMax = 0
        try await TestServer.run(.ahc(.http), hubSettings: full) { server in
            try await play(server) { try await $0.refuseStreams() }
        }
        try await TestServer.run(settings: GatewaySettings(allowedOrigins: ["https://chat.example"])) { server in
            try await play(server) { try await $0.refuseOrigins() }
        }
        // Keys that reach elsewhere, sign-up by invite, and all that can be asked for too often.
        var narrow = GatewaySettings()
        narrow.rates = RateSettings(
            quotas: Dictionary(uniqueKeysWithValues: RateClass.allCases.map { ($0, RateQuota(40, in: .seconds(3600))) })
        )
        for registration in [Registration.invite, .closed] {
            try await TestServer.run(.ahc(.http), settings: narrow, registration: registration) { server in
                try await play(server) { scenario in
                    try await scenario.refuseSignUps()
                    try await scenario.refuseKeys()
                    try await scenario.refuseWhatComesTooOften()
                }
            }
        }
        let never = unseen.withLock { $0 ?? [] }
        #expect(never.isEmpty, "never answered: \(never.sorted())")
    }
}

/// Siti owns a public and an archived room; Budi is a member of both, Dewi of neither.
struct ContractScenario {
    let recorder: ContractRecorder
    let server: TestServer
    private(set) var siti = Person()
    private(set) var budi = Person()
    private(set) var dewi = Person()
    private(set) var adminToken = ""
    /// The public room, Siti's message and Siti's live call in it.
    private(set) var place = ContractPlace()
    /// Siti's message in a room that was archived afterwards.
    private var archived = ContractPlace()
    private var leaveToken = ""

    struct Person {
        var id = ""
        var token = ""
        var refreshToken = ""
    }

    init(recorder: ContractRecorder, server: TestServer) {
        self.recorder = recorder
        self.server = server
    }

    mutating func setUp() async throws {
        self.adminToken = try await self.server.admin().token
        self.siti = try await self.signUp("siti", password: "rahasia sekali")
        self.budi = try await self.signUp("budi")
        self.dewi = try await self.signUp("dewi")
        self.place = try await self.makeRoom("lobby")
        self.archived = try await self.makeRoom("attic")
        try await self.recorder.send(.delete, "/v1/rooms/attic", token: self.siti.token)
        let created = try await self.send("createCall", token: self.siti.token)
        #expect(created.status == 201)
        self.place.call = created.value["call"]?["id"]?.stringValue ?? ""
        self.leaveToken = created.value["leaveToken"]?.stringValue ?? ""
    }

    private func signUp(_ username: String, password: String? = nil) async throws -> Person {
        let secret = password.map { #","password":"\#($0)""# } ?? ""
        // As admins do, so that it does not matter who else may sign up.
        let answer = try await self.recorder.send(
            .post, "/v1/users", token: self.adminToken, body: #"{"username":"\#(username)"\#(secret)}"#)
        #expect(answer.status == 201)
        return Person(
            id: answer.value["user"]?["id"]?.stringValue ?? "", token: answer.value["accessToken"]?.stringValue ?? "",
            refreshToken: answer.value["refreshToken"]?.stringValue ?? "")
    }

    /// Siti's room, with Budi in it and a message of hers.
    private func makeRoom(_ name: String) async throws -> ContractPlace {
        var place = ContractPlace()
        let room = try await self.recorder.send(
            .post, "/v1/rooms", token: self.siti.token, body: #"{"name":"\#(name)"}"#)
        place.room = room.value["id"]?.stringValue ?? ""
        place.user = self.budi.id
        let invited = try await self.recorder.send(
            .put, "/v1/rooms/\(name)/members/@budi", token: self.siti.token, body: "{}")
        #expect(invited.status == 201)
        let message = try await self.recorder.send(
            .post, "/v1/rooms/\(name)/messages", token: self.siti.token,
            body: #"{"content":"Selamat datang","metadata":{"pin":true}}"#)
        place.message = message.value["id"]?.stringValue ?? ""
        return place
    }

    @discardableResult
    func send(
        _ id: String, token: String?, at place: ContractPlace? = nil, headers: HTTPFields = [:], query: String = "",
        body: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> ContractAnswer {
        try await self.recorder.send(
            .named(id), place ?? self.place, token: token, headers: headers, query: query, body: body,
            sourceLocation: sourceLocation)
    }

    // MARK: Refusals that are alike for all

    /// 401, whatever one asks for.
    func refuseStrangers() async throws {
        for operation in self.recorder.contract.operations where operation.statuses.contains(401) {
            guard operation.id != "createTokens" else { continue }
            let answer = try await self.send(operation.id, token: nil)
            #expect(answer.status == 401, "\(operation.id)")
        }
        let wrong = #"{"grant":"password","username":"siti","password":"salah sekali"}"#
        #expect(try await self.send("createTokens", token: nil, body: wrong).status == 401)
    }

    /// 400, 413, 415 and 422, wherever there is something to read.
    func refuseMalformedRequests() async throws {
        for operation in self.recorder.contract.operations {
            let token = operation.needsCredentials ? self.insider(of: operation) : self.openToken(operation.id)
            if operation.bodyMediaTypes.isEmpty {
                guard operation.statuses.contains(422) else { continue }
                let malformed = try await self.send(operation.id, token: token, query: "x=%zz")
                #expect(malformed.status == 400, "\(operation.id)")
                let mislabelled = try await self.send(operation.id, token: token, headers: [.comblangDevice: "a b"])
                #expect(mislabelled.status == 422, "\(operation.id)")
                continue
            }
            #expect(try await self.send(operation.id, token: token, body: "{").status == 400, "\(operation.id)")
            #expect(try await self.send(operation.id, token: token, body: "[]").status == 400, "\(operation.id)")
            let typed = try await self.send(operation.id, token: token, headers: [.contentType: "text/csv"], body: "{}")
            #expect(typed.status == 415, "\(operation.id)")
            let large = "{\"x\":\"" + String(repeating: "x", count: Limits.bodyBytesMax) + "\"}"
            #expect(try await self.send(operation.id, token: token, body: large).status == 413, "\(operation.id)")
            let bad = ContractRequest.named(operation.id).badBody ?? #"{"username":"A","grant":"none"}"#
            var own = self.place
            own.user = "me"
            let answer = try await self.send(operation.id, token: token, at: own, body: bad)
            #expect(answer.status == 422, "\(operation.id)")
        }
        let cursors = ["pollEvents", "streamEvents", "pollRoomEvents", "streamRoomEvents", "pollCallEvents"]
        for id in cursors + ["streamCallEvents", "openRoomSocket"] {
            let answer = try await self.send(id, token: self.siti.token, query: "after=yesterday")
            #expect(answer.value["type"] == .string("/problems/invalid-cursor"), "\(id)")
        }
        for path in ["/v1/ws", "/ws/lobby"] {
            let plain = try await self.recorder.send(.get, path, token: self.siti.token)
            #expect(plain.value["type"] == .string("/problems/upgrade-required"))
        }
    }

    /// Who may ask for it.
    private func insider(of operation: Contract.Operation) -> String {
        operation.isForAdmins ? self.adminToken : self.siti.token
    }

    /// Operations that need no credentials but know what to do with them.
    private func openToken(_ id: String) -> String? {
        ["leaveCall", "endCall"].contains(id) ? self.siti.token : nil
    }

    /// 404 for what does not exist.
    func refuseWhatIsNotThere() async throws {
        let nowhere = ContractPlace()
        for operation in self.recorder.contract.operations where operation.statuses.contains(404) {
            var query = ""
            // Nothing in the path: the parameter names what is not there.
            if ["pollEvents", "streamEvents"].contains(operation.id) { query = "room=nowhere" }
            let answer = try await self.send(
                operation.id, token: self.insider(of: operation), at: nowhere, query: query)
            #expect(answer.status == 404, "\(operation.id)")
        }
    }

    /// 403 for Dewi, who sees the public room but is no member.
    func refuseOutsiders() async throws {
        var place = self.place
        for operation in self.recorder.contract.operations
        where operation.isForAdmins || operation.problems.contains("not-a-member") {
            // Nothing in the path: the parameter names the room.
            let query = ["pollEvents", "streamEvents"].contains(operation.id) ? "room=lobby" : ""
            // Making Budi a member would change nothing, and so be allowed.
            place.user = operation.id == "putMember" ? self.siti.id : self.budi.id
            let answer = try await self.send(operation.id, token: self.dewi.token, at: place, query: query)
            let slug = operation.isForAdmins ? "forbidden" : "not-a-member"
            #expect(answer.value["type"] == .string("/problems/\(slug)"), "\(operation.id)")
        }
        #expect(try await self.send("updateUser", token: self.siti.token).status == 403)
        #expect(try await self.send("deleteUser", token: self.siti.token).status == 403)
        for id in ["createApiKey", "listApiKeys", "deleteApiKey"] {
            try await self.expect("forbidden", id, token: self.siti.token)
        }
        #expect(try await self.send("updateRoom", token: self.budi.token).status == 403)
    }

    // MARK: Conflicts

    /// 409 with its slug, one for each operation that can answer it; and 410.
    func refuseConflicts() async throws {
        let siti = self.siti.token
        try await self.expect("name-taken", "createUser", token: nil, body: #"{"username":"siti"}"#)
        try await self.expect("name-taken", "createRoom", token: siti, body: #"{"name":"lobby"}"#)
        try await self.expect("name-taken", "updateRoom", token: siti, body: #"{"name":"attic"}"#)
        var own = self.place
        own.user = self.siti.id
        try await self.refuseAdminConflicts()
        try await self.expect("last-owner", "putMember", token: siti, at: own)
        try await self.expect("last-owner", "deleteMember", token: siti, at: own)
        for id in ["postMessage", "editMessage", "deleteMessage", "sendTyping", "createCall", "updateRoom"] {
            try await self.expect("room-archived", id, token: siti, at: self.archived)
        }
        try await self.expect("room-archived", "openRoomSocket", token: self.dewi.token, at: self.archived)
        try await self.expect("not-joined", "sendSignal", token: self.budi.token, at: own)
        try await self.expect("not-joined", "updateParticipant", token: self.budi.token)
        try await self.expect("not-joined", "reportQuality", token: self.budi.token)
        try await self.expect("not-joined", "getIceServers", token: self.budi.token)
        try await self.expect("not-joined", "inviteToCall", token: self.budi.token, at: own)
        try await self.expect("illegal-move", "rejectCall", token: siti)
        let otherDevice: HTTPFields = [.comblangDevice: "tab-2"]
        try await self.expect("joined-elsewhere", "joinCall", token: siti, headers: otherDevice)
        try await self.expect("joined-elsewhere", "leaveCall", token: siti, headers: otherDevice)
        for id in ["pollEvents", "pollRoomEvents", "pollCallEvents"] {
            try await self.expect("cursor-expired", id, token: siti, query: "after=0000000.7")
        }
    }

    func expect(
        _ slug: String, _ id: String, token: String?, at place: ContractPlace? = nil, headers: HTTPFields = [:],
        query: String = "", body: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await self.send(
            id, token: token, at: place, headers: headers, query: query, body: body, sourceLocation: sourceLocation)
        let type = JSONValue.string("/problems/\(slug)")
        #expect(answer.value["type"] == type, "\(id): \(answer.text)", sourceLocation: sourceLocation)
    }

    // MARK: Results

    /// 2xx of all but streams, through a call of two and to the deletion of a user.
    mutating func succeed() async throws {
        let (siti, budi) = (self.siti.token, self.budi.token)
        for id in [
            "listUsers", "getUser", "listRooms", "getRoom", "listMembers", "listMessages", "getMessage", "createRoom",
            "listOwnCalls", "markCallsSeen",
            "updateRoom", "postMessage", "editMessage", "sendTyping", "markRead", "createStreamTicket", "listCalls",
            "getCall", "getIceServers", "pollRoomEvents", "pollCallEvents", "putMember",
        ] {
            let answer = try await self.send(id, token: siti)
            #expect(200..<300 ~= answer.status, "\(id): \(answer.text)")
        }
        let page = try await self.send("listMessages", token: siti, query: "limit=1")
        #expect(page.headers["link"] != nil)
        var ownPlace = self.place
        ownPlace.user = "me"
        #expect(try await self.send("updateUser", token: siti, at: ownPlace).status == 200)
        try await self.makeKeys()
        try await self.call()
        #expect(try await self.send("deleteMessage", token: siti).status == 204)
        // Every event that all this caused, by the wire that shows it as one answer.
        let events = try await self.send("pollEvents", token: budi, query: "after=earliest&limit=1000")
        #expect((events.value["events"]?.elements.count ?? 0) > 20)
        #expect(try await self.send("deleteMember", token: siti).status == 204)
        try await self.signInAndOut()
        for (path, method) in [
            ("/healthz", HTTPRequest.Method.get), ("/readyz", .get), ("/openapi.yaml", .get), ("/openapi.json", .get),
            ("/problems/glare", .get), ("/problems", .get), ("/metrics", .get), ("/v1/rooms/lobby", .delete),
        ] {
            let answer = try await self.recorder.send(method, path, token: self.siti.token)
            #expect(200..<300 ~= answer.status, "\(path): \(answer.text)")
        }
        for path in ["/", "/docs", "/client/comblang.js", "/favicon.ico"] {
            let tag = try await self.recorder.send(.get, path).headers["etag"] ?? ""
            #expect(try await self.recorder.send(.get, path, headers: [.ifNoneMatch: tag]).status == 304)
        }
        #expect(try await self.send("deleteUser", token: self.siti.token, at: ownPlace).status == 204)
        try await self.administer()
    }

    /// Siti rings Budi; they exchange what a call needs and hang up.
    private mutating func call() async throws {
        let (siti, budi) = (self.siti.token, self.budi.token)
        try await self.send("endCall", token: siti)
        let created = try await self.send(
            "createCall", token: siti, body: #"{"media":{"audio":true,"video":false},"invite":["@budi"]}"#)
        self.place.call = created.value["call"]?["id"]?.stringValue ?? ""
        #expect(try await self.send("joinCall", token: budi).value["peers"]?.elements.count == 1)
        var toSiti = self.place
        toSiti.user = self.siti.id
        let offer = try await self.send(
            "sendSignal", token: budi, at: toSiti, body: #"{"to":"@siti","type":"offer","sdp":"v=0\r\n"}"#)
        #expect(offer.status == 202)
        let id = offer.value["id"]?.stringValue ?? ""
        for body in [
            #"{"to":"@budi","type":"answer","offer":"\#(id)","sdp":"v=0\r\n"}"#,
            #"{"to":"@budi","type":"candidates","candidates":[{"candidate":"candidate:1 1 udp 1 192.0.2.7 9"}]}"#,
            #"{"to":"@budi","type":"custom","payload":{"hand":"raised"}}"#,
        ] {
            #expect(try await self.send("sendSignal", token: siti, body: body).status == 202, "\(body)")
        }
        #expect(try await self.send("updateParticipant", token: budi).status == 200)
        #expect(try await self.send("reportQuality", token: budi).status == 204)
        #expect(try await self.send("inviteToCall", token: siti).status == 200)
        let signals = try await self.send("pollCallEvents", token: budi, query: "after=earliest")
        #expect(signals.status == 200)
        #expect(try await self.send("leaveCall", token: budi).status == 200)
        let rung = try await self.send(
            "createCall", token: siti, body: #"{"media":{"audio":true,"video":false},"invite":["@budi"]}"#)
        self.place.call = rung.value["call"]?["id"]?.stringValue ?? ""
        #expect(try await self.send("rejectCall", token: budi, body: #"{"reason":"rapat"}"#).status == 200)
    }

    private mutating func signInAndOut() async throws {
        let password = #"{"grant":"password","username":"siti","password":"rahasia sekali"}"#
        let signedIn = try await self.send("createTokens", token: nil, body: password)
        #expect(signedIn.status == 200)
        let refreshToken = signedIn.value["refreshToken"]?.stringValue ?? ""
        let refresh = #"{"grant":"refresh","refreshToken":"\#(refreshToken)"}"#
        #expect(try await self.send("createTokens", token: nil, body: refresh).status == 200)
        let token = signedIn.value["accessToken"]?.stringValue
        #expect(try await self.send("revokeTokens", token: token).status == 204)
        var siti = self.place
        siti.user = self.siti.id
        try await self.send("changeUserRights", token: self.adminToken, at: siti, body: #"{"suspended":true}"#)
        try await self.expect("account-suspended", "createTokens", token: nil, body: password)
        try await self.send("changeUserRights", token: self.adminToken, at: siti, body: #"{"suspended":false}"#)
        let again = try await self.send("createTokens", token: nil, body: password)
        self.siti.token = again.value["accessToken"]?.stringValue ?? ""
    }

    // MARK: Streams

    /// 200 on every stream, in both formats; what is on them is held against the contract too.
    func stream() async throws {
        for id in ["streamEvents", "streamRoomEvents", "streamCallEvents"] {
            for format in ["sse", "ndjson"] {
                let answer = try await self.send(
                    id, token: self.siti.token, query: "after=earliest&format=\(format)&pad=1")
                #expect(answer.status == 200)
                let types = answer.events.compactMap { $0["type"]?.stringValue }
                #expect(types.first == "stream.ready" && types.last == "stream.end", "\(id) \(format): \(types)")
                #expect(types.count >= 3, "\(id) \(format): \(types)")
                for event in answer.events {
                    let schema = JSONValue.object(["$ref": .string("#/components/schemas/StreamEvent")])
                    let differences = self.recorder.contract.schemas.differences(in: event, schema)
                    #expect(differences.isEmpty, "\(id) \(format): \(differences)")
                }
            }
        }
        let gap = try await self.send("streamEvents", token: self.siti.token, query: "after=0000000.7")
        #expect(gap.events.dropFirst().first?["type"] == .string("stream.gap"))
    }
}
