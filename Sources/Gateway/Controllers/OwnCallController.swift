import Core
import Foundation
import Hummingbird

/// `/v1/calls`: the asker's own calls, and which missed ones they have seen.
struct OwnCallController: Sendable {
    let gateway: Gateway

    func addRoutes(to signedIn: RouterGroup<GatewayContext>) {
        signedIn.get("/v1/calls", use: self.list)
        signedIn.put("/v1/calls/seen", use: self.markSeen)
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let with = try query["with"].map { text throws(Problem) in
            guard let user = UserReference(text) else { throw .invalid("with", "must be a user's id or @username") }
            return user
        }
        let (isMissedOnly, isUnseenOnly) = (try query.flag("missed"), try query.flag("unseen"))
        let before = try query.identifier("before", as: CallID.self)
        let after = try query.identifier("after", as: CallID.self)
        let limit = try query.pageLimit()
        let isAscending = after != nil && before == nil
        return try await self.gateway.read(context) { store, user in
            let own = try store.ownCalls(
                with: with, isMissedOnly: isMissedOnly, isUnseenOnly: isUnseenOnly, before: before, after: after,
                limit: limit + 1, as: user)
            return try Answer(
                page: own.calls, limit: limit, request: request, next: isAscending ? "after" : "before",
                key: \.call.call.id.text, members: ["unseenCount": .integer(Int64(own.unseenCount))]
            ) { try JSON.text($0) }
        }
    }

    @Sendable private func markSeen(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.readBody().decode(CallsSeenRequest.self)
        return try await self.gateway.write(request, context) { store, acting in
            try Answer(.ok, store.markCallsSeen(until: body.until, as: acting))
        }
    }
}
