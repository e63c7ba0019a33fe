import Core
import Foundation
import Gateway
import STUNWire

// STUN and TURN servers, which are other people's programs: what clients are told, checked as browsers would.

extension Configuration {
    /// More would only keep clients busy: each is asked from each of their addresses.
    private static let serversMax = 16

    /// The servers of `--stun-url`; `none` for no server at all, as behind no internet those of Google are of no use.
    static func stunURLs(_ settings: inout SettingsReader) -> [String] {
        let urls = settings.list("stunUrl", default: GatewaySettings.seedSTUNURLs) { url in
            url == "none" || ServerURI(url).map { !$0.isRelay } ?? false
                ? nil : "must hold URLs like stun:stun.example.org:3478, or none"
        }
        if urls.count > Self.serversMax { settings.reject("stunUrl", "must hold at most \(Self.serversMax) URLs") }
        return urls.contains("none") ? [] : urls
    }

    /// The servers of `--turn-url` with their secret; `nil` for none.
    static func turnServers(_ settings: inout SettingsReader, secretFile: String?) -> TURNServers? {
        let urls = settings.list("turnUrl", default: []) { url in
            ServerURI(url).map(\.isRelay) ?? false ? nil : "must hold URLs like turn:turn.example.org?transport=udp"
        }
        if urls.count > Self.serversMax { settings.reject("turnUrl", "must hold at most \(Self.serversMax) URLs") }
        let lifetime = settings.integer("turnTtlSeconds", in: 2...86_400, default: 3600)
        let secret = Self.turnSecret(&settings, file: secretFile)
        // What is wrong with one setting is told once.
        guard !settings.faults.contains(where: { $0.hasPrefix("turn") }) else { return nil }
        guard !urls.isEmpty else {
            if secret != nil { settings.reject("turnUrl", "is missing, as there is a TURN secret") }
            return nil
        }
        guard let secret else {
            settings.reject("turnSecret", "or turnSecretFile is needed for turnUrl: coturn's static-auth-secret")
            return nil
        }
        return TURNServers(urls: urls, secret: secret, credentialsLifetime: .seconds(lifetime))
    }

    /// The secret of one of its two places.
    private static func turnSecret(_ settings: inout SettingsReader, file: String?) -> String? {
        let given = settings.optionalText("turnSecret", isSecret: true)
        guard let path = file else { return given }
        guard given == nil else {
            settings.reject("turnSecretFile", "must not be there beside turnSecret")
            return given
        }
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8)
        else {
            settings.reject("turnSecretFile", "must name a text file that can be read")
            return nil
        }
        let secret = text.trimmingCharacters(in: .newlines)
        guard !secret.isEmpty, !secret.contains(where: \.isNewline) else {
            settings.reject("turnSecretFile", "must name a file of one line, the secret")
            return nil
        }
        return secret
    }
}
