import Core
import HTTPTypes
import Testing

// Refusals of pages, by a server with settings of its own.
extension ContractScenario {
    /// 403 for a page of an origin that may not connect.
    func refuseOrigins() async throws {
        for id in ["openWebSocket", "openRoomSocket"] {
            let headers: HTTPFields = [.origin: "https://evil.example"]
            try await self.expect("forbidden", id, token: self.siti.token, headers: headers)
        }
    }
}
