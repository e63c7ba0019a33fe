package import Core
import Crypto
import CryptoExtras
import Foundation
import NIOPosix
import Synchronization

/// Hashes and checks passwords by scrypt, on threads that may block: neither event loops nor Swift's own.
package final class PasswordHasher: Sendable {
    /// The cost. Kept with every hash, so that it can grow while old hashes stay valid.
    package struct Cost: Hashable, Sendable {
        let rounds: Int
        let blockSize: Int
        let parallelism: Int

        /// 32 MiB and about a quarter of a second of one core: OWASP's recommendation for N = 2^15.
        package static let standard = Cost(rounds: 1 << 15, blockSize: 8, parallelism: 3)
        /// For tests, which sign up thousands.
        package static let negligible = Cost(rounds: 1 << 4, blockSize: 1, parallelism: 1)
    }

    /// Hashing that runs or waits; over it 503. 32 take about 4 s on two cores.
    package static let pendingMax = 32

    private let cost: Cost
    private let pending = Mutex(0)
    /// Checked for users who do not exist or have no password, so that they take as long as a wrong password.
    private let decoy: StoredHash

    package init(cost: Cost = .standard) {
        self.cost = cost
        self.decoy = StoredHash(
            cost: cost, salt: Data(count: StoredHash.saltBytes), key: Data(count: StoredHash.keyBytes))
    }

    /// - throws: ``Problem`` `validation-failed` for a password that is too short or too long.
    package static func check(_ password: String) throws(Problem) {
        let bounds = Limits.passwordCharactersMin...Limits.passwordCharactersMax
        guard bounds.contains(password.unicodeScalars.count) else {
            throw .invalid("password", "must have \(bounds.lowerBound) to \(bounds.upperBound) characters")
        }
    }

    /// `scrypt$n=32768,r=8,p=3$<salt>$<key>`, both base64url.
    ///
    /// - throws: ``Problem`` `unavailable` when too many wait; `CancellationError`.
    package func hash(_ password: String) async throws -> String {
        let salt = SymmetricKey(size: .bits128).withUnsafeBytes { Data($0) }
        let cost = self.cost
        let key = try await self.run { try StoredHash.derive(password, salt: salt, cost: cost) }
        return StoredHash(cost: cost, salt: salt, key: key.withUnsafeBytes { Data($0) }).text
    }

    /// Whether the password is the one that was hashed; never for `stored` being `nil`, which takes as long.
    ///
    /// - throws: as ``hash(_:)``.
    package func isRight(_ password: String, for stored: String?) async throws -> Bool {
        let known = stored.flatMap { StoredHash($0) }
        let hash = known ?? self.decoy
        // Comparing symmetric keys takes the same time wherever they differ.
        let isEqual = try await self.run {
            try StoredHash.derive(password, salt: hash.salt, cost: hash.cost) == SymmetricKey(data: hash.key)
        }
        return isEqual && known != nil
    }

    private func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        let isAdmitted = self.pending.withLock { pending in
            guard pending < Self.pendingMax else { return false }
            pending += 1
            return true
        }
        guard isAdmitted else { throw Problem(.unavailable, "Too many sign-ins at once") }
        defer { self.pending.withLock { $0 -= 1 } }
        return try await NIOThreadPool.singleton.runIfActive(body)
    }
}

/// A hash with the parameters it was made with.
private struct StoredHash: Sendable {
    static let saltBytes = 16
    static let keyBytes = 32

    let cost: PasswordHasher.Cost
    let salt: Data
    let key: Data

    init(cost: PasswordHasher.Cost, salt: Data, key: Data) {
        self.cost = cost
        self.salt = salt
        self.key = key
    }

    /// `nil` for what ``text`` did not write.
    init?(_ text: String) {
        let parts = text.split(separator: "$")
        guard parts.count == 4, parts[0] == "scrypt", let salt = Data(base64URL: parts[2]),
            let key = Data(base64URL: parts[3]), key.count == Self.keyBytes
        else { return nil }
        var numbers: [Substring: Int] = [:]
        for pair in parts[1].split(separator: ",") {
            let sides = pair.split(separator: "=")
            guard sides.count == 2, let number = Int(sides[1]) else { return nil }
            numbers[sides[0]] = number
        }
        guard let rounds = numbers["n"], let blockSize = numbers["r"], let parallelism = numbers["p"] else {
            return nil
        }
        self.init(
            cost: .init(rounds: rounds, blockSize: blockSize, parallelism: parallelism), salt: salt, key: key)
    }

    var text: String {
        "scrypt$n=\(self.cost.rounds),r=\(self.cost.blockSize),p=\(self.cost.parallelism)"
            + "$\(self.salt.base64URL)$\(self.key.base64URL)"
    }

    static func derive(_ password: String, salt: Data, cost: PasswordHasher.Cost) throws -> SymmetricKey {
        // Two spellings of one letter are one password: "é" may be typed as one scalar or two.
        try KDF.Scrypt.deriveKey(
            from: Data(password.precomposedStringWithCanonicalMapping.utf8), salt: salt, outputByteCount: Self.keyBytes,
            rounds: cost.rounds, blockSize: cost.blockSize, parallelism: cost.parallelism)
    }
}
