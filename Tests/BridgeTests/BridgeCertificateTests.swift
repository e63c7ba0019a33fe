import Bridge
import Core
import Hub
import TestSupport
import Testing

/// Whom a `wss` bridge believes. There is nothing that leaves a check out.
@Suite(.timeLimit(.minutes(2))) struct BridgeCertificateTests {
    private func target(_ remote: RemoteActor, host: String, authority: String?) -> BridgeTarget {
        BridgeTarget(
            url: "wss://\(host):\(remote.port)/ws/{room}?username={username}", remoteRoom: "kamar",
            certificateAuthority: authority)
    }

    @Test(arguments: ["127.0.0.1", "localhost"]) func theRightCertificateIsBelieved(host: String) async throws {
        let remote = try await RemoteActor(.good)
        try await BridgeWorld.run { world in
            let target = self.target(remote, host: host, authority: TestCertificate.authority)
            try await world.bridge(to: remote) { $0 = target }
            try await world.say("halo", as: world.ani)
            try await until { remote.said == ["halo"] }
        }
    }

    @Test(
        arguments: [
            (TestCertificate.good, nil, "the certificate is not trusted"),
            (.selfSigned, TestCertificate.authority, "the certificate is not trusted"),
            (.expired, TestCertificate.authority, "the certificate is not trusted"),
            (.otherName, TestCertificate.authority, "the certificate is for another name"),
        ] as [(TestCertificate, String?, String)])
    func othersAreRefusedBeforeAnythingIsSaid(
        certificate: TestCertificate, authority: String?, words: String
    ) async throws {
        let remote = try await RemoteActor(certificate)
        try await BridgeWorld.run { world in
            let target = self.target(remote, host: "localhost", authority: authority)
            try await world.bridge(to: remote) { changed in
                changed = target
                changed.headers = ["Authorization": "Bearer rahasia"]
            }
            try await world.say("halo", as: world.ani)
            try await until { world.status?.lastError != nil && remote.visits > 2 }
            #expect(world.status?.lastError?.message == "cannot connect: TLS failed: \(words)")
            #expect(remote.greetings.isEmpty, "no request, so no header, went out")
            #expect(world.status?.state == .down)
            #expect(try await world.waitingCount() == 1)
        }
    }

    @Test func plainTextWhereTLSIsWantedIsRefused() async throws {
        let remote = try await RemoteActor()
        remote.behave(.answers("HTTP/1.1 200 OK\r\n\r\n"))
        try await BridgeWorld.run { world in
            let target = self.target(remote, host: "localhost", authority: TestCertificate.authority)
            try await world.bridge(to: remote) { $0 = target }
            try await until { world.status?.lastError != nil && world.status?.disconnects ?? 0 > 1 }
            #expect(world.status?.lastError?.message == "cannot connect: TLS failed: there was no handshake")
            #expect(remote.said.isEmpty && world.status?.state == .down)
        }
    }
}
