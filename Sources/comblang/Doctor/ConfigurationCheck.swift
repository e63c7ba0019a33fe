import Core
import Foundation
import Gateway

/// Looks at what is set: that it can be served with, and what one would regret.
struct ConfigurationCheck {
    /// A guess takes an attacker 2^80 tries when the secret is this long and random; coturn's log tells nobody of them.
    private static let secretCharactersMin = 16

    let configuration: Configuration
    /// Of `--config`.
    let file: String?

    func findings() -> [Finding] {
        var findings: [Finding] = []
        if self.configuration.gateway.turn == nil {
            findings.append(
                Finding(
                    .configuration, "turnUrl", .warning,
                    "there is no TURN server, so calls fail between people whose networks let no peers through",
                    advice: "run one and set turnUrl and turnSecret: see docs/turn.md"))
        }
        if let turn = self.configuration.gateway.turn, turn.secretCharacterCount < Self.secretCharactersMin {
            findings.append(
                Finding(
                    .configuration, "turnSecret", .warning,
                    "the secret is shorter than \(Self.secretCharactersMin) characters and can be guessed from one credential",
                    advice: "make one with `openssl rand -hex 32`, for the TURN server and for here"))
        }
        findings += self.exposed("turnSecretFile", self.configuration.turnSecretFile)
        // Header values let one into remote rooms.
        findings += self.exposed("bridges", self.configuration.bridgeFile)
        if let path = self.configuration.bridgeFile {
            do throws(CommandFailure) {
                _ = try BridgeFile.read(path)
            } catch {
                findings.append(
                    Finding(.configuration, "bridges", .failed, "\(error)", advice: "see docs/bridge.md"))
            }
        }
        if let path = self.file, self.configuration.isTurnSecretInFile, let mode = FileMode(path), mode.isOpenToOthers {
            findings.append(
                Finding(
                    .configuration, "turnSecret", .warning,
                    "it is in \(path), which others on this machine may use (mode \(mode))",
                    advice: "chmod 600 \(path)"))
        }
        guard findings.isEmpty else { return findings }
        return [Finding(.configuration, "settings", .ok, "all settings are within their bounds")]
    }

    /// A file of secrets that not only its owner may use.
    private func exposed(_ setting: String, _ path: String?) -> [Finding] {
        guard let path, let mode = FileMode(path), mode.isOpenToOthers else { return [] }
        return [
            Finding(
                .configuration, setting, .warning, "others on this machine may use \(path) (mode \(mode))",
                advice: "chmod 600 \(path)")
        ]
    }
}

/// The permission bits of a file.
struct FileMode: CustomStringConvertible {
    let bits: Int

    /// `nil` for a file that is not there.
    init?(_ path: String) {
        guard let found = try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int else {
            return nil
        }
        self.bits = found & 0o777
    }

    /// Whether the group or everybody may do anything with it.
    var isOpenToOthers: Bool { self.bits & 0o077 != 0 }

    var description: String { String(self.bits, radix: 8) }
}
