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
    /// - throws: what `operation` throws; ``Problem`` `idempotency-key-reused`; those of reading a message that was
    ///   posted and may not be read any more.
    func answer(
        in store: any StoreWriter, _ acting: Acting, _ idempotency: IdempotencyKey?,
        _ operation: (any StoreWriter, Acting) throws -> Answer
    ) throws -> Answer {
        if let idempotency, let kept = try idempotency.answer(in: store, acting, epoch: self.hub.epoch) {
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
