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
        /// As they were last looked at, good or not.
        var files: Files
    }

    /// What is in the two files.
    private struct Files: Equatable {
        let certificate: Data
        let key: Data
    }

    /// - parameters:
    ///   - certificatePath: a PEM file with the certificate and those that vouch for it.
    ///   - keyPath: a PEM file with its private key.
    /// - throws: ``TLSProblem``.
    package init(certificatePath: String, keyPath: String, logger: Logger) throws(TLSProblem) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.logger = logger
        let files = try Self.read(certificatePath, keyPath)
        self.current = Mutex(Loaded(context: try Self.context(files, certificatePath, keyPath), files: files))
    }

    /// For a new connection.
    var context: NIOSSLContext { self.current.withLock { $0.context } }

    /// Looks whether the files have changed, and if so takes them for connections that come from now on.
    ///
    /// - returns: whether they were taken.
    @discardableResult
    package func reload() -> Bool {
        do throws(TLSProblem) {
            let files = try Self.read(self.certificatePath, self.keyPath)
            let isNew = self.current.withLock { loaded in
                defer { loaded.files = files }
                return loaded.files != files
            }
            guard isNew else { return false }
            let context = try Self.context(files, self.certificatePath, self.keyPath)
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

    private static func read(_ certificatePath: String, _ keyPath: String) throws(TLSProblem) -> Files {
        guard let certificate = FileManager.default.contents(atPath: certificatePath) else {
            throw TLSProblem(description: "cannot read the certificate \(certificatePath)")
        }
        guard let key = FileManager.default.contents(atPath: keyPath) else {
            throw TLSProblem(description: "cannot read the key \(keyPath)")
        }
        return Files(certificate: certificate, key: key)
    }

    private static func context(
        _ files: Files, _ certificatePath: String, _ keyPath: String
    ) throws(TLSProblem) -> NIOSSLContext {
        guard let chain = try? NIOSSLCertificate.fromPEMBytes(Array(files.certificate)), let leaf = chain.first else {
            throw TLSProblem(description: "\(certificatePath) is no certificate in PEM")
        }
        guard let privateKey = try? NIOSSLPrivateKey(bytes: Array(files.key), format: .pem) else {
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
