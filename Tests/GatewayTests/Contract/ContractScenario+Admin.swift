import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import NIOPosix
import TestSupport
import Testing

extension ContractScenario {
    /// 409 of what only admins may ask for.
    func refuseAdminConflicts() async throws {
        var own = self.place
        own.user = "me"
        try await self.expect("last-admin", "deleteUser", token: self.adminToken, at: own)
        try await self.expect(
            "last-admin", "changeUserRights", token: self.adminToken, at: own, body: #"{"suspended":true}"#)
        try await self.send("createBridge", token: self.adminToken)
        try await self.expect("name-taken", "createBridge", token: self.adminToken)
        let running = Backup(
            id: BackupID(known: "bak_00000000000000000000000001"), state: .running, file: "x",
            createdBy: UserID(known: self.siti.id), createdAt: self.server.clock.now)
        try await self.server.store.write { try $0.insert(running) }
        try await self.expect("backup-running", "createBackup", token: self.adminToken)
        try await self.server.store.write { try $0.delete(running) }
    }

    /// 2xx of what only admins may ask for.
    func administer() async throws {
        var far = self.place
        far.bridge = "far"
        for id in ["listBridges", "getBridge", "pauseBridge", "deleteBridge"] {
            let answer = try await self.send(id, token: self.adminToken, at: far)
            #expect(200..<300 ~= answer.status, "\(id): \(answer.text)")
        }
        let again = #"{"name":"far","room":"attic","url":"ws://127.0.0.1:1/"}"#
        // The rooms are archived by now, all but the one that is made here.
        try await self.send("createRoom", token: self.adminToken, body: #"{"name":"bridged"}"#)
        let made = try await self.send(
            "createBridge", token: self.adminToken, body: again.replacing("attic", with: "bridged"))
        #expect(made.status == 201, "\(made.text)")
        var dewi = self.place
        dewi.user = self.dewi.id
        let backup = try await self.send("createBackup", token: self.adminToken)
        dewi.backup = backup.value["id"]?.stringValue ?? ""
        let subscription = Subscription(
            user: UserID(known: self.dewi.id), device: DeviceID(known: "ses_00000000000000000000000000"), scope: .user,
            filter: .everything, transport: .sse)
        let place = try self.server.gateway.hub.reserve(subscription, on: MultiThreadedEventLoopGroup.singleton.any())
        let connections = try await self.send("listConnections", token: self.adminToken)
        dewi.connection = connections.value["items"]?.elements.last?["id"]?.stringValue ?? ""
        defer { withExtendedLifetime(place) {} }
        for id in [
            "listAllUsers", "listAllRooms", "changeUserRights", "searchMessages", "cutConnection", "listBackups",
            "getBackup", "listAudit", "listAllCalls", "getCallRecord", "exportCalls", "getCallStatistics",
        ] {
            let answer = try await self.send(id, token: self.adminToken, at: dewi)
            #expect(200..<300 ~= answer.status, "\(id): \(answer.text)")
        }
        for query in ["groupBy=room&bucket=hour", "groupBy=endReason", "groupBy=transport", "groupBy=initiator"] {
            let answer = try await self.send("getCallStatistics", token: self.adminToken, query: query)
            #expect(answer.status == 200, "\(query): \(answer.text)")
        }
        #expect(try await self.send("exportCalls", token: self.adminToken, query: "format=ndjson").values.count > 1)
    }
}
