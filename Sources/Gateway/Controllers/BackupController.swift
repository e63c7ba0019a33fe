import Core
import Hub
import Hummingbird
import Synchronization

/// `/v1/admin/backups`: copies of the database, made while it serves. The files stay on the server's machine: who may
/// ask over HTTP may not read everybody's messages that way.
struct BackupController: Sendable {
    let gateway: Gateway

    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.post("/v1/admin/backups", use: self.create)
        admin.get("/v1/admin/backups", use: self.list)
        admin.get("/v1/admin/backups/:backup", use: self.show)
    }

    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let made = Made()
        let response = try await self.gateway.write(request, context, creating: true) { store, acting in
            let backup = try store.startBackup(as: acting)
            made.note(backup.id)
            return try Answer(.created, BackupPayload(backup), location: "/v1/admin/backups/\(backup.id)")
        }
        // Only once it is noted down, and not for an answer that is repeated.
        if let id = made.id { self.gateway.backups.begin(id) }
        return response
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let before = try query.identifier("before", as: BackupID.self)
        return try await self.gateway.read(context) { store, _ in
            try Answer(
                page: store.backups(before: before, limit: limit + 1), limit: limit, request: request, next: "before",
                key: \.id.text, payload: { BackupPayload($0) })
        }
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("backup", as: BackupID.self)
        return try await self.gateway.read(context) { store, _ in
            guard let backup = try store.backup(id) else { throw Problem.notFound }
            return try Answer(.ok, BackupPayload(backup))
        }
    }
}

/// What a write made, told to whoever waits for its commit. A write may run twice; the last time counts.
private final class Made: Sendable {
    private let noted = Mutex<BackupID?>(nil)

    var id: BackupID? { self.noted.withLock { $0 } }

    func note(_ id: BackupID) { self.noted.withLock { $0 = id } }
}
