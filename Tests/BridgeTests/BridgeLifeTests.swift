import Bridge
import Core
import Foundation
import Hub
import TestSupport
import Testing

/// What admins do to a bridge while it works, and the order of what goes over it whatever breaks.
@Suite(.timeLimit(.minutes(5))) struct BridgeLifeTests {
    private static let scale = ProcessInfo.processInfo.environment["SCALE"].flatMap { Int($0) } ?? 1

    @Test func aPausedBridgeIsQuietAndAWokenOneGoesOn() async throws {
        let remote = try await RemoteActor()
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote)
            try await world.say("1", as: world.ani)
            try await until { try await world.waitingCount() == 0 }
            try await world.pause(true)
            try await until { world.status?.state == .paused && remote.present.isEmpty }
            let visits = remote.visits
            try await world.say("2", as: world.ani)
            remote.say("meanwhile", as: "Rudi")
            #expect(try await world.waitingCount() == 1)
            #expect(remote.visits == visits)
            try await world.pause(false)
            try await until { try await world.waitingCount() == 0 }
            #expect(remote.said == ["1", "meanwhile", "2"])
            // What was said over there meanwhile is in its history.
            try await until { try await world.heard() == ["1", "2", "meanwhile"] }
            // Counts are those of the process, however often it rested.
            #expect(world.status?.messagesSent == 2)
        }
    }

    @Test func aBridgeThatIsLedElsewhereLeavesTheFormerRoom() async throws {
        let (former, other) = (try await RemoteActor(), try await RemoteActor())
        try await BridgeWorld.run { world in
            try await world.bridge(to: former)
            try await world.say("1", as: world.ani)
            try await until { try await world.waitingCount() == 0 }
            try await world.lead(to: other)
            try await until { former.present.isEmpty && !other.present.isEmpty }
            try await world.say("2", as: world.ani)
            try await until { try await world.waitingCount() == 0 }
            #expect(former.said == ["1"] && other.said == ["2"])
        }
    }

    @Test func whatWaitsForABridgeThatIsRemovedIsDropped() async throws {
        let remote = try await RemoteActor()
        remote.behave(.refuses(503))
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote)
            try await world.say("1", as: world.ani)
            try await until { remote.visits > 2 }
            try await world.remove()
            try await until { world.status == nil }
            remote.behave(.room)
            #expect(try await world.waitingCount() == 0)
            try await world.say("2", as: world.ani)
            // Another one of the same name begins at its own beginning.
            try await world.bridge(to: remote)
            try await world.say("3", as: world.ani)
            try await until { try await world.waitingCount() == 0 && remote.said == ["3"] }
        }
    }

    /// Paused and woken again and again, at any moment of dialling, sending and stopping.
    @Test func pausingAndWakingAtAnyMomentLosesNothing() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let remote = try await RemoteActor()
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote)
            var said: [String] = []
            for round in 0..<(60 * Self.scale) {
                let number = Int.random(in: 0...2, using: &random)
                for index in 0..<number {
                    said.append("\(round).\(index)")
                    try await world.say("\(round).\(index)", as: world.ani)
                }
                let isPaused = Bool.random(using: &random)
                try await world.pause(isPaused)
                let isSeen = Bool.random(using: &random)
                if isSeen { try await until { (world.status?.state == .paused) == isPaused } }
            }
            try await world.pause(false)
            try await until { try await world.waitingCount() == 0 && world.isLive }
            #expect(remote.said == said, "seed \(seed)")
            // Nobody was left behind: who has a session is who has one here.
            try await until { remote.present.count == world.status?.sessions }
        }
    }

    /// Cut, refused, away: each author's messages are there once, in their order.
    @Test func eachAuthorsMessagesArriveOnceAndInOrderWhateverBreaks() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let remote = try await RemoteActor()
        try await BridgeWorld.run { world in
            try await world.bridge(to: remote)
            var said: [String: [String]] = [:]
            for number in 0..<(250 * Self.scale) {
                let user = Bool.random(using: &random) ? world.ani : world.budi
                let content = "\(user.displayName) \(number)"
                said[user.displayName, default: []].append(content)
                try await world.say(content, as: user)
                switch Int.random(in: 0..<25, using: &random) {
                case 0: remote.cut()
                case 1:
                    try await remote.goAway()
                    try await remote.comeBack()
                case 2:
                    remote.behave(.refuses(503))
                    remote.cut()
                    let visits = remote.visits
                    try await until { remote.visits > visits }
                    remote.behave(.room)
                case 3: try await until { try await world.waitingCount() == 0 }
                default: break
                }
            }
            try await until { try await world.waitingCount() == 0 }
            for (name, contents) in said {
                let arrived = remote.said.filter { $0.hasPrefix(name + " ") }
                #expect(arrived == contents, "seed \(seed)")
            }
            #expect(remote.said.count == said.values.reduce(0) { $0 + $1.count }, "seed \(seed)")
        }
    }
}
