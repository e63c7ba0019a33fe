import Core
import Foundation
import Gateway
import HTTPTypes
import Testing

/// What is refused before anybody looks at what was asked for.
extension ContractScenario {
    /// 2xx of API keys, and 409 for one too many.
    func makeKeys() async throws {
        var own = self.place
        own.user = "me"
        let made = try await self.send("createApiKey", token: self.siti.token, at: own)
        #expect(made.status == 201, "\(made.text)")
        own.key = made.value["id"]?.stringValue ?? ""
        #expect(try await self.send("listApiKeys", token: self.siti.token, at: own).value["items"]?.elements.count == 1)
        #expect(try await self.send("deleteApiKey", token: self.siti.token, at: own).status == 204)
        for _ in 0..<Limits.apiKeysPerUserMax { try await self.send("createApiKey", token: self.budi.token, at: own) }
        try await self.expect("limit-reached", "createApiKey", token: self.budi.token, at: own)
    }

    /// All of webhooks, up to one too many.
    func makeWebhooks() async throws {
        let admin = self.adminToken
        let made = try await self.send("createWebhook", token: admin)
        #expect(made.status == 201, "\(made.text)")
        var place = self.place
        place.webhook = made.value["id"]?.stringValue ?? ""
        let cursor = made.value["cursor"]?.stringValue ?? ""
        for id in [
            "listWebhooks", "getWebhook", "updateWebhook", "rotateWebhookSecret", "listWebhookAttempts",
        ] {
            #expect(try await self.send(id, token: admin, at: place).status == 200, "\(id)")
        }
        try await self.expect("cursor-expired", "redeliverWebhook", token: admin, at: place)
        let again = try await self.send(
            "redeliverWebhook", token: admin, at: place, body: #"{"after":"\#(cursor)"}"#)
        #expect(again.status == 200, "\(again.text)")
        #expect(try await self.send("deleteWebhook", token: admin, at: place).status == 204)
        for _ in 0..<Limits.webhooksMax { try await self.send("createWebhook", token: admin) }
        try await self.expect("limit-reached", "createWebhook", token: admin)
    }

    /// 409 for one too many.
    func fillInvites() async throws {
        for _ in 0..<Limits.invitesMax { try await self.send("createInvite", token: self.adminToken) }
        try await self.expect("limit-reached", "createInvite", token: self.adminToken)
    }

    /// 403 for who has no invite, or may not sign up at all.
    func refuseSignUps() async throws {
        let slug = self.server.gateway.signIn.registration == .closed ? "registration-closed" : "invite-required"
        try await self.expect(slug, "createUser", token: nil, body: #"{"username":"eka"}"#)
    }

    /// 403 for keys that have every scope but the one that it takes.
    func refuseKeys() async throws {
        for operation in self.recorder.contract.operations where operation.problems.contains("insufficient-scope") {
            let user = UserID(known: operation.isForAdmins ? "" : self.siti.id)
            let others = Scope.allCases.filter { !operation.scopes.contains($0.rawValue) }
            let key = try await self.server.makeKey(
                others, for: operation.isForAdmins ? nil : user, as: "key \(operation.id)")
            try await self.expect("insufficient-scope", operation.id, token: key)
        }
    }

    /// 429 of everything that is counted.
    func refuseWhatComesTooOften() async throws {
        for operation in self.recorder.contract.operations where operation.problems.contains("rate-limited") {
            let token = operation.isForAdmins ? self.adminToken : self.siti.token
            var place = self.place
            place.user = ["createApiKey", "listApiKeys"].contains(operation.id) ? "me" : self.dewi.id
            var statuses: [Int] = []
            // Of nobody, and of what there is none: a refusal counts, and changes nothing.
            if ["endCall", "leaveCall", "rejectCall"].contains(operation.id) { place.call = ContractPlace().call }
            let body: [String: String] = [
                "createUser": #"{"username":"eka"}"#,
                "createTokens": #"{"grant":"password","username":"siti","password":"salah sekali"}"#,
            ]
            repeat {
                let answer = try await self.send(
                    operation.id, token: operation.needsCredentials || operation.isForAdmins ? token : nil, at: place,
                    query: operation.id.hasPrefix("stream") ? "format=ndjson" : "", body: body[operation.id])
                statuses.append(answer.status)
                if answer.status == 429 {
                    #expect(answer.value["type"] == .string("/problems/rate-limited"), "\(operation.id)")
                    #expect(answer.headers["ratelimit"]?.contains("r=0") == true, "\(operation.id)")
                }
            } while statuses.last != 429 && statuses.count < 500
            #expect(statuses.last == 429, "\(operation.id): \(Set(statuses))")
        }
    }

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
}
