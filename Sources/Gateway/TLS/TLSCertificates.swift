import Crypto
import Foundation
package import Logging
import NIOSSL
import Synchronization

/// What keeps a certificate from being used, in words for operators.
package struct TLSProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
}

/// The certificate that new connections get, and its renewal without a restart.
///
/// Connections keep what they began with; a file that is broken, or does not fit the other, changes nothing.
package final class TLSCertificates: Sendable {
    private let certificatePath: String
    private let keyPath: String
    private let logger: Logger
    private let current: Mutex<Loaded>

    private struct Loaded {
        var context: NIOSSLContext
        /// Of the files as they were last looked at, good or not.
        var fingerprint: SHA256Digest
    }

    /// - parameters:
    ///   - certificatePath: a PEM file with the certificate and those that vouch for it.
    ///   - keyPath: a PEM file with its private key.
    /// - throws: ``TLSProblem``.
    package init(certificatePath: String, keyPath: String, logger: Logger) throws(TLSProblem) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.logger = logger
        let (certificate, key) = try Self.read(certificatePath, keyPath)
        self.current = Mutex(
            Loaded(
                context: try Self.context(certificate, key, certificatePath, keyPath),
                fingerprint: Self.fingerprint(certificate, key)))
    }

    /// For a new connection.
    var context: NIOSSLContext { self.current.withLock { $0.context } }

    /// Looks whether the files have changed, and if so takes them for connections that come from now on.
    ///
    /// - returns: whether they were taken.
    @discardableResult
    package func reload() -> Bool {
        do throws(TLSProblem) {
            let (certificate, key) = try Self.read(self.certificatePath, self.keyPath)
            let fingerprint = Self.fingerprint(certificate, key)
            let isNew = self.current.withLock { loaded in
                defer { loaded.fingerprint = fingerprint }
                return loaded.fingerprint != fingerprint
            }
            guard isNew else { return false }
            let context = try Self.context(certificate, key, self.certificatePath, self.keyPath)
            self.current.withLock { $0.context = context }
            self.logger.notice("certificate renewed", metadata: ["tls.certificate": "\(self.certificatePath)"])
            return true
        } catch {
            // Two files are seldom replaced at the same moment: the next look may find both.
            self.logger.warning(
                "certificate not renewed, the former one stays in use", metadata: ["error": "\(error)"])
            return false
        }
    }

    private static func read(_ certificatePath: String, _ keyPath: String) throws(TLSProblem) -> (Data, Data) {
        guard let certificate = FileManager.default.contents(atPath: certificatePath) else {
            throw TLSProblem(description: "cannot read the certificate \(certificatePath)")
        }
        guard let key = FileManager.default.contents(atPath: keyPath) else {
            throw TLSProblem(description: "cannot read the key \(keyPath)")
        }
        return (certificate, key)
    }

    private static func fingerprint(_ certificate: Data, _ key: Data) -> SHA256Digest {
        var hash = SHA256()
        // A NUL is in no PEM: what is moved from one file to the other is a change.
        for part in [certificate, Data([0]), key] { hash.update(data: part) }
        return hash.finalize()
    }

    private static func context(
        _ certificate: Data, _ key: Data, _ certificatePath: String, _ keyPath: String
    ) throws(TLSProblem) -> NIOSSLContext {
        guard let chain = try? NIOSSLCertificate.fromPEMBytes(Array(certificate)), let leaf = chain.first else {
            throw TLSProblem(description: "\(certificatePath) is no certificate in PEM")
        }
        guard let privateKey = try? NIOSSLPrivateKey(bytes: Array(key), format: .pem) else {
            throw TLSProblem(description: "\(keyPath) is no private key in PEM (one with a passphrase is not taken)")
        }
        guard (try? leaf.extractPublicKey().toSPKIBytes()) != nil else {
            throw TLSProblem(description: "\(certificatePath) has a key of an unknown kind")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["h2", "http/1.1"]
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSProblem(description: "\(keyPath) is not the key of \(certificatePath)")
        }
    }
}
