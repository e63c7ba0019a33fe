package import Core
package import Hub
package import Hummingbird
package import Logging

/// The HTTP edge: everything that controllers share. Made once, by the composition root.
package struct Gateway: Sendable {
    package let store: any EventStore
    package let hub: Hub
    package let authenticator: Authenticator
    package let signIn: SignIn
    package let backups: Backups
    package let time: any TimeSource
    package let ids: IDSource
    package let settings: GatewaySettings
    package let readiness: Readiness
    package let bridges: BridgeStatuses
    package let logger: Logger
    let limiter: RateLimiter
    let date = DateField()

    package init(
        store: any EventStore, hub: Hub, authenticator: Authenticator, signIn: SignIn, backups: Backups,
        time: any TimeSource, ids: IDSource, settings: GatewaySettings, readiness: Readiness,
        bridges: BridgeStatuses = BridgeStatuses(), logger: Logger
    ) {
        self.store = store
        self.hub = hub
        self.authenticator = authenticator
        self.signIn = signIn
        self.backups = backups
        self.time = time
        self.ids = ids
        self.settings = settings
        self.readiness = readiness
        self.bridges = bridges
        self.logger = logger
        self.limiter = RateLimiter(settings.rates, time: time)
    }

    /// What answers every request: the routes, and 405 for methods that nobody has heard of.
    package func buildResponder() -> AnyMethodResponder { AnyMethodResponder(router: self.buildRouter()) }

    /// All routes with their middleware. Every path answers methods that it lacks with 405 and `Allow`.
    package func buildRouter() -> Router<GatewayContext> {
        let router = Router(context: GatewayContext.self, options: [.autoGenerateHeadEndpoints])
        router.add(middleware: CrossOriginMiddleware(allowedOrigins: self.settings.allowedOrigins))
        router.add(middleware: ProblemMiddleware())
        let open = router.group("")
        let signedIn = router.group("").add(middleware: AuthenticationMiddleware(gateway: self))

        OperationsController(gateway: self).addRoutes(to: open)
        MetricsController(gateway: self).addRoutes(to: open)
        WebController().addRoutes(to: open)
        UserController(gateway: self).addRoutes(open: open, signedIn: signedIn)
        APIKeyController(gateway: self).addRoutes(to: signedIn)
        TokenController(gateway: self).addRoutes(open: open, signedIn: signedIn)
        StreamTicketController(gateway: self).addRoutes(to: signedIn)
        RoomController(gateway: self).addRoutes(to: signedIn)
        MemberController(gateway: self).addRoutes(to: signedIn)
        MessageController(gateway: self).addRoutes(to: signedIn)
        CallController(gateway: self).addRoutes(open: open, signedIn: signedIn)
        OwnCallController(gateway: self).addRoutes(to: signedIn)
        IceServersController(gateway: self).addRoutes(to: signedIn)
        EventController(gateway: self).addRoutes(open: open, signedIn: signedIn)
        RoomSocketController(gateway: self).addRoutes(to: open)

        let admin = signedIn.group("").add(middleware: AdminMiddleware())
        AuditController(gateway: self).addRoutes(to: admin)
        AdminCallController(gateway: self).addRoutes(to: admin)
        AdministrationController(gateway: self).addRoutes(to: admin)
        BridgeController(gateway: self).addRoutes(to: admin)
        ConnectionController(gateway: self).addRoutes(to: admin)
        MessageSearchController(gateway: self).addRoutes(to: admin)
        BackupController(gateway: self).addRoutes(to: admin)
        InviteController(gateway: self).addRoutes(to: admin)
        WebhookController(gateway: self).addRoutes(to: admin)

        router.answerOtherMethods()
        return router
    }
}

/// The gateway's part of the configuration.
package struct GatewaySettings: Sendable {
    /// Origins that may read answers in a browser; `nil`: all (`*`), as credentials are tokens and never cookies.
    package var allowedOrigins: [String]?
    /// `GET /v1/users` shows everybody instead of those one shares a room with.
    package var allUsersVisible: Bool
    /// STUN servers that clients are told; the seed's five by default.
    package var stunURLs: [String]
    /// For joined participants; `nil` for none.
    package var turn: TURNServers?
    /// At most so many joined participants in a call.
    package var joinedParticipantsMax: Int
    /// Whether `GET /ws/{room}?username=` makes guests.
    package var roomGuestsAllowed: Bool
    /// How many requests are allowed.
    package var rates = RateSettings.off
    /// Who is believed about the addresses of clients.
    package var trustedProxies = TrustedProxies()
    /// Whether admins may search what was said: `GET /v1/admin/messages`.
    package var adminsSearchMessages: Bool

    package static let seedSTUNURLs = [
        "stun:stun.l.google.com:19302", "stun:stun1.l.google.com:19302", "stun:stun2.l.google.com:19302",
        "stun:stun3.l.google.com:19302", "stun:stun4.l.google.com:19302",
    ]

    package init(
        allowedOrigins: [String]? = nil, allUsersVisible: Bool = false,
        stunURLs: [String] = Self.seedSTUNURLs, turn: TURNServers? = nil,
        joinedParticipantsMax: Int = Limits.joinedParticipantsMax, roomGuestsAllowed: Bool = true,
        adminsSearchMessages: Bool = false
    ) {
        self.roomGuestsAllowed = roomGuestsAllowed
        self.allowedOrigins = allowedOrigins
        self.allUsersVisible = allUsersVisible
        self.stunURLs = stunURLs
        self.turn = turn
        self.joinedParticipantsMax = joinedParticipantsMax
        self.adminsSearchMessages = adminsSearchMessages
    }
}
