import Core
import Gateway
import NIOCore
import STUNWire

/// Asks one configured STUN or TURN server at each of its addresses, as a client in a call would.
struct ServerCheck {
    let uri: ServerURI
    /// For TURN; `nil` for STUN.
    let turn: TURNServers?
    /// How long one answer may take.
    let timeout: Duration
    /// A PEM file of certificate authorities that are trusted beside the system's; `nil` for none.
    let authorities: String?
    let time: any TimeSource

    private var area: Finding.Area { self.turn == nil ? .stun : .turn }

    func findings() async -> [Finding] {
        let carrier: STUNAssociation.Carrier
        switch (self.uri.isSecure, self.uri.transport) {
        case (false, .udp): carrier = .udp
        case (false, .tcp): carrier = .tcp
        case (true, .tcp): carrier = .tls(serverName: self.uri.host, authorities: self.authorities)
        case (true, .udp):
            return [
                Finding(
                    self.area, self.uri.description, .skipped, "DTLS is not spoken here, so it was not asked",
                    advice: "browsers ask it by TLS: leave ?transport=udp out")
            ]
        }
        let addresses: [SocketAddress]
        do {
            addresses = try await NameLookup.addresses(of: self.uri.host, port: self.uri.port)
        } catch {
            return [
                Finding(
                    self.area, self.uri.description, .failed, "the name \(self.uri.host) has no address: \(error)",
                    advice: "check the spelling, and the name server of this machine")
            ]
        }
        var findings: [Finding] = []
        for address in addresses {
            let found = await self.ask(address, by: carrier)
            // One of several addresses that this machine's network lacks (IPv6, mostly) is nobody's fault.
            let isBeyond = found.status == .failed && addresses.count > 1 && found.isUnreachable
            findings.append(isBeyond ? found.finding.skipped : found.finding)
        }
        return findings
    }

    private func ask(_ address: SocketAddress, by carrier: STUNAssociation.Carrier) async -> Answer {
        let subject =
            address.ipAddress == self.uri.host ? self.uri.description : "\(self.uri) (\(address.ipAddress ?? ""))"
        do {
            let finding: Finding
            if let turn {
                finding = try await RelayCheck(
                    turn: turn, subject: subject, carrier: carrier, address: address, timeout: self.timeout,
                    time: self.time
                ).finding()
            } else {
                finding = try await self.bind(address, by: carrier, subject: subject)
            }
            return Answer(finding: finding, isUnreachable: false)
        } catch {
            let fault = STUNFault(error)
            let words = await self.words(for: fault, address, carrier)
            // Those of the default are other people's, and far away.
            let another = self.turn == nil ? "; or name another one in stunUrl, or none" : ""
            return Answer(
                finding: Finding(self.area, subject, .failed, words.text, advice: words.advice.map { $0 + another }),
                isUnreachable: fault == .unreachable)
        }
    }

    private struct Answer {
        let finding: Finding
        let isUnreachable: Bool
        var status: Finding.Status { self.finding.status }
    }

    /// A Binding request: the server tells how it sees this machine.
    private func bind(
        _ address: SocketAddress, by carrier: STUNAssociation.Carrier, subject: String
    ) async throws -> Finding {
        let association = try await STUNAssociation.open(carrier, to: address, timeout: self.timeout)
        let request = STUNMessage(.binding)
        let clock = ContinuousClock()
        let startedAt = clock.now
        let answer: STUNMessage
        do {
            answer = try await association.exchange(request.encoded(), request.id)
        } catch {
            await association.close()
            throw error
        }
        let took = (clock.now - startedAt).milliseconds
        await association.close()
        guard answer.kind == .success, let mapped = answer.mappedAddress else {
            let reason = answer.error.map { "with error \($0.code) (\($0.reason))" } ?? "without an address"
            return Finding(
                .stun, subject, .failed, "it answered \(reason)", advice: "ask whoever runs it, or name another one")
        }
        return Finding(.stun, subject, .ok, "it answered in \(took) ms and sees this machine as \(mapped)")
    }

    // MARK: What went wrong, in words

    private func words(
        for fault: STUNFault, _ address: SocketAddress, _ carrier: STUNAssociation.Carrier
    ) async -> (text: String, advice: String?) {
        switch fault {
        case .noAnswer where carrier == .udp:
            guard await self.answersOverTCP(address) else {
                return (
                    "no answer over UDP within \(self.timeout.components.seconds) s, and none over TCP",
                    "check that the server runs there, and that firewalls let UDP and TCP port \(self.uri.port) through"
                )
            }
            return (
                "no answer over UDP, but it answers over TCP at the same port: UDP is blocked on the way",
                "let UDP port \(self.uri.port) through; clients in such a network need a URL with ?transport=tcp"
            )
        case .noAnswer:
            return (
                "no answer over TCP within \(self.timeout.components.seconds) s",
                "check that the server runs there, and that firewalls let TCP port \(self.uri.port) through"
            )
        case .refused:
            return (
                "nothing listens at \(carrier == .udp ? "UDP" : "TCP") port \(self.uri.port)",
                "check the port and the transport, and that the server runs (coturn: listening-port, no-udp, no-tcp)"
            )
        case .unreachable:
            return ("there is no route to it from this machine", "check the network of this machine")
        case .tls(let reason):
            return (
                "TLS failed: \(reason)",
                "check the server's certificate: its names, its dates, its whole chain, and that this port speaks TLS"
            )
        case .closed: return ("it hung up without an answer", "check that this port speaks STUN")
        case .other(let reason): return ("it could not be asked: \(reason)", nil)
        }
    }

    private func answersOverTCP(_ address: SocketAddress) async -> Bool {
        guard let association = try? await STUNAssociation.open(.tcp, to: address, timeout: self.timeout) else {
            return false
        }
        let request = STUNMessage(.binding)
        let answer = try? await association.exchange(request.encoded(), request.id)
        await association.close()
        return answer != nil
    }
}

extension Finding {
    /// As it is, but nothing that speaks against the server.
    var skipped: Finding { Finding(self.area, self.subject, .skipped, self.text) }
}
