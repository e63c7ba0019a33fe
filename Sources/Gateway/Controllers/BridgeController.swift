import Core
import Hub
import Hummingbird

/// `/v1/admin/bridges`. What is written here the bridges hear of from the log, so that nothing needs a restart.
struct BridgeController: Sendable {
    let gateway: Gateway

    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.post("/v1/admin/bridges", use: self.create)
        admin.get("/v1/admin/bridges", use: self.list)
        admin.get("/v1/admin/bridges/:bridge", use: self.show)
        admin.patch("/v1/admin/bridges/:bridge", use: self.change)
        admin.delete("/v1/admin/bridges/:bridge", use: self.remove)
    }

    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let bytes = try await request.readBody()
        let new = try bytes.decode(NewBridgeRequest.self).bridge
        return try await self.gateway.write(request, context, body: bytes, creating: true) { store, acting in
            let bridge = try store.createBridge(new, by: acting.user.id, now: acting.now)
            try store.audit(
                AuditRecord(
                    .bridgeCreated, of: bridge.name.text,
                    ["room": .string(bridge.room.text), "url": .string(bridge.target.shownURL)]), as: acting)
            return try Answer(.created, self.payload(bridge, in: store), location: "/v1/admin/bridges/\(bridge.name)")
        }
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let after = try query["after"].map { text throws(Problem) in
            guard let name = BridgeName(text) else { throw Problem.invalid("after", "must be a bridge's name") }
            return name
        }
        return try await self.gateway.read(context) { store, _ in
            let found = try store.bridges(after: after, limit: limit + 1)
            return try Answer(page: found, limit: limit, request: request, key: \.name.text) {
                try JSON.text(self.payload($0, in: store))
            }
        }
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try context.segment("bridge")
        return try await self.gateway.read(context) { store, _ in
            try Answer(.ok, self.payload(store.bridge(named: name), in: store))
        }
    }

    @Sendable private func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try context.segment("bridge")
        let body = try await request.readBody().decode(BridgeChangeRequest.self)
        return try await self.gateway.write(request, context) { store, acting in
            let bridge = try store.pauseBridge(
                store.bridge(named: name), body.paused, by: acting.user.id, now: acting.now, ids: acting.ids)
            try store.audit(
                AuditRecord(.bridgeChanged, of: bridge.name.text, ["paused": .bool(body.paused)]), as: acting)
            return try Answer(.ok, self.payload(bridge, in: store))
        }
    }

    @Sendable private func remove(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try context.segment("bridge")
        return try await self.gateway.write(request, context) { store, acting in
            let bridge = try store.bridge(named: name)
            try store.deleteBridge(bridge, by: acting.user.id, now: acting.now, ids: acting.ids)
            try store.audit(AuditRecord(.bridgeRemoved, of: bridge.name.text), as: acting)
            return .noContent
        }
    }

    private func payload(_ bridge: Bridge, in store: any StoreReader) throws -> BridgePayload {
        BridgePayload(
            bridge: bridge, status: self.gateway.bridges[bridge.name],
            queued: try store.outboxCount(of: bridge.name))
    }
}
