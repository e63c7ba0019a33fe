import Core
import Crypto
import Foundation
import Gateway
import HTTPTypes
import Hub
import SQLiteStore
import TestSupport
import Testing

/// TURN credentials: who gets them, what they are made of, and when they are replaced.
struct ICEServerTests {
    private static let secret = "a secret of both"
    private static let urls = ["turn:turn.example.test?transport=udp", "turns:turn.example.test?transport=tcp"]

    private static func settings(lifetime: Duration = .seconds(600)) -> GatewaySettings {
        GatewaySettings(
            stunURLs: ["stun:stun.example.test"],
            turn: TURNServers(urls: urls, secret: secret, credentialsLifetime: lifetime))
    }

    /// Siti calls in the lobby, where Budi is a member and Dewi is not.
    private struct Scene {
        let server: TestServer
        let siti: Person
        let budi: Person
        let dewi: Person
        let created: Reply
        var call: String { self.created.json["call"]?["id"]?.stringValue ?? "" }

        init(_ server: TestServer) async throws {
            self.server = server
            self.siti = try await server.signUp("siti")
            self.budi = try await server.signUp("budi")
            self.dewi = try await server.signUp("dewi")
            _ = try await self.siti.makeRoom("lobby")
            try await self.budi.join("lobby")
            self.created = try await self.siti.post("/v1/rooms/lobby/calls", Self.media, key: "once")
        }

        static let media: JSONValue = ["media": ["audio": true, "video": true]]

        /// Time passes in which both devices ask for something now and then.
        func holdPlaces(for duration: Duration) async throws {
            var left = duration
            while left > .zero {
                let step = min(left, .seconds(40))
                for person in [self.siti, self.budi] { _ = try await person.get("/v1/users/me") }
                try await self.server.turn(after: step)
                left -= step
            }
        }

        func refreshes() -> [Event] { self.server.log.filter { $0.type == .iceServersRefresh } }
    }

    /// That the configuration has a relay whose credentials are the participant's, made with the secret.
    private static func expectRelay(
        _ configuration: JSONValue?, for person: Person, in call: String, at now: Timestamp, lifetime: Int = 600,
        location: SourceLocation = #_sourceLocation
    ) {
        let servers = configuration?["iceServers"]?.items ?? []
        #expect(servers.first == ["urls": ["stun:stun.example.test"]], sourceLocation: location)
        #expect(servers.last?["urls"]?.items.compactMap(\.stringValue) == Self.urls, sourceLocation: location)
        let username = servers.last?["username"]?.stringValue ?? ""
        let expiry = now.milliseconds / 1000 + Int64(lifetime)
        #expect(username == "\(expiry):\(person.id).\(call)", sourceLocation: location)
        let code = HMAC<Insecure.SHA1>.authenticationCode(
            for: Data(username.utf8), using: SymmetricKey(data: Data(Self.secret.utf8)))
        #expect(
            servers.last?["credential"]?.stringValue == Data(code).base64EncodedString(), sourceLocation: location)
        #expect(configuration?["ttlSeconds"] == .integer(Int64(lifetime)), sourceLocation: location)
    }

    @Test func theRelaysPasswordIsTheHMACOfItsName() {
        // By `openssl dgst -sha1 -hmac`, which is what coturn's documentation tells to use.
        let turn = TURNServers(urls: [], secret: "north", credentialsLifetime: .seconds(1))
        let made = turn.credentials(for: "ninefingers", expiresAt: Timestamp(milliseconds: 1_433_895_918_506))
        #expect(made.username == "1433895918:ninefingers")
        #expect(made.password == "jy8hTxmOO7UtEKXqSkSlvakPVYA=")
    }

    @Test func whoHasJoinedGetsARelayOfTheirOwn() async throws {
        try await TestServer.run(settings: Self.settings()) { server in
            let scene = try await Scene(server)
            let now = server.clock.now
            Self.expectRelay(scene.created.json["iceServers"], for: scene.siti, in: scene.call, at: now)
            let joined = try await scene.budi.post("/v1/calls/\(scene.call)/join")
            Self.expectRelay(joined.json["iceServers"], for: scene.budi, in: scene.call, at: now)
            server.clock.advance(by: .seconds(100))
            let again = try await scene.siti.get("/v1/ice-servers?call=\(scene.call)")
            Self.expectRelay(again.json, for: scene.siti, in: scene.call, at: server.clock.now)
            #expect(again.headers[.cacheControl] == "no-store")
        }
    }

    @Test func nobodyElseGetsOne() async throws {
        try await TestServer.run(settings: Self.settings()) { server in
            let scene = try await Scene(server)
            let path = "/v1/ice-servers?call=\(scene.call)"
            let plain = try await scene.siti.get("/v1/ice-servers")
            #expect(plain.json["iceServers"] == [["urls": ["stun:stun.example.test"]]])
            #expect(plain.json["ttlSeconds"] == .null)
            let waiting = try await scene.budi.get(path)
            #expect(waiting.status == 409 && waiting.slug == "not-joined")
            #expect(waiting.json["call"]?["id"]?.stringValue == scene.call)
            #expect(try await scene.dewi.get(path).slug == "not-a-member")
            #expect(try await server.admin().get(path).slug == "not-joined")
            #expect(try await scene.siti.get("/v1/ice-servers?call=call_00000000000000000000000000").status == 404)
            let tab = try await scene.siti.send(.get, path, headers: [.comblangDevice: "tab-2"])
            #expect(tab.slug == "joined-elsewhere")
            _ = try await scene.siti.post("/v1/calls/\(scene.call)/end")
            #expect(try await scene.siti.get(path).slug == "call-ended")
        }
    }

    @Test func aRepeatedRequestGetsNewCredentialsAndNoneAreStored() async throws {
        try await TestServer.run(settings: Self.settings()) { server in
            let scene = try await Scene(server)
            server.clock.advance(by: .seconds(500))
            let repeated = try await scene.siti.post("/v1/rooms/lobby/calls", Scene.media, key: "once")
            #expect(repeated.status == 201 && repeated.json["call"] == scene.created.json["call"])
            #expect(repeated.json["leaveToken"] == scene.created.json["leaveToken"])
            Self.expectRelay(repeated.json["iceServers"], for: scene.siti, in: scene.call, at: server.clock.now)
            #expect(server.log.allSatisfy { !$0.data.contains("turn.example.test") })
        }
    }

    @Test func everyJoinedParticipantIsToldAtHalfLifeAgainAndAgain() async throws {
        try await TestServer.run(settings: Self.settings()) { server in
            let scene = try await Scene(server)
            server.clock.advance(by: .seconds(10))
            _ = try await scene.budi.post("/v1/calls/\(scene.call)/join")
            // A call that nobody offers anything in does not go on.
            let signals = "/v1/calls/\(scene.call)/signals"
            let offer = try await scene.budi.post(
                signals, ["to": .string(scene.siti.id), "type": "offer", "sdp": "v=0\r\n"])
            let answer = try await scene.siti.post(
                signals,
                ["to": .string(scene.budi.id), "type": "answer", "offer": .string(offer.id), "sdp": "v=0\r\n"])
            #expect(answer.status == 202)
            try await scene.holdPlaces(for: .seconds(289))
            #expect(scene.refreshes().isEmpty)
            try await scene.holdPlaces(for: .seconds(1))
            let first = try #require(scene.refreshes().first)
            #expect(scene.refreshes().count == 1)
            #expect(first.call?.text == scene.call && first.data == "{}" && first.actor == nil)
            try await scene.holdPlaces(for: .seconds(10))
            #expect(Set(scene.refreshes().map(\.audiences)).count == 2, "each side's own device")
            try await scene.holdPlaces(for: .seconds(300))
            #expect(scene.refreshes().count == 4)
            // Who left needs none any more, nor does a call that is over.
            _ = try await scene.siti.post("/v1/calls/\(scene.call)/end")
            try await server.turn(after: .seconds(3600))
            #expect(scene.refreshes().count == 4)
        }
    }

    @Test func withoutRelaysNobodyIsTold() async throws {
        try await TestServer.run { server in
            let scene = try await Scene(server)
            _ = try await scene.budi.post("/v1/calls/\(scene.call)/join")
            #expect(scene.created.json["iceServers"]?["ttlSeconds"] == .null)
            try await scene.holdPlaces(for: .seconds(700))
            #expect(scene.refreshes().isEmpty)
            #expect(try await scene.siti.get("/v1/calls/\(scene.call)").json["state"] == "ringing")
        }
    }
}
