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
    }

    /// 2xx of what only admins may ask for.
    func administer() async throws {
        var dewi = self.place
        dewi.user = self.dewi.id
        for id in ["listAllUsers", "listAllRooms", "changeUserRights", "listAudit", "createInvite", "listInvites"] {
            let answer = try await self.send(id, token: self.adminToken, at: dewi)
            #expect(200..<300 ~= answer.status, "\(id): \(answer.text)")
            if id == "createInvite" { dewi.invite = answer.value["id"]?.stringValue ?? "" }
        }
        #expect(try await self.send("deleteInvite", token: self.adminToken, at: dewi).status == 204)
        try await self.makeWebhooks()
        try await self.fillInvites()
    }
}
