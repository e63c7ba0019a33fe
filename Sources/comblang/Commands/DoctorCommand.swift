import ArgumentParser
import Core
import Foundation
import Gateway
import STUNWire

/// `comblang doctor`: looks at the configuration, the data directory, and each STUN and TURN server, and says in words
/// what is wrong.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check configuration, data directory, STUN and TURN servers.",
        discussion: """
            Takes the flags, variables and file of `serve`, so that it looks at what `serve` would use, and changes \
            nothing. The files of a data directory are looked at only while no server uses it; the servers, always. \
            Exits with 1 if anything has failed.
            """)

    @OptionGroup var flags: ServeFlags

    @Option(help: "How long to wait for one answer of a server, 1 to 60.")
    var timeoutSeconds = 5

    @Option(help: "A PEM file of certificate authorities to trust beside the system's, for turns: and stuns:.")
    var caFile: String?

    @Flag(help: "Print one JSON object, for scripts.")
    var json = false

    func validate() throws {
        guard (1...60).contains(self.timeoutSeconds) else {
            throw ValidationError("--timeout-seconds must be 1 to 60")
        }
        if let caFile, !FileManager.default.isReadableFile(atPath: caFile) {
            throw ValidationError("--ca-file: cannot read \(caFile)")
        }
    }

    func run() async throws {
        let findings = await self.findings()
        let isWell = !findings.contains { $0.status == .failed }
        if self.json {
            try Terminal.write(.object(["ok": .bool(isWell), "findings": .array(findings.map(\.json))]))
        } else {
            for finding in findings { try Terminal.write(finding.lines) }
            let counts = Finding.Status.allCases.reversed().map { status in
                "\(findings.count { $0.status == status }) \(status.rawValue)"
            }
            try Terminal.write(counts.joined(separator: ", "))
        }
        if !isWell { throw ExitCode.failure }
    }

    private func findings() async -> [Finding] {
        let configuration: Configuration
        do {
            configuration = try Configuration(
                try await SettingsReader(
                    flags: self.flags.given, environment: ProcessInfo.processInfo.environment, file: self.flags.config))
        } catch {
            return [
                Finding(
                    .configuration, "settings", .failed, "\(error)",
                    advice: "see docs/configuration.md; nothing else was looked at")
            ]
        }
        return ConfigurationCheck(configuration: configuration, file: self.flags.config).findings()
            + DataDirectoryCheck(path: configuration.dataDirectory).findings()
            + (await self.serverFindings(configuration))
    }

    /// All servers side by side; their findings in the order of the settings.
    private func serverFindings(_ configuration: Configuration) async -> [Finding] {
        let (timeout, time) = (Duration.seconds(self.timeoutSeconds), SystemTime())
        let turn = configuration.gateway.turn
        let checks =
            configuration.gateway.stunURLs.compactMap(ServerURI.init).map {
                ServerCheck(uri: $0, turn: nil, timeout: timeout, authorities: self.caFile, time: time)
            }
            + (turn?.urls ?? []).compactMap(ServerURI.init).map {
                ServerCheck(uri: $0, turn: turn, timeout: timeout, authorities: self.caFile, time: time)
            }
        return await withTaskGroup(of: (Int, [Finding]).self) { group in
            for (index, check) in checks.enumerated() {
                group.addTask { (index, await check.findings()) }
            }
            var found: [(Int, [Finding])] = []
            for await one in group { found.append(one) }
            return found.sorted { $0.0 < $1.0 }.flatMap(\.1)
        }
    }
}
