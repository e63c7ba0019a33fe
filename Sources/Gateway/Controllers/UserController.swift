import Core
import Hub
import Hummingbird

/// `/v1/users`: sign-up, who is there, one's own profile.
struct UserController: Sendable {
    let gateway: Gateway

    func addRoutes(open: RouterGroup<GatewayContext>, signedIn: RouterGroup<GatewayContext>) {
        open.post("/v1/users", use: self.signUp)
        signedIn.get("/v1/users", use: self.list)
        signedIn.get("/v1/users/:user", use: self.show)
        signedIn.patch("/v1/users/:user", use: self.change)
        signedIn.delete("/v1/users/:user", use: self.delete)
    }

    @Sendable private func signUp(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.readBody().decode(SignUpRequest.self)
        let isAdmins = await self.isAdmins(request, context)
        if !isAdmins { try self.gateway.count(.signUps, ofClientOf: request, context) }
        let signedIn = try await self.gateway.signIn.signUp(body, isAdmins: isAdmins)
        return try Answer(.created, signedIn, location: "/v1/users/\(signedIn.user.user.id)").response()
    }

    /// Whether an admin makes the user; credentials that are no admin's count for nothing here.
    private func isAdmins(_ request: Request, _ context: GatewayContext) async -> Bool {
        guard let token = request.bearerToken,
            let identity = try? await self.gateway.authenticator.identity(bearer: token, deviceLabel: nil)
        else { return false }
        return identity.reaches(.administer) && Permission.granted(to: identity.user.role).contains(.administer)
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let limit = try query.pageLimit()
        let after = try query.identifier("after", as: UserID.self)
        let allVisible = self.gateway.settings.allUsersVisible
        return try await self.gateway.read(context) { store, user in
            let seesAll = allVisible || user.role == .admin
            let found = try store.users(sharingRoomWith: seesAll ? nil : user.id, after: after, limit: limit + 1)
            return try Answer(page: found, limit: limit, request: request, key: \.id.text) { UserPayload($0) }
        }
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.userReference()
        let allVisible = self.gateway.settings.allUsersVisible
        return try await self.gateway.read(context) { store, user in
            try Answer(.ok, UserPayload(try store.visibleUser(reference, as: user, allVisible: allVisible)))
        }
    }

    @Sendable private func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.userReference()
        let body = try await request.readBody().decode(ProfileRequest.self)
        let allVisible = self.gateway.settings.allUsersVisible
        let identity = try context.requireIdentity()
        var password: PasswordChange?
        if let new = body.password {
            // A key that could would lock its user out, and outlive that.
            try identity.require(nil)
            // Before the work of hashing.
            try await self.gateway.store.read {
                _ = try $0.requireSelf(reference, identity.user, allVisible: allVisible)
            }
            password = try await self.gateway.countingPasswords(
                of: identity.user.username ?? "", request, context
            ) {
                try await self.gateway.signIn.passwordChange(
                    to: new, from: body.currentPassword, of: identity.user.id)
            }
        }
        let change = ProfileChange(displayName: body.displayName, color: body.color, password: password)
        return try await self.gateway.write(request, context) { store, acting in
            try store.requireSelf(reference, acting.user, allVisible: allVisible)
            return try Answer(.ok, UserPayload(try store.changeProfile(change, as: acting)))
        }
    }

    @Sendable private func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let reference = try context.userReference()
        let allVisible = self.gateway.settings.allUsersVisible
        return try await self.gateway.write(request, context) { store, acting in
            let user = try store.requireSelf(reference, acting.user, allVisible: allVisible)
            try store.deleteUser(user, by: user.id, now: acting.now, ids: acting.ids)
            return .noContent
        }
    }
}

extension GatewayContext {
    /// The user that the path names.
    ///
    /// - throws: ``Problem`` `not-found` for a text that names no user.
    func userReference() throws -> UserReference {
        guard let reference = UserReference(try self.segment("user")) else { throw Problem.notFound }
        return reference
    }

    /// The room that the path names.
    func roomReference() throws -> RoomReference { RoomReference(try self.segment("room")) }
}

extension StoreReader {
    /// One's own profile only.
    ///
    /// - throws: ``Problem`` `forbidden` for another user whom one may see, else `not-found`.
    @discardableResult
    func requireSelf(_ reference: UserReference, _ asker: User, allVisible: Bool) throws -> User {
        let user = try self.visibleUser(reference, as: asker, allVisible: allVisible)
        guard user.id == asker.id else { throw Problem(.forbidden, "This is another user's profile") }
        return user
    }
}
