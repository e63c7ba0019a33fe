import Core
import HTTPTypes
import Testing

// Refusals that need a server with settings of its own.
extension ContractScenario {
    /// Too many streams: 429, but 200 and `stream.end` where a status would stop an `EventSource` for good.
    func refuseStreams() async throws {
        for id in ["streamEvents", "streamRoomEvents", "streamCallEvents"] {
            let refused = try await self.send(id, token: self.siti.token, query: "format=ndjson")
            #expect(refused.status == 429, "\(id)")
            let ended = try await self.send(id, token: self.siti.token)
            #expect(ended.status == 200, "\(id)")
            #expect(ended.events.last?["data"]?["reason"] == .string("limit"), "\(id)")
        }
        for id in ["pollEvents", "pollRoomEvents", "pollCallEvents"] {
            let now = try await self.send(id, token: self.siti.token).value["cursor"]?.stringValue ?? ""
            #expect(try await self.send(id, token: self.siti.token, query: "after=\(now)").status == 429, "\(id)")
        }
        for id in ["openWebSocket", "openRoomSocket"] {
            #expect(try await self.send(id, token: self.siti.token).status == 429, "\(id)")
        }
    }

    /// 403 for a page of an origin that may not connect.
    func refuseOrigins() async throws {
        for id in ["openWebSocket", "openRoomSocket"] {
            let headers: HTTPFields = [.origin: "https://evil.example"]
            try await self.expect("forbidden", id, token: self.siti.token, headers: headers)
        }
    }
}
