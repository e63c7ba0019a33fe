import ArgumentParser

/// The flags of `serve`. All are texts here: ``Configuration`` checks them together with environment and file.
struct ServeFlags: ParsableArguments {
    @Option(help: "A JSON file of settings; flags and COMBLANG_… variables win over it.")
    var config: String?
    @Option(help: "Address to listen on. (default: 127.0.0.1)")
    var host: String?
    @Option(help: "Port to listen on; 0 takes a free one. (default: 8080)")
    var port: String?
    @Option(help: "Where database and secrets are. (default: data)")
    var dataDir: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical. (default: info)")
    var logLevel: String?
    @Option(help: "How long events stay in the log. (default: 24)")
    var retentionHours: String?
    @Option(help: "How many events stay in the log at most. (default: 1000000)")
    var retentionEvents: String?
    @Option(help: "Origins that browsers may call from, separated by commas. (default: *)")
    var corsOrigins: String?
    @Option(help: "A STUN server that clients are told, or none; may be repeated. (default: five of Google)")
    var stunUrl: [String] = []
    @Option(help: "A TURN server for participants of calls; may be repeated. (default: none)")
    var turnUrl: [String] = []
    @Option(help: "The TURN servers' static-auth-secret. Others see flags: better COMBLANG_TURN_SECRET or a file.")
    var turnSecret: String?
    @Option(help: "A file with that secret.")
    var turnSecretFile: String?
    @Option(help: "How long TURN credentials hold; at half of it participants get others. (default: 3600)")
    var turnTtlSeconds: String?
    @Option(help: "Whose profiles users see: shared-room or all. (default: shared-room)")
    var usersVisible: String?
    @Option(help: "Guests by name at /ws/{room}: allowed or refused. (default: allowed)")
    var roomGuests: String?
    @Option(help: "Joined participants of a call at most. (default: 8)")
    var callParticipants: String?
    @Option(help: "Streams end after so long, give or take a tenth, and clients come back. (default: 600)")
    var streamRotateSeconds: String?
    @Option(help: "Silence on a stream before a heartbeat. (default: 15)")
    var heartbeatSeconds: String?
    @Option(help: "A stream that takes nothing for so long ends as slow. (default: 5)")
    var streamStallSeconds: String?
    @Option(help: "Open streams of one device at most. (default: 8)")
    var streamsPerDevice: String?
    @Option(help: "Open streams of one user at most. (default: 32)")
    var streamsPerUser: String?
    @Option(help: "Events kept in memory for readers that are a little behind. (default: 65536)")
    var recentEvents: String?
    @Option(help: "Memory for these events, in MiB, on each event loop. (default: 32)")
    var recentMegabytes: String?
    @Option(help: "How long they are kept there, in seconds. (default: 60)")
    var recentSeconds: String?
    @Option(help: "Whether admins may search everybody's messages: on or off. (default: off)")
    var adminMessageSearch: String?
    @Option(help: "Backups that stay; older ones are deleted. (default: 7)")
    var backupsKept: String?
    @Option(help: "When stopping, streams end spread over so long. (default: 3)")
    var drainSeconds: String?
    @Option(help: "A JSON file of bridges to remote rooms; see docs/bridge.md.")
    var bridges: String?
    @Option(help: "The longest wait of a bridge between two attempts. (default: 60)")
    var bridgeRetrySeconds: String?

    /// What was given, by the settings' names.
    var given: [String: String] {
        let all: [String: String?] = [
            "host": self.host, "port": self.port, "dataDir": self.dataDir, "logLevel": self.logLevel,
            "retentionHours": self.retentionHours, "retentionEvents": self.retentionEvents,
            "corsOrigins": self.corsOrigins, "stunUrl": Self.joined(self.stunUrl), "turnUrl": Self.joined(self.turnUrl),
            "turnSecret": self.turnSecret, "turnSecretFile": self.turnSecretFile,
            "turnTtlSeconds": self.turnTtlSeconds, "usersVisible": self.usersVisible, "roomGuests": self.roomGuests,
            "callParticipants": self.callParticipants, "streamRotateSeconds": self.streamRotateSeconds,
            "heartbeatSeconds": self.heartbeatSeconds, "streamStallSeconds": self.streamStallSeconds,
            "streamsPerDevice": self.streamsPerDevice, "streamsPerUser": self.streamsPerUser,
            "recentEvents": self.recentEvents, "recentMegabytes": self.recentMegabytes,
            "recentSeconds": self.recentSeconds, "adminMessageSearch": self.adminMessageSearch,
            "backupsKept": self.backupsKept,
            "drainSeconds": self.drainSeconds, "bridges": self.bridges,
            "bridgeRetrySeconds": self.bridgeRetrySeconds,
        ]
        return all.compactMapValues { $0 }
    }

    /// As a variable has it; no URL of a server has a comma in it.
    private static func joined(_ values: [String]) -> String? { values.isEmpty ? nil : values.joined(separator: ",") }
}
