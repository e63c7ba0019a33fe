import Core
import Gateway
import Hub
import Logging
import Webhooks

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

    /// Where a certificate and its key are, and how often they are looked at again (1 s to a day, default a minute).
    struct TLSFiles: Sendable {
        let certificate: String
        let key: String
        let reloadEvery: Duration
    }

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
    /// Who may sign up: `open` (default), `invite` or `closed`.
    let registration: Registration
    /// PEM files of the certificate, with those that vouch for it, and its key; `nil`: clear text.
    let tls: TLSFiles?
    /// Addresses that webhooks may be posted to, besides those of the public Internet. Default: none.
    let webhookNetworks: WebhookNetworks
    let gateway: GatewaySettings
    let hub: HubSettings

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
        self.registration = settings.choice("registration", default: .open)
        let mayBeOpen = settings.flag("allowOpenRegistration", default: false)
        if self.registration == .open, !mayBeOpen, !Self.isLoopback(self.host) {
            settings.fault(
                "registration",
                "is open, and \(self.host) is reached from other machines: choose --registration invite or closed, or "
                    + "say --allow-open-registration true if everybody may sign up")
        }
        self.tls = Self.tlsFiles(&settings)
        self.webhookNetworks = WebhookNetworks(settings.networks("webhookNetworks"))
        self.gateway = Self.gatewaySettings(&settings)
        self.hub = Self.hubSettings(&settings, drain: self.drain)
        settings.rejectUnknownMembers()
        guard settings.faults.isEmpty else {
            throw CommandFailure("bad setting: \(settings.faults.joined(separator: "; "))")
        }
        self.logMetadata = Dictionary(uniqueKeysWithValues: settings.inForce.map { ($0.name, .string($0.value)) })
    }

    private static func tlsFiles(_ settings: inout SettingsReader) -> TLSFiles? {
        let certificate = settings.optionalText("tlsCertificate")
        let key = settings.optionalText("tlsKey")
        let seconds = settings.integer("tlsReloadSeconds", in: 1...86_400, default: 60)
        switch (certificate, key) {
        case (nil, nil):
            return nil
        case (let certificate?, let key?):
            return TLSFiles(certificate: certificate, key: key, reloadEvery: .seconds(seconds))
        case (nil, .some):
            settings.fault("tlsCertificate", "is missing: a key alone is not enough")
        case (.some, nil):
            settings.fault("tlsKey", "is missing: a certificate alone is not enough")
        }
        return nil
    }

    private static func gatewaySettings(_ settings: inout SettingsReader) -> GatewaySettings {
        var gateway = GatewaySettings()
        let origins = settings.list("corsOrigins", default: ["*"]) { origin in
            origin == "*" || (origin.contains("://") && !origin.hasSuffix("/"))
                ? nil : "must hold origins like https://example.org, or * for all"
        }
        gateway.allowedOrigins = origins.contains("*") ? nil : origins
        let visible = settings.choice("usersVisible", default: UsersVisible.sharedRoom)
        gateway.allUsersVisible = visible == .all
        gateway.iceServerURLs = settings.list("iceServers", default: GatewaySettings.seedIceServerURLs) { url in
            url.hasPrefix("stun:") || url.hasPrefix("stuns:") ? nil : "must hold URLs like stun:stun.example.org:3478"
        }
        gateway.joinedParticipantsMax = settings.integer(
            "callParticipants", in: 2...64, default: gateway.joinedParticipantsMax)
        gateway.rates = Self.rates(&settings)
        gateway.trustedProxies = TrustedProxies(
            networks: settings.networks("trustedProxies"),
            field: settings.choice("proxyHeader", default: TrustedProxies.Field.forwardedFor))
        return gateway
    }

    /// `rateLimits` turns all of them off; each has its own setting, `rateReads` and so on.
    private static func rates(_ settings: inout SettingsReader) -> RateSettings {
        let isOn = settings.flag("rateLimits", default: true)
        var rates = RateSettings.standard
        for rateClass in RateClass.allCases {
            let words = rateClass.rawValue.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }
            let standard = rates.quotas[rateClass].map { "\($0.count)/\($0.windowSeconds)" } ?? "off"
            let name = "rate\(words.joined())"
            let text = settings.text(name, default: standard)
            rates.quotas[rateClass] = RateQuota(text)
            if text != "off", rates.quotas[rateClass] == nil {
                settings.fault(name, "must be off or like 600/60: so many requests in so many seconds")
            }
        }
        return isOn ? rates : .off
    }

    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || IPAddress(host) == IPAddress("::1")
            || (IPAddress(host).flatMap { IPNetwork("127.0.0.0/8")?.contains($0) } ?? false)
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
