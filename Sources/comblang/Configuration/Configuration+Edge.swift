import Core
import Gateway

/// What guards the server towards the network: TLS, who may sign up, how often one may ask.
extension Configuration {
    static func tlsFiles(_ settings: inout SettingsReader) -> TLSFiles? {
        let certificate = settings.optionalText("tlsCertificate")
        let key = settings.optionalText("tlsKey")
        let seconds = settings.integer("tlsReloadSeconds", in: 1...86_400, default: 60)
        switch (certificate, key) {
        case (nil, nil):
            return nil
        case (let certificate?, let key?):
            return TLSFiles(certificate: certificate, key: key, reloadEvery: .seconds(seconds))
        case (nil, .some):
            settings.reject("tlsCertificate", "is missing: a key alone is not enough")
        case (.some, nil):
            settings.reject("tlsKey", "is missing: a certificate alone is not enough")
        }
        return nil
    }

    /// Open to everybody on an address that others reach only if an operator says so twice.
    static func registration(_ settings: inout SettingsReader, host: String) -> Registration {
        let registration = settings.choice("registration", default: Registration.open)
        let mayBeOpen = settings.flag("allowOpenRegistration", default: false)
        if registration == .open, !mayBeOpen, !Self.isLoopback(host) {
            settings.reject(
                "registration",
                "is open, and \(host) is reached from other machines: choose --registration invite or closed, or "
                    + "say --allow-open-registration true if everybody may sign up")
        }
        return registration
    }

    /// `rateLimits` turns all of them off; each has its own setting, `rateReads` and so on.
    static func rates(_ settings: inout SettingsReader) -> RateSettings {
        let isOn = settings.flag("rateLimits", default: true)
        var rates = RateSettings.standard
        for rateClass in RateClass.allCases {
            let words = rateClass.rawValue.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }
            let standard = rates.quotas[rateClass].map { "\($0.count)/\($0.windowSeconds)" } ?? "off"
            let name = "rate\(words.joined())"
            let text = settings.text(name, default: standard)
            rates.quotas[rateClass] = RateQuota(text)
            if text != "off", rates.quotas[rateClass] == nil {
                settings.reject(name, "must be off or like 600/60: so many requests in so many seconds")
            }
        }
        return isOn ? rates : .off
    }

    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || IPAddress(host) == IPAddress("::1")
            || (IPAddress(host).flatMap { IPNetwork("127.0.0.0/8")?.contains($0) } ?? false)
    }
}
