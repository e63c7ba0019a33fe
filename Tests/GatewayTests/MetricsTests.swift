import Core
import Gateway
import HTTPTypes
import Hub
import NIOPosix
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct MetricsTests {
    @Test func readersAndBridgesAreCounted() async throws {
        try await TestServer.run { server in
            let name = try #require(BridgeName("far"))
            var status = BridgeStatus(state: .down, since: server.clock.now)
            status.messagesReceived = 7
            server.gateway.bridges[name] = status
            let subscription = Subscription(
                user: UserID(known: "usr_a"), device: DeviceID(known: "ses_a"), scope: .user, filter: .everything,
                transport: .sse)
            let place = try server.gateway.hub.reserve(
                subscription, on: MultiThreadedEventLoopGroup.singleton.any())
            server.gateway.readiness.becameReady()
            let answer = try await server.send(.get, "/metrics")
            withExtendedLifetime(place) {}
            #expect(answer.status == 200)
            #expect(answer.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            let lines = Set(answer.text.split(separator: "\n").map(String.init))
            for line in [
                "# TYPE comblang_readers gauge", "comblang_readers{transport=\"sse\"} 1",
                "comblang_readers{transport=\"poll\"} 0", "comblang_ready 1",
                "comblang_bridge_state{bridge=\"far\",state=\"down\"} 1",
                "comblang_bridge_state{bridge=\"far\",state=\"live\"} 0", "comblang_bridge_outbox{bridge=\"far\"} 0",
                "comblang_bridge_messages_received_total{bridge=\"far\"} 7",
            ] {
                #expect(lines.contains(line), "\(line) in \(answer.text)")
            }
        }
    }
}
