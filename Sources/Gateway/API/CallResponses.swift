import Core

/// An `RTCConfiguration`: what to give to `new RTCPeerConnection(…)` as it is.
struct RTCConfigurationResponse: Encodable, Sendable {
    struct Server: Encodable, Sendable {
        let urls: [String]
    }

    let iceServers: [Server]

    /// As the seed's clients have it: candidates are gathered ahead of the call.
    private static let candidatePoolSize = 10

    init(_ settings: GatewaySettings) {
        self.iceServers = settings.iceServerURLs.map { Server(urls: [$0]) }
    }

    private enum CodingKeys: String, CodingKey { case iceServers, iceCandidatePoolSize, ttlSeconds }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.iceServers, forKey: .iceServers)
        try container.encode(Self.candidatePoolSize, forKey: .iceCandidatePoolSize)
        // There are no credentials yet that could expire.
        try container.encodeNil(forKey: .ttlSeconds)
    }
}

/// 201 of `POST /v1/rooms/{room}/calls`.
struct CreatedCallResponse: Encodable, Sendable {
    let call: CallPayload
    let iceServers: RTCConfigurationResponse
    let leaveToken: String
}

/// 200 of `POST /v1/calls/{call}/join`.
struct JoinedCallResponse: Encodable, Sendable {
    let call: CallPayload
    let peers: [PeerPayload]
    let iceServers: RTCConfigurationResponse
    let leaveToken: String
}

/// 202 of `POST /v1/calls/{call}/signals`.
struct SignalReceiptResponse: Encodable, Sendable {
    enum Delivery: String, Encodable, Sendable { case live, queued }

    let id: SignalID
    let delivery: Delivery
    /// The addressee's devices with an open reader that gets the signal: 0, or 1 for the owning device.
    let devices: Int

    init(_ id: SignalID, readerCount: Int) {
        self.id = id
        self.delivery = readerCount > 0 ? .live : .queued
        self.devices = min(readerCount, 1)
    }
}
