import Gateway
import NIOCore
import STUNWire

/// One allocation at a TURN server, or what came instead of it; ended by ``end()``.
struct RelayAllocation: Sendable {
    /// What the server answered to Allocate.
    enum Outcome: Hashable, Sendable {
        /// Others reach it at this address.
        case made(STUNAddress)
        /// Made, but without any proof.
        case open(STUNAddress)
        /// Success, but from somebody who does not know the password.
        case forged
        case malformed
        case refused(code: Int, reason: String)
    }

    private(set) var outcome: Outcome
    private let association: STUNAssociation
    private var authentication: LongTermAuthentication

    /// - throws: ``STUNFault``.
    static func make(
        by carrier: STUNAssociation.Carrier, at address: SocketAddress, _ credentials: TURNServers.Credentials,
        timeout: Duration
    ) async throws -> RelayAllocation {
        var made = RelayAllocation(
            outcome: .malformed, association: try await .open(carrier, to: address, timeout: timeout),
            authentication: LongTermAuthentication(username: credentials.username, password: credentials.password))
        do {
            let (outcome, answer) = try await made.request(.allocate) { _ in [.requestedUDP] }
            made.outcome = Self.outcome(outcome, answer)
        } catch {
            await made.association.close()
            throw error
        }
        return made
    }

    private static func outcome(_ outcome: LongTermAuthentication.Outcome, _ answer: STUNMessage) -> Outcome {
        switch outcome {
        case .accepted: answer.relayedAddress.map(Outcome.made) ?? .malformed
        case .acceptedUnproven: answer.relayedAddress.map(Outcome.open) ?? .malformed
        case .forged: .forged
        case .refused(let code, let reason): .refused(code: code, reason: reason)
        case .malformed, .repeatRequest: .malformed
        }
    }

    /// Asks until the server has its proof; each try is a transaction of its own.
    private mutating func request(
        _ method: STUNMessage.Method, _ attributes: (STUNMessage.TransactionID) -> [STUNMessage.Attribute]
    ) async throws -> (LongTermAuthentication.Outcome, STUNMessage) {
        while true {
            let id = STUNMessage.TransactionID()
            let request = STUNMessage(method, id: id, attributes: attributes(id))
            let answer = try await self.association.exchange(self.authentication.proving(request), id)
            let outcome = self.authentication.answerReceived(answer)
            // Bounded: one challenge, and three stale nonces.
            if outcome != .repeatRequest { return (outcome, answer) }
        }
    }

    /// Lets data of a peer through; returns why it was refused, `nil` if it was not.
    ///
    /// - throws: ``STUNFault``.
    mutating func permit(_ peer: STUNAddress) async throws -> String? {
        let (outcome, _) = try await self.request(.createPermission) { [.peer(peer, of: $0)] }
        return switch outcome {
        case .accepted, .acceptedUnproven: nil
        case .refused(let code, let reason): "\(code) \(Table.printable(String(reason.prefix(100))))"
        case .forged, .malformed, .repeatRequest: "no answer of TURN"
        }
    }

    /// Sends data to a peer through the relay.
    func send(_ data: [UInt8], to peer: STUNAddress) {
        let id = STUNMessage.TransactionID()
        let message = STUNMessage(.send, .indication, id: id, attributes: [.peer(peer, of: id), .data(data)])
        self.association.send(message.encoded())
    }

    /// - throws: ``STUNFault``.
    func nextData(within timeout: Duration) async throws -> STUNMessage {
        try await self.association.nextData(within: timeout)
    }

    /// Gives the allocation back, so that it counts against no quota for the next ten minutes, and hangs up.
    mutating func end() async {
        switch self.outcome {
        case .made, .open: _ = try? await self.request(.refresh) { _ in [.lifetime(seconds: 0)] }
        case .forged, .malformed, .refused: break
        }
        await self.association.close()
    }
}
