package import Core
import Foundation
import Hub
package import Hummingbird

extension Gateway {
    /// Runs a write of the asking user and answers it, with `Event-Cursor` when it logged anything.
    ///
    /// - parameters:
    ///   - creating: whether the route takes an `Idempotency-Key`. Its answer is then kept in the transaction of its
    ///     effect. One writer orders everything, so a concurrent duplicate finds the first one's answer.
    ///   - finish: adds what must not be kept with the key, and what a repeated request gets anew.
    /// - throws: what `operation` throws; ``Problem`` `idempotency-key-reused`, or `validation-failed` for a bad key.
    package func write(
        _ request: Request, _ context: GatewayContext, body: BodyBytes? = nil, creating: Bool = false,
        finish: (inout Answer) throws -> Void = { _ in },
        _ operation: @escaping @Sendable (any StoreWriter, Acting) throws -> Answer
    ) async throws -> Response {
        let identity = try context.requireIdentity()
        let acting = self.acting(as: identity, for: context)
        let idempotency =
            creating
            ? try IdempotencyKey(
                request.headers[.idempotencyKey], method: request.method.rawValue, path: request.uri.path, body: body,
                user: identity.user.id) : nil
        var answer = try await self.store.write { try self.answer(in: $0, acting, idempotency, operation) }
        if let refusal = answer.refusal { throw refusal }
        try finish(&answer)
        return answer.response()
    }

    /// What a write does in its savepoint: it happens once for each key, and its answer names its last event.
    ///
    /// - throws: what `operation` throws; ``Problem`` `idempotency-key-reused`.
    func answer(
        in store: any StoreWriter, _ acting: Acting, _ idempotency: IdempotencyKey?,
        _ operation: (any StoreWriter, Acting) throws -> Answer
    ) throws -> Answer {
        if let idempotency, let kept = try idempotency.keptAnswer(in: store, at: acting.now) {
            if let call = idempotency.call(of: kept) { try store.count(CallCounts(retried: 1), of: call) }
            return kept
        }
        var answer = try operation(store, acting)
        if let seq = store.lastAppendedSeq {
            answer.cursor = Cursor(epoch: self.hub.epoch, seq: seq)
        }
        if answer.refusal == nil { try idempotency?.keep(answer, in: store, at: acting.now) }
        return answer
    }

    /// Reads one snapshot for the asking user; `Event-Cursor` is its position in the log. What only an admin may read
    /// is written down before the answer goes out.
    package func read(
        _ context: GatewayContext, _ operation: @escaping @Sendable (any StoreReader, User) throws -> Answer
    ) async throws -> Response {
        let user = try context.requireIdentity().user
        let place = user.role == .admin ? AdminReading(context) : nil
        let (answer, record) = try await self.store.read { store -> (Answer, AuditRecord?) in
            var answer = try operation(store, user)
            answer.cursor = try store.logBounds().tailCursor
            return (answer, try place?.record(in: store, as: user))
        }
        if let record { try await self.audit(record, context) }
        return answer.response()
    }

    /// The asking user, now.
    package func acting(as identity: Identity) -> Acting {
        Acting(user: identity.user, device: identity.device, now: self.time.now, ids: self.ids)
    }
}

/// An `Idempotency-Key` with what it is bound to.
struct IdempotencyKey: Sendable {
    private let user: UserID
    private let method: String
    private let path: String
    private let key: String
    private let bodyHash: String

    /// `nil` if the request carries none.
    ///
    /// - throws: ``Problem`` `validation-failed` for a key of another shape.
    init?(_ key: String?, method: String, path: String, body: BodyBytes?, user: UserID) throws(Problem) {
        guard let key else { return nil }
        guard (1...Limits.idempotencyKeyCharactersMax).contains(key.utf8.count),
            key.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw .invalid(
                "Idempotency-Key", "must be 1 to \(Limits.idempotencyKeyCharactersMax) visible ASCII characters")
        }
        self.user = user
        self.method = method
        self.path = path
        self.key = key
        self.bodyHash = (body ?? BodyBytes(data: Data())).hash
    }

    func keptAnswer(in store: any StoreWriter, at now: Timestamp) throws -> Answer? {
        guard
            let kept = try store.idempotentAnswer(user: self.user, method: self.method, path: self.path, key: self.key),
            now.duration(since: kept.createdAt) < Limits.idempotencyKept
        else { return nil }
        guard kept.bodyHash == self.bodyHash else { throw Problem(.idempotencyKeyReused) }
        var answer = Answer(status: .init(code: kept.status), body: kept.body.isEmpty ? nil : Data(kept.body.utf8))
        answer.location = kept.headers["Location"]
        answer.cursor = kept.headers["Event-Cursor"].flatMap { Cursor($0) }
        return answer
    }

    /// The call that the request is about, or that it made; `nil` for none.
    func call(of kept: Answer) -> CallID? {
        let prefix = "/v1/calls/"
        let path = [self.path, kept.location ?? ""].first { $0.hasPrefix(prefix) }
        return path.flatMap { CallID($0.dropFirst(prefix.count).prefix { $0 != "/" }) }
    }

    func keep(_ answer: Answer, in store: any StoreWriter, at now: Timestamp) throws {
        var headers: [String: String] = [:]
        headers["Location"] = answer.location
        headers["Event-Cursor"] = answer.cursor?.description
        let kept = IdempotentAnswer(
            bodyHash: self.bodyHash, status: answer.status.code, headers: headers,
            body: answer.body.map { String(decoding: $0, as: UTF8.self) } ?? "", createdAt: now)
        try store.insert(kept, user: self.user, method: self.method, path: self.path, key: self.key)
    }
}
