import Foundation
import Gateway

/// The secrets beside the database: files that only their owner may read (0600).
///
/// Whoever writes here holds the store's lock on the directory.
struct SecretFiles {
    static let adminTokenName = "admin-token"
    static let tokenSecretName = "token-secret"

    let directory: String

    /// The secret that signs access tokens; made on first start.
    ///
    /// - throws: ``CommandFailure`` when it cannot be read or written, or is too short to be a secret.
    func tokenSecret() throws(CommandFailure) -> [UInt8] {
        let path = self.file(Self.tokenSecretName)
        guard FileManager.default.fileExists(atPath: path) else {
            var generator = SystemRandomNumberGenerator()
            let secret = (0..<AccessTokens.secretBytesMin).map { _ in UInt8.random(in: .min ... .max, using: &generator)
            }
            try self.write(secret, to: Self.tokenSecretName)
            return secret
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure("cannot read \(path)")
        }
        guard data.count >= AccessTokens.secretBytesMin else {
            throw CommandFailure("\(path) is damaged: restore it, or delete it and all tokens become void")
        }
        return [UInt8](data)
    }

    var hasAdminToken: Bool { FileManager.default.fileExists(atPath: self.file(Self.adminTokenName)) }

    /// - throws: ``CommandFailure`` when it cannot be written.
    func saveAdminToken(_ token: String) throws(CommandFailure) {
        try self.write(Array((token + "\n").utf8), to: Self.adminTokenName)
    }

    /// - throws: ``CommandFailure`` when it is there and cannot be deleted.
    func deleteAdminToken() throws(CommandFailure) {
        let path = self.file(Self.adminTokenName)
        guard unlink(path) == 0 || errno == ENOENT else {
            throw CommandFailure("cannot delete \(path): \(Self.systemMessage())")
        }
    }

    func file(_ name: String) -> String { self.directory + "/" + name }

    /// Writes a new file whole and durably, or not at all: a half secret after a power cut would void every token.
    private func write(_ bytes: [UInt8], to name: String) throws(CommandFailure) {
        let target = self.file(name)
        let draft = target + ".new"
        unlink(draft)
        let descriptor = open(draft, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CommandFailure("cannot write \(target): \(Self.systemMessage())") }
        let isWritten = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) } == bytes.count
        let isSynced = fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, isSynced, rename(draft, target) == 0 else {
            let message = Self.systemMessage()
            unlink(draft)
            throw CommandFailure("cannot write \(target): \(message)")
        }
        self.syncNames()
    }

    /// Makes the rename itself durable.
    private func syncNames() {
        let descriptor = open(self.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func systemMessage() -> String { String(cString: strerror(errno)).lowercased() }
}
