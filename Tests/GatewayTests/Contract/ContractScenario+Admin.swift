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
        for id in [
            "listAllUsers", "listAllRooms", "changeUserRights", "listAudit", "listAllCalls", "getCallRecord",
            "exportCalls", "getCallStatistics",
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
