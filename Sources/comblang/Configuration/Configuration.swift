import Bridge
import Core
import Gateway
import Hub
import Logging

/// Everything that an operator can set, read once at start and checked as a whole.
///
/// Each setting has one name in three spellings: the flag `--stream-rotate-seconds`, the variable
/// `COMBLANG_STREAM_ROTATE_SECONDS`, the member `streamRotateSeconds` of the JSON file of `--config`; a flag wins over
/// the environment, that over the file. Nothing else in the program reads the environment. `docs/configuration.md` is
/// the table for operators.
struct Configuration: Sendable {
    /// Whose profiles `GET /v1/users` shows.
    enum UsersVisible: String, CaseIterable, Sendable {
        case sharedRoom = "shared-room"
        case all
    }

    /// Whether whoever gives a name may come to a public room's WebSocket.
    enum RoomGuests: String, CaseIterable, Sendable { case allowed, refused }

    /// A thing that is off unless an operator wants it.
    enum Switch: String, CaseIterable, Sendable { case on, off }

    /// Address or name to listen on. Default 127.0.0.1: nobody else reaches a server that was started to try it out.
    let host: String
    /// 0…65535, default 8080. 0 takes a free port, which the first line of output tells.
    let port: Int
    /// Where database, secrets and lock are. Default `data` in the working directory.
    let dataDirectory: String
    /// `trace`…`critical`, default `info`.
    let logLevel: Logger.Level
    /// How long (1 hour to a year, default 24 hours) and how many (from 100 on, default 1 000 000, about 1 GB on disk)
    /// events stay in the log. A client that was away for longer reloads.
    let retention: Retention
    /// How long the ends of open streams are spread over when the server stops: 0…10 s, default 3 s. With what follows
    /// the process is gone within 15 s.
    let drain: Duration
    /// Backups that are done and stay, 1…100, default 7; older ones are deleted when one is done.
    let backupsKept: Int
    let gateway: GatewaySettings
    /// The file of the TURN secret, if it is in one; for `doctor`, which looks at who may read it.
    let turnSecretFile: String?
    /// Whether the secret stands in the file of `--config`; likewise.
    let isTurnSecretInFile: Bool
    let hub: HubSettings
    /// Bridges to remote rooms wait at most so long between two attempts: 1 s to an hour, default 60 s.
    let bridges: BridgeSettings
    /// A JSON file with bridges, `docs/bridge.md`; none by default.
    let bridgeFile: String?

    /// What is in force, for the log, by the names of the file's members. No secret is among them.
    let logMetadata: Logger.Metadata

    /// - throws: ``CommandFailure`` naming every setting that is wrong, in one line.
    init(_ sources: SettingsReader) throws(CommandFailure) {
        var settings = sources
        self.host = settings.text("host", default: "127.0.0.1")
        self.port = settings.integer("port", in: 0...65_535, default: 8080)
        self.dataDirectory = settings.text("dataDir", default: "data")
        self.logLevel = settings.choice("logLevel", default: Logger.Level.info)
        var retention = Retention()
        retention.age = .seconds(3600 * settings.integer("retentionHours", in: 1...8784, default: 24))
        retention.eventsMax = settings.integer("retentionEvents", in: 100...1_000_000_000, default: retention.eventsMax)
        self.retention = retention
        self.drain = .seconds(settings.integer("drainSeconds", in: 0...10, default: 3))
        self.backupsKept = settings.integer("backupsKept", in: 1...Limits.backupsKeptMax, default: 7)
        self.turnSecretFile = settings.optionalText("turnSecretFile")
        self.gateway = Self.gatewaySettings(&settings, turnSecretFile: self.turnSecretFile)
        self.isTurnSecretInFile = settings.isInFile("turnSecret")
        self.hub = Self.hubSettings(&settings, drain: self.drain)
        self.bridges = Self.bridgeSettings(&settings, self.gateway)
        self.bridgeFile = settings.optionalText("bridges")
        settings.rejectUnknownMembers()
        guard settings.faults.isEmpty else {
            throw CommandFailure("bad setting: \(settings.faults.joined(separator: "; "))")
        }
        self.logMetadata = Dictionary(uniqueKeysWithValues: settings.inForce.map { ($0.name, .string($0.value)) })
    }

    private static func gatewaySettings(
        _ settings: inout SettingsReader, turnSecretFile: String?
    ) -> GatewaySettings {
        var gateway = GatewaySettings()
        let origins = settings.list("corsOrigins", default: ["*"]) { origin in
            origin == "*" || (origin.contains("://") && !origin.hasSuffix("/"))
                ? nil : "must hold origins like https://example.org, or * for all"
        }
        gateway.allowedOrigins = origins.contains("*") ? nil : origins
        let visible = settings.choice("usersVisible", default: UsersVisible.sharedRoom)
        gateway.allUsersVisible = visible == .all
        gateway.stunURLs = Self.stunURLs(&settings)
        gateway.turn = Self.turnServers(&settings, secretFile: turnSecretFile)
        let guests = settings.choice("roomGuests", default: RoomGuests.allowed)
        gateway.roomGuestsAllowed = guests == .allowed
        gateway.joinedParticipantsMax = settings.integer(
            "callParticipants", in: 2...64, default: gateway.joinedParticipantsMax)
        gateway.adminsSearchMessages = settings.choice("adminMessageSearch", default: Switch.off) == .on
        return gateway
    }

    private static func bridgeSettings(
        _ settings: inout SettingsReader, _ gateway: GatewaySettings
    ) -> BridgeSettings {
        var bridges = BridgeSettings()
        bridges.session.retryMax = .seconds(settings.integer("bridgeRetrySeconds", in: 1...3600, default: 60))
        bridges.joinedParticipantsMax = gateway.joinedParticipantsMax
        return bridges
    }

    private static func hubSettings(_ settings: inout SettingsReader, drain: Duration) -> HubSettings {
        var hub = HubSettings()
        hub.rotateAfter = .seconds(settings.integer("streamRotateSeconds", in: 1...86_400, default: 600))
        hub.heartbeatEvery = .seconds(settings.integer("heartbeatSeconds", in: 1...60, default: 15))
        hub.stallMax = .seconds(settings.integer("streamStallSeconds", in: 1...60, default: 5))
        hub.streamsPerDeviceMax = settings.integer("streamsPerDevice", in: 1...1000, default: hub.streamsPerDeviceMax)
        hub.streamsPerUserMax = settings.integer("streamsPerUser", in: 1...10_000, default: hub.streamsPerUserMax)
        hub.recentEventsMax = settings.integer("recentEvents", in: 16...10_000_000, default: hub.recentEventsMax)
        let megabyte = 1024 * 1024
        hub.recentBytesMax =
            megabyte * settings.integer("recentMegabytes", in: 1...4096, default: hub.recentBytesMax / megabyte)
        hub.recentKept = .seconds(settings.integer("recentSeconds", in: 1...86_400, default: 60))
        hub.drainSpread = drain
        return hub
    }
}
