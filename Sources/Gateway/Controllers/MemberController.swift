import Core
import Hummingbird

/// `/v1/rooms/{room}/members`.
struct MemberController: Sendable {
    let gateway: Gateway

    func addRoutes(to signedIn: RouterGroup<GatewayContext>) {
        signedIn.get("/v1/rooms/:room/members", use: self.list)
        signedIn.put("/v1/rooms/:room/members/:user", use: self.put)
        signedIn.delete("/v1/rooms/:room/members/:user", use: self.remove)
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.roomReference()
        let query = try Query(request)
        let limit = try query.pageLimit()
        let after = try query.identifier("after", as: UserID.self)
        return try await self.gateway.read(context) { store, user in
            let room = try store.access(reference, as: user, to: .listMembers).room
            let found = try store.members(of: room.id, after: after, limit: limit + 1)
            return try Answer(page: found, limit: limit, request: request, key: \.user.id.text) {
                MemberPayload($0.member, $0.user)
            }
        }
    }

    @Sendable private func put(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (room, user) = (try context.roomReference(), try context.userReference())
        let body = try await request.readBody().decodeIfPresent(MemberRequest.self)
        return try await self.gateway.write(request, context) { store, acting in
            let change = try store.putMember(user, of: room, role: body.role, as: acting)
            let payload = MemberPayload(change.member, change.user)
            guard change.hasJoined else { return try Answer(.ok, payload) }
            return try Answer(
                .created, payload, location: "/v1/rooms/\(change.member.room)/members/\(change.member.user)")
        }
    }

    @Sendable private func remove(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (room, user) = (try context.roomReference(), try context.userReference())
        return try await self.gateway.write(request, context) { store, acting in
            try store.removeMember(user, of: room, as: acting)
            return .noContent
        }
    }
}
