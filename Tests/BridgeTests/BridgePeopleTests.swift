import Bridge
import Core
import Hub
import TestSupport
import Testing

/// Who of a remote room is known here, and what they are told of those here.
@Suite(.timeLimit(.minutes(2))) struct BridgePeopleTests {
    private func known(in world: BridgeWorld) async throws -> [String] {
        try await world.store.read { try $0.bridgedUsers(of: BridgeWorld.name) }.map(\.remoteID).sorted()
    }

    @Test func peopleOfAnotherComblangAreKnownFromTheirFirstWordOnAndNotBefore() async throws {
        let remote = try await RemoteActor(instance: "another")
        remote.come(["Rudi", "Wati"])
        var settings = BridgeWorld.settings
        settings.houseKeepingEvery = .milliseconds(1)
        try await BridgeWorld.run(settings) { world in
            // Somebody who was there two days ago: that they are forgotten shows that house was kept.
            let old = BridgedUser(
                bridge: BridgeWorld.name, remoteID: "old", user: .fixture(90), session: .fixture(90),
                lastSeenAt: SystemTime().now.advanced(by: .seconds(-2 * 86_400)))
            try await world.store.write { try $0.insert(old) }
            try await world.bridge(to: remote)
            try await until { world.isLive }
            remote.say("halo", as: "Wati")
            try await until { try await known(in: world) == ["id of Wati"] }
            #expect(world.status?.users == 2)
        }
    }

    @Test func aMessageWithoutAnIdIsTakenOnceHoweverManySessionsHearIt() async throws {
        let remote = try await RemoteActor()
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote)
            try await until { world.isLive }
            try await world.say("1", as: world.ani)
            try await world.say("2", as: world.budi)
            try await until { world.status?.sessions == 2 && remote.said.count == 2 }
            remote.say("tanpa nama", as: "Rudi", hasID: false)
            remote.say("dengan nama", as: "Rudi")
            try await until { try await world.heard().contains("dengan nama") }
            // Each welcome shows it again.
            for round in 1...3 {
                let visits = remote.visits
                remote.cut()
                try await until { remote.visits >= visits + 2 && world.status?.sessions == 2 }
                remote.say("lagi \(round)", as: "Rudi")
                try await until { try await world.heard().contains("lagi \(round)") }
            }
            #expect(try await world.heard().filter { $0 == "tanpa nama" }.count == 1)
        }
    }

    @Test func aSessionComesBackAsTheSameUserAfterTheRemoteWasAway() async throws {
        let remote = try await RemoteActor()
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote)
            try await until { world.isLive }
            try await world.say("1", as: world.ani)
            try await until { remote.said == ["1"] && remote.present == [world.ani.displayName] }
            let greetings = { remote.greetings.filter { $0.contains("username=ani") } }
            let count = greetings().count
            try await remote.goAway()
            try await until { world.status?.lastError?.message.contains("nobody answers") == true }
            try await remote.comeBack()
            try await until { greetings().count > count }
            #expect(greetings().last?.contains("resume=token%20") == true)
            // A token that is refused is not tried for ever.
            try await until { world.isLive && world.status?.sessions == remote.present.count }
            remote.behave(.refuses(401))
            let before = greetings().count
            remote.cut()
            try await until { greetings().count > before + 1 }
            let refused = greetings()[before...].prefix(2).map { $0.contains("resume=") }
            #expect(refused == [true, false])
        }
    }

    @Test func anotherComblangHearsThatACallWhichNobodyJoinedIsOver() async throws {
        let remote = try await RemoteActor(instance: "another")
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote)
            try await world.say("1", as: world.ani)
            try await until { remote.said == ["1"] }
            let (room, ids, ani) = (world.room, world.ids, world.ani)
            let acting = Acting(
                user: ani, device: DeviceID(known: "ses_\(ani.displayName)"), now: SystemTime().now, ids: ids)
            let new = NewCall(media: CallMedia(audio: true, video: true), leaveTokenHash: nil)
            let call = try await world.store.write { try $0.createCall(in: .id(room.id), new, as: acting).call.id }
            try await until { remote.said.count == 2 }
            #expect(remote.signals.isEmpty)
            _ = try await world.store.write { try $0.leaveCall(call, reason: nil, by: .user(acting)) }
            try await until { !remote.signals.isEmpty }
            #expect(remote.signals.first?["content"] == .string(#"{"type":"leave"}"#))
            #expect(remote.signals.first?["to"]?.stringValue?.hasPrefix("session ") == true, "to itself")
        }
    }
}
