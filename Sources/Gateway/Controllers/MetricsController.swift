import Core
import HTTPTypes
import Hub
import Hummingbird
import NIOCore

/// `GET /metrics`: counts for a Prometheus, nobody's name. Needs no credentials, as scrapers have none: whoever
/// must not see it is kept away by the proxy in front.
struct MetricsController {
    let gateway: Gateway

    func addRoutes(to open: RouterGroup<GatewayContext>) {
        open.get("/metrics") { _, _ in
            Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: try await self.text())))
        }
    }

    private func text() async throws -> String {
        let bridges = self.gateway.bridges.all
        let (tail, queued) = try await self.gateway.store.read { store in
            (
                try store.logBounds().tail,
                try bridges.map { try store.outboxCount(of: $0.name) }
            )
        }
        var metrics = MetricsText()
        metrics.add(
            "comblang_ready", .gauge, "1 while requests are taken, 0 while draining.",
            [([], self.gateway.readiness.state == .ready ? 1 : 0)])
        metrics.add("comblang_log_seq_total", .counter, "Seqs that the log has given.", [([], Double(tail))])
        let readers = self.gateway.hub.registry.readerCounts
        metrics.add(
            "comblang_readers", .gauge, "Open streams and waiting polls.",
            Transport.allCases.map { ([("transport", $0.rawValue)], Double(readers[$0] ?? 0)) })
        Self.add(zip(bridges, queued).map { ($0.name.text, $0.status, $1) }, to: &metrics)
        return metrics.text
    }

    private static func add(
        _ bridges: [(name: String, status: BridgeStatus, queued: Int)], to metrics: inout MetricsText
    ) {
        metrics.add(
            "comblang_bridge_state", .gauge, "1 for the state that the bridge is in.",
            bridges.flatMap { bridge in
                BridgeState.allCases.map { state in
                    ([("bridge", bridge.name), ("state", state.rawValue)], bridge.status.state == state ? 1 : 0)
                }
            })
        metrics.add(
            "comblang_bridge_outbox", .gauge, "Messages that wait for the remote room.",
            bridges.map { ([("bridge", $0.name)], Double($0.queued)) })
        let families: [(name: String, kind: MetricsText.Kind, help: String, value: KeyPath<BridgeStatus, Int>)] = [
            ("sessions", .gauge, "Sessions that the remote room has welcomed.", \.sessions),
            ("users", .gauge, "Remote users who are there.", \.users),
            ("messages_sent_total", .counter, "Messages that the remote room took.", \.messagesSent),
            ("messages_received_total", .counter, "Messages from the remote room.", \.messagesReceived),
            ("messages_refused_total", .counter, "Messages that it did not take.", \.messagesRefused),
            ("signals_sent_total", .counter, "Signals to the remote room.", \.signalsSent),
            ("signals_received_total", .counter, "Signals from the remote room.", \.signalsReceived),
            ("disconnects_total", .counter, "Connections that broke or could not be made.", \.disconnects),
        ]
        for family in families {
            metrics.add(
                "comblang_bridge_\(family.name)", family.kind, family.help,
                bridges.map { ([("bridge", $0.name)], Double($0.status[keyPath: family.value])) })
        }
    }
}
