import Bridge
import Core
import Hub
import TestSupport
import Testing

/// Bridges against remote rooms that go away, refuse, or answer as no room would: each time it is said what is wrong,
/// and once the room is itself again all that was said meanwhile is there, once and in order.
@Suite(.timeLimit(.minutes(2))) struct BridgeConnectionTests {
    /// What a remote room does, and what admins read of it.
    private static let faults: [(RemoteActor.Manner, String)] = [
        (.refuses(403), "the remote answered 403, not 101"),
        (.refuses(200), "the remote answered 200, not 101"),
        (.answers("220 mail.example.org ESMTP\r\n"), "cannot connect: the connection failed"),
        (.forgesTheHandshake, "cannot connect: the answer is no upgrade to WebSocket"),
        (.saysNothing, "cannot connect: no welcome in time"),
        (.doesNotWelcome, "cannot connect: no welcome in time"),
        (
            .says(Frame(Frame.close, Frame.closing(1008, "not today")).bytes),
            "the remote closed the connection: 1008, not today"
        ),
        (.says(Frame(Frame.text, [0xFF]).bytes), "the connection was closed: 1007"),
        (.says(Frame(Frame.text, Array("{\"type\":\"welcome\"".utf8), reserved: 4).bytes), "closed: 1002"),
        (.says(Frame(Frame.text, Array(repeating: 0x20, count: 20_000)).bytes), "closed: 1009"),
        (.says(Array(String(repeating: "plain text ", count: 20).utf8)), "closed: 1002"),
        (.isDeaf, "the connection was lost"),
    ]

    @Test(arguments: faults.indices) func whatIsWrongIsSaidAndNothingIsLost(number: Int) async throws {
        let (manner, words) = Self.faults[number]
        var settings = BridgeWorld.settings
        settings.frameBytesMax = 16_384
        settings.session.connectTimeout = .milliseconds(500)
        (settings.pingInterval, settings.pongTimeout) = (.milliseconds(50), .milliseconds(500))
        let remote = try await RemoteActor()
        remote.behave(manner)
        try await BridgeWorld.run(settings) { world in
            try await world.bridge(to: remote)
            for number in 1...3 { try await world.say("\(number)", as: world.ani) }
            var seen: Set<String> = []
            try await until {
                if let error = world.status?.lastError { seen.insert(error.message) }
                return seen.contains { $0.contains(words) } || seen.count > 20
            }
            #expect(seen.contains { $0.contains(words) }, "\(seen)")
            try await until { remote.visits > 3 && world.status?.disconnects ?? 0 > 1 }

            remote.behave(.room)
            try await until { try await world.waitingCount() == 0 }
            #expect(remote.said == ["1", "2", "3"])
            try await until { world.isLive }
        }
    }

    @Test func aRoomThatGoesAwayIsFoundAgainAtItsPort() async throws {
        let remote = try await RemoteActor()
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote)
            for round in 1...4 {
                try await until { world.isLive }
                try await remote.goAway()
                try await until { world.status?.state == .down && world.status?.sessions == 0 }
                try await until { world.status?.lastError?.message.contains("nobody answers at 127.0.0.1") == true }
                try await world.say("\(round)", as: round % 2 == 0 ? world.ani : world.budi)
                try await remote.comeBack()
                try await until { try await world.waitingCount() == 0 }
            }
            #expect(remote.said == ["1", "2", "3", "4"])
            // The room here heard of it, each time it stood so for long enough.
            try await until { try await world.store.read { try $0.room(world.room.id)?.bridgeState } == .live }
        }
    }

    @Test func aNameThatNobodyKnowsIsSaidToBeUnknown() async throws {
        try await BridgeWorld.run { world in
            let remote = try await RemoteActor()
            try await world.bridge(to: remote) { $0.url = "ws://no-such-host.invalid/{room}" }
            try await until { world.status?.lastError?.message.contains("no-such-host.invalid") == true }
        }
    }

    @Test func whoStopsSaysGoodbyeAndWritesDownWhatHasArrived() async throws {
        let remote = try await RemoteActor()
        var settings = BridgeWorld.settings
        // Longer than the test: what has arrived is written by nothing but the end.
        settings.outboxFlushEvery = .seconds(300)
        var left: BridgeWorld?
        try await BridgeWorld.run(settings) { world in
            try await world.bridge(to: remote)
            try await world.say("halo", as: world.ani)
            try await until { remote.said == ["halo"] && world.status?.messagesSent == 1 }
            // Its echo is heard once something that comes behind it is.
            remote.say("hai", as: "Rudi")
            try await until { try await world.heard().contains("hai") }
            #expect(try await world.waitingCount() == 1)
            left = world
        }
        try await until { !remote.goodbyes.isEmpty && remote.present == [] }
        #expect(remote.goodbyes.contains(1001))
        #expect(try await left?.waitingCount() == 0)
    }

    @Test func secretsAreNotLoggedNorShown() async throws {
        let remote = try await RemoteActor()
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote) { target in
                target.url += "&key=rahasia-di-alamat"
                target.headers = ["Authorization": "Bearer rahasia-di-kepala", "Cookie": "sesi=rahasia-kue"]
            }
            for manner in [RemoteActor.Manner.refuses(401), .answers("garbage\r\n\r\n"), .room] {
                let visits = remote.visits
                remote.behave(manner)
                try await until { remote.visits > visits + 1 || world.isLive }
            }
            try await world.say("pesan pribadi", as: world.ani)
            try await until { remote.said == ["pesan pribadi"] }
            try await remote.goAway()
            try await until { world.status?.lastError?.message.contains("nobody answers") == true }
            // They were sent, and nothing but their names and places is to be read anywhere.
            #expect(remote.greetings.contains { $0.contains("rahasia-di-alamat") && $0.contains("rahasia-di-kepala") })
            #expect(world.log.text.contains("bridge starts") && world.log.text.contains("127.0.0.1:\(remote.port)"))
            for word in ["rahasia", "pesan pribadi"] {
                #expect(!world.log.text.contains(word), "\(word) is in the log")
                #expect(world.status?.lastError?.message.contains(word) == false)
            }
        }
    }
}
