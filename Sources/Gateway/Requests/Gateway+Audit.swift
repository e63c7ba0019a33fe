import Core
import Hub
import Hummingbird
import NIOCore

extension Gateway {
    /// As ``read(_:_:)``, of records that are somebody's: that the admin read them is on disk before the answer goes
    /// out. Only the entry goes through the writer, however long the read takes.
    ///
    /// - throws: what `operation` throws, and then nothing is written down: nothing was read.
    func readAudited(
        _ context: GatewayContext, _ record: AuditRecord,
        _ operation: @escaping @Sendable (any StoreReader, User) throws -> Answer
    ) async throws -> Response {
        let response = try await self.read(context, operation)
        try await self.audit(record, context)
        return response
    }

    /// Writes down what an admin is about to read, for answers that begin before all is read.
    ///
    /// - throws: the store's error.
    func audit(_ record: AuditRecord, _ context: GatewayContext) async throws {
        let acting = self.acting(as: try context.requireIdentity(), for: context)
        try await self.store.write { try $0.audit(record, as: acting) }
    }

    /// The asking user, now, and for admins the request.
    func acting(as identity: Identity, for context: GatewayContext) -> Acting {
        let origin =
            identity.user.role == .admin
            ? RequestOrigin(requestID: context.requestID, remoteAddress: context.channel.remoteAddress?.ipAddress)
            : RequestOrigin()
        return Acting(user: identity.user, device: identity.device, now: self.time.now, ids: self.ids, origin: origin)
    }
}

/// What an ordinary route shows to admins and not to everybody.
struct AdminReading: Sendable {
    private let route: String?
    private let room: RoomReference?
    private let call: CallID?
    private let user: UserReference?

    init(_ context: GatewayContext) {
        self.route = context.endpointPath
        self.room = (try? context.segment("room")).map { RoomReference($0) }
        self.call = (try? context.segment("call")).flatMap { CallID($0) }
        self.user = (try? context.segment("user")).flatMap { UserReference($0) }
    }

    /// `nil` if the same would have been shown to the user without an admin's rights.
    ///
    /// - throws: the store's error.
    func record(in store: any StoreReader, as asker: User) throws -> AuditRecord? {
        // Routes for admins alone see to it themselves.
        guard self.route?.hasPrefix("/v1/admin/") != true else { return nil }
        if let call {
            guard let rows = try store.callRows(call) else { return nil }
            let takesAdmin = try store.access(.id(rows.call.room), as: asker).takesAdmin(.readCalls)
            return takesAdmin ? AuditRecord(.callShown, of: call.text) : nil
        }
        if let room {
            let access = try store.access(room, as: asker)
            let isCalls = self.route?.hasSuffix("/calls") == true
            guard access.takesAdmin(isCalls ? .readCalls : .readRoom) else { return nil }
            return AuditRecord(isCalls ? .callsListed : .roomShown, of: access.room.id.text)
        }
        if let user {
            let found = try store.user(user, as: asker)
            let isInSight = try found.id == asker.id || store.shareRoom(found.id, asker.id)
            return isInSight ? nil : AuditRecord(.userShown, of: found.id.text)
        }
        return self.route == "/v1/users" ? AuditRecord(.usersListed) : nil
    }
}

extension Query {
    /// Those of the named parameters that were given, as they were, for the audit log.
    func given(_ names: String...) -> [String: JSONValue] {
        names.reduce(into: [:]) { given, name in
            if let text = self[name] { given[name] = .string(text) }
        }
    }

    /// A point in time, RFC 3339.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the parameter.
    func time(_ name: String) throws(Problem) -> Timestamp? {
        guard let text = self[name] else { return nil }
        // A + that was not escaped is a space by now.
        guard let time = Timestamp(rfc3339: text.replacing(" ", with: "+")) else {
            throw .invalid(name, "must be a time like 2026-11-22T13:24:37Z")
        }
        return time
    }
}
