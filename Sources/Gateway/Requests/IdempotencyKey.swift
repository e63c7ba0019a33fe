package import Core
import Crypto
import Foundation
import HTTPTypes

/// An `Idempotency-Key` with what it is bound to: it names the answer that is kept for it, and seals it.
///
/// Answers hold what the database must not: leave tokens, of which it has hashes, and secrets that are shown once. The
/// key is the one thing that the client has and the database has not, so both the name and the sealing key are derived
/// from it (HKDF, RFC 5869). A key that can be guessed opens what it sealed, so the contract asks for random ones.
package struct IdempotencyKey: Sendable {
    private let path: String
    private let name: String
    private let seal: SymmetricKey
    private let bodyHash: String

    /// What is sealed.
    private struct Content: Codable {
        /// SHA-256 of the request's body, hex.
        let bodyHash: String
        let status: Int
        let location: String?
        /// Instead of a body that shows it.
        let message: MessageID?
        let body: String?
    }

    /// `nil` if the request carries none.
    ///
    /// - throws: ``Problem`` `validation-failed` for a key of another shape.
    package init?(_ key: String?, method: String, path: String, body: BodyBytes?, user: UserID) throws(Problem) {
        guard let key else { return nil }
        guard (1...Limits.idempotencyKeyCharactersMax).contains(key.utf8.count),
            key.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw .invalid(
                "Idempotency-Key", "must be 1 to \(Limits.idempotencyKeyCharactersMax) visible ASCII characters")
        }
        // None of these holds a line end.
        let binding = Data("\(user)\n\(method)\n\(path)".utf8)
        let root = HKDF<SHA256>.extract(inputKeyMaterial: SymmetricKey(data: Data(key.utf8)), salt: binding)
        let derived = { (purpose: String) in
            HKDF<SHA256>.expand(pseudoRandomKey: root, info: Data(purpose.utf8), outputByteCount: 32)
        }
        self.path = path
        self.name = derived("name").withUnsafeBytes { $0.hexText }
        self.seal = derived("seal")
        self.bodyHash = (body ?? BodyBytes(data: Data())).hash
    }

    /// The answer that is kept, a message as it is now; `nil` for none.
    ///
    /// - throws: ``Problem`` `idempotency-key-reused`; `not-found` or `not-a-member` for a message that the user may
    ///   not read any more; `CryptoKitError` if the database was tampered with.
    package func answer(in store: any StoreReader, _ acting: Acting, epoch: String) throws -> Answer? {
        guard let kept = try store.idempotentAnswer(self.name),
            acting.now.duration(since: kept.createdAt) < Limits.idempotencyKept
        else { return nil }
        let content = try JSONDecoder().decode(
            Content.self, from: try AES.GCM.open(AES.GCM.SealedBox(combined: kept.sealed), using: self.seal))
        guard content.bodyHash == self.bodyHash else { throw Problem(.idempotencyKeyReused) }
        var answer = Answer(status: .init(code: content.status), body: content.body.map { Data($0.utf8) })
        answer.location = content.location
        answer.cursor = kept.seq.map { Cursor(epoch: epoch, seq: $0) }
        if let message = content.message {
            guard let room = try store.message(message)?.room else { throw Problem.notFound }
            let (found, author) = try store.message(message, in: .id(room), as: acting.user)
            answer.body = Data(MessagePayload(found, author).text.utf8)
        }
        return answer
    }

    /// The call that the request is about, or that it made; `nil` for none.
    func call(of kept: Answer) -> CallID? {
        let prefix = "/v1/calls/"
        let path = [self.path, kept.location ?? ""].first { $0.hasPrefix(prefix) }
        return path.flatMap { CallID($0.dropFirst(prefix.count).prefix { $0 != "/" }) }
    }

    /// Keeps the answer, to be read with this key alone.
    ///
    /// - throws: the store's error.
    package func keep(_ answer: Answer, in store: any StoreWriter, at now: Timestamp) throws {
        let body = answer.message == nil ? answer.body.map { String(decoding: $0, as: UTF8.self) } : nil
        let content = Content(
            bodyHash: self.bodyHash, status: answer.status.code, location: answer.location, message: answer.message,
            body: body)
        let box = try AES.GCM.seal(JSON.encode(content), using: self.seal)
        // There is a combined form unless the nonce is of another size than the default.
        guard let sealed = box.combined else { throw CryptoKitError.incorrectParameterSize }
        try store.insert(
            IdempotentAnswer(name: self.name, sealed: [UInt8](sealed), seq: answer.cursor?.seq, createdAt: now))
    }
}
