import Core
import Foundation
import Gateway
import NIOCore
import STUNWire

/// Allocates at a TURN server with credentials as clients get them, and sends data through it: twice allocated, as two
/// people would who are both behind it.
struct RelayCheck {
    /// Far beyond any clock that is merely wrong by hours.
    private static let clockProbe = Duration.seconds(7 * 24 * 3600)
    private static let dataBytes = 16
    private static let dataTries = 4

    let turn: TURNServers
    let subject: String
    let carrier: STUNAssociation.Carrier
    let address: SocketAddress
    let timeout: Duration
    let time: any TimeSource

    private func finding(_ status: Finding.Status, _ text: String, advice: String? = nil) -> Finding {
        Finding(.turn, self.subject, status, text, advice: advice)
    }

    /// - throws: ``STUNFault`` when the server cannot be asked at all.
    func finding() async throws -> Finding {
        let clock = ContinuousClock()
        let startedAt = clock.now
        var first = try await self.allocation(expiresIn: self.turn.credentialsLifetime)
        let took = (clock.now - startedAt).milliseconds
        guard case .made(let relayed) = first.outcome else {
            await first.end()
            return await self.words(for: first.outcome)
        }
        let finding: Finding
        do {
            finding = try await self.roundTrip(&first, relayed, took: took)
        } catch {
            finding = self.finding(
                .failed, "it allocated \(relayed), but then it did not answer any more (\(STUNFault(error).words))",
                advice: "check the load and the log of the server")
        }
        await first.end()
        return finding
    }

    /// Data from one allocation to another and back.
    private func roundTrip(_ first: inout RelayAllocation, _ relayed: STUNAddress, took: Int64) async throws -> Finding
    {
        var second = try await self.allocation(expiresIn: self.turn.credentialsLifetime)
        let finding: Finding
        do {
            finding = try await self.roundTrip(&first, relayed, &second, took: took)
        } catch {
            await second.end()
            throw error
        }
        await second.end()
        return finding
    }

    private func roundTrip(
        _ first: inout RelayAllocation, _ relayed: STUNAddress, _ second: inout RelayAllocation, took: Int64
    ) async throws -> Finding {
        guard case .made(let peer) = second.outcome else {
            let refusal = await self.words(for: second.outcome)
            return self.finding(
                .warning, "it allocated \(relayed) in \(took) ms, but not a second time: \(refusal.text)",
                advice: "a call with several people takes an allocation for each: raise user-quota and total-quota")
        }
        let refusals = [try await first.permit(peer), try await second.permit(relayed)].compactMap(\.self)
        if let refusal = refusals.first {
            return self.finding(
                .failed, "it allocated \(relayed), but lets no data pass to its own address: \(refusal)",
                advice: "two people who both need the relay cannot talk: take \(peer.hostText) out of denied-peer-ip"
                    + (peer.isPrivate ? ", or give external-ip the public address" : ""))
        }
        guard await self.passes(from: first, at: relayed, to: second, at: peer) else {
            return self.finding(
                .failed, "it allocated \(relayed), but data through it did not arrive",
                advice: "let UDP through to its relay ports (coturn: min-port to max-port, 49152 to 65535), "
                    + "and check relay-ip and external-ip")
        }
        return self.verdict(relayed, took: took)
    }

    private func verdict(_ relayed: STUNAddress, took: Int64) -> Finding {
        let works = "it allocated \(relayed) in \(took) ms, and data went through it and back"
        let server = self.address.ipAddress.flatMap(STUNAddress.init(ipAddress:))
        if relayed.isPrivate, let server, !server.isPrivate {
            return self.finding(
                .failed, "\(works), but that address is a private one: nobody outside of its network can send to it",
                advice: "the server is behind NAT: start coturn with external-ip=\(server.hostText)/\(relayed.hostText)"
            )
        }
        return self.finding(.ok, works)
    }

    private func passes(
        from first: RelayAllocation, at relayed: STUNAddress, to second: RelayAllocation, at peer: STUNAddress
    ) async -> Bool {
        let message = (0..<Self.dataBytes).map { _ in UInt8.random(in: .min ... .max) }
        let tries = Self.dataTries
        // Datagrams get lost; that many in a row do not.
        for _ in 0..<tries {
            first.send(message, to: peer)
            guard let there = try? await second.nextData(within: self.timeout / tries), there.data == message else {
                continue
            }
            second.send(message, to: there.peerAddress ?? relayed)
            if let back = try? await first.nextData(within: self.timeout / tries), back.data == message { return true }
        }
        return false
    }

    private func allocation(expiresIn lifetime: Duration) async throws -> RelayAllocation {
        let credentials = self.turn.credentials(for: "comblang-doctor", expiresAt: self.time.now.advanced(by: lifetime))
        return try await RelayAllocation.make(
            by: self.carrier, at: self.address, credentials, timeout: self.timeout)
    }

    // MARK: What was refused, in words

    private func words(for outcome: RelayAllocation.Outcome) async -> Finding {
        switch outcome {
        case .made(let relayed): return self.finding(.ok, "it allocated \(relayed)")
        case .open(let relayed):
            return self.finding(
                .failed, "it allocated \(relayed) without asking for a password: anybody can relay through it",
                advice: "start coturn with use-auth-secret and the static-auth-secret")
        case .forged:
            return self.finding(
                .failed, "it took the credentials but did not prove that it knows the secret",
                advice: "something else answers there: check the address")
        case .malformed:
            return self.finding(.failed, "it answered what is no answer of TURN", advice: "check the port")
        case .refused(401, _): return await self.unauthorized()
        case .refused(let code, let reason):
            let (text, advice) = Self.words(for: code)
            let quoted = Table.printable(String(reason.prefix(100)))
            return self.finding(.failed, "\(text) (\(code) \(quoted))", advice: advice)
        }
    }

    /// Wrong is the secret, or the time: credentials for a week tell which.
    private func unauthorized() async -> Finding {
        var later = try? await self.allocation(expiresIn: Self.clockProbe)
        let isMade = if case .made = later?.outcome { true } else { false }
        await later?.end()
        if isMade {
            let seconds = self.turn.credentialsLifetime.components.seconds
            return self.finding(
                .failed,
                "it takes credentials that hold for a week, but not those that clients get, for \(seconds) s: "
                    + "its clock is ahead of this machine's",
                advice: "set both clocks by NTP, or raise turnTtlSeconds")
        }
        return self.finding(
            .failed, "it refused the credentials: turnSecret is not its secret (401)",
            advice: "turnSecret must be coturn's static-auth-secret, and coturn must run with use-auth-secret "
                + "(not lt-cred-mech)")
    }

    private static func words(for code: Int) -> (text: String, advice: String?) {
        switch code {
        case 300: ("it sends clients to another server", "name that one in turnUrl")
        case 400: ("it does not understand the request", "check that it speaks RFC 8656 or RFC 5766")
        case 403: ("it forbids relaying", "check its rules for users and addresses")
        case 437:
            ("it mixes this allocation up with another one", "check whether something rewrites UDP ports on the way")
        case 438:
            (
                "it calls each of its own nonces stale",
                "check stale-nonce, and whether a balancer sends datagrams to different servers"
            )
        case 441:
            (
                "it takes the credentials for another user's",
                "check whether a balancer sends datagrams to different servers"
            )
        case 442: ("it does not relay UDP", "coturn: take no-udp-relay away")
        case 486: ("it gives this user no more allocations", "coturn: raise user-quota or total-quota")
        case 508: ("it has no relay port left", "coturn: widen min-port to max-port; look for allocations that stay")
        default: ("it refused", "see its log")
        }
    }
}

extension STUNAddress {
    /// From its text; `nil` for what is no address.
    init?(ipAddress: String) {
        var host = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, ipAddress, &host) == 1 {
            self.init(host: Array(host.prefix(4)), port: 0)
        } else if inet_pton(AF_INET6, ipAddress, &host) == 1 {
            self.init(host: host, port: 0)
        } else {
            return nil
        }
    }
}

extension STUNFault {
    /// In a few words, inside of a sentence.
    var words: String {
        switch self {
        case .noAnswer: "no answer in time"
        case .refused: "refused"
        case .unreachable: "no route"
        case .tls(let reason): "TLS: \(reason)"
        case .closed: "it hung up"
        case .other(let reason): reason
        }
    }
}
