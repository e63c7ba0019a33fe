import Core

/// An `RTCConfiguration`: what to give to `new RTCPeerConnection(…)` as it is.
struct RTCConfigurationResponse: Encodable, Sendable {
    struct Server: Encodable, Sendable {
        let urls: [String]
        var username: String?
        var credential: String?
    }

    let iceServers: [Server]
    /// How long the credentials hold; `nil` when there are none.
    let ttlSeconds: Int?

    /// As the seed's clients have it: candidates are gathered ahead of the call.
    private static let candidatePoolSize = 10

    /// For anybody.
    init(_ settings: GatewaySettings) {
        self.iceServers = settings.stunURLs.map { Server(urls: [$0]) }
        self.ttlSeconds = nil
    }

    /// For a participant who has joined: with TURN servers, if there are any.
    init(_ settings: GatewaySettings, for user: UserID, in call: CallID, now: Timestamp) {
        let relay = settings.turn.map { turn in
            let credentials = turn.credentials(for: user, in: call, now: now)
            return Server(urls: turn.urls, username: credentials.username, credential: credentials.password)
        }
        self.iceServers = settings.stunURLs.map { Server(urls: [$0]) } + [relay].compactMap(\.self)
        self.ttlSeconds = settings.turn.map { Int($0.credentialsLifetime.components.seconds) }
    }

    private enum CodingKeys: String, CodingKey { case iceServers, iceCandidatePoolSize, ttlSeconds }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.iceServers, forKey: .iceServers)
        try container.encode(Self.candidatePoolSize, forKey: .iceCandidatePoolSize)
        // Not `encodeIfPresent`: the contract shows it as null.
        try container.encode(self.ttlSeconds, forKey: .ttlSeconds)
    }
}

/// 201 of `POST /v1/rooms/{room}/calls`, but for `iceServers`: credentials are not kept with an `Idempotency-Key`.
struct CreatedCallResponse: Encodable, Sendable {
    let call: CallPayload
    let leaveToken: String
}

/// 200 of `POST /v1/calls/{call}/join`, but for `iceServers`, as above.
struct JoinedCallResponse: Encodable, Sendable {
    let call: CallPayload
    let peers: [PeerPayload]
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
