import Core
import Foundation
import HTTPTypes
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
        for id in ["listAllUsers", "listAllRooms", "changeUserRights", "listAudit"] {
            let answer = try await self.send(id, token: self.adminToken, at: dewi)
            #expect(200..<300 ~= answer.status, "\(id): \(answer.text)")
        }
    }
}
