import Core
import HTTPTypes
import Hub
import Hummingbird

/// `/v1/admin/calls`: who called whom, when, for how long, how it ended and why it failed. Every answer about
/// somebody's calls is in the audit log.
struct AdminCallController: Sendable {
    let gateway: Gateway

    /// - parameter admin: lets only admins through.
    func addRoutes(to admin: RouterGroup<GatewayContext>) {
        admin.get("/v1/admin/calls", use: self.list)
        admin.get("/v1/admin/calls/export", use: self.export)
        admin.get("/v1/admin/calls/stats", use: self.statistics)
        admin.get("/v1/admin/calls/:call", use: self.show)
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let filter = try CallFilter(query)
        let before = try query.identifier("before", as: CallID.self)
        let after = try query.identifier("after", as: CallID.self)
        let limit = try query.pageLimit()
        let isAscending = after != nil && before == nil
        return try await self.gateway.readAudited(context, AuditRecord(.callsListed, filter.given)) { store, admin in
            let calls = try store.callRecords(
                filter.resolved(in: store, as: admin), before: before, after: after, limit: limit + 1)
            return try Answer(
                page: calls, limit: limit, request: request, next: isAscending ? "after" : "before",
                key: \.record.call.id.text, payload: { $0 })
        }
    }

    @Sendable private func show(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.identifier("call", as: CallID.self)
        return try await self.gateway.readAudited(context, AuditRecord(.callShown, of: id.text)) { store, _ in
            try Answer(.ok, store.callDetails(id))
        }
    }

    @Sendable private func export(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let filter = try CallFilter(query)
        let format = try query.value("format", as: CallExport.Format.self) ?? .csv
        let admin = try context.requireIdentity().user
        let resolved = try await self.gateway.store.read { try filter.resolved(in: $0, as: admin) }
        var given = filter.given
        given["format"] = .string(format.rawValue)
        // Before anything is read: once it streams, it cannot be taken back.
        try await self.gateway.audit(AuditRecord(.callsExported, given), context)
        return CallExport(
            store: self.gateway.store, query: resolved, format: format, channel: context.channel
        ).response()
    }

    @Sendable private func statistics(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let filter = try CallFilter(query)
        let bucket = try query.value("bucket", as: StatisticsBucket.self) ?? .day
        let until = filter.query.until ?? self.gateway.time.now
        let statistics = try CallStatistics(
            since: filter.query.since ?? until.advanced(by: .zero - bucket.defaultRange), until: until, bucket: bucket,
            grouping: query.value("groupBy"))
        let admin = try context.requireIdentity().user
        var given = filter.given
        for name in ["bucket", "groupBy"] { given[name] = query[name].map { .string($0) } }
        let resolved = try await self.gateway.store.read { try filter.resolved(in: $0, as: admin) }
        let filled = try await statistics.filled(from: self.gateway.store, resolved)
        return try await self.gateway.readAudited(context, AuditRecord(.callStatistics, given)) { store, _ in
            let groups = filled.groups.listed.map(\.group)
            return try Answer(.ok, StatisticsPayload(filled, names: store.names(of: groups, by: filled.grouping)))
        }
    }
}

/// Which calls a request asks for, before names are looked up.
struct CallFilter: Sendable {
    /// Without user and room.
    let query: CallQuery
    private let user: UserReference?
    private let room: RoomReference?
    /// As they were given, for the audit log.
    let given: [String: JSONValue]

    /// - throws: ``Problem`` `validation-failed` naming the parameter.
    init(_ query: Query) throws(Problem) {
        self.user = try query["user"].map { text throws(Problem) in
            guard let user = UserReference(text) else { throw .invalid("user", "must be a user's id or @username") }
            return user
        }
        self.room = try query.room()
        let durationSecondsMin =
            query["minDuration"] == nil ? nil : try query.integer("minDuration", in: 0...Int(Int32.max), default: 0)
        self.query = CallQuery(
            state: try query.value("state"), endReason: try query.value("endReason"), since: try query.time("since"),
            until: try query.time("until"), durationSecondsMin: durationSecondsMin,
            transport: try query.value("transport"))
        self.given = query.given(
            "user", "room", "state", "endReason", "since", "until", "minDuration", "transport")
    }

    /// - throws: ``Problem`` `validation-failed` naming `user` or `room`, if there is none of that name.
    func resolved(in store: any StoreReader, as admin: User) throws -> CallQuery {
        try store.resolving(self.query, user: self.user, room: self.room, as: admin)
    }
}

extension CallStatistics {
    /// Calls that one read hands over: some milliseconds, and some MiB meanwhile.
    private static let pageMax = 10_000

    /// Goes over all calls of the query in short reads, so that neither other reads nor the log wait for a long one.
    ///
    /// - throws: the store's error, `CancellationError` when nobody waits any more.
    func filled(from store: any EventStore, _ query: CallQuery) async throws -> CallStatistics {
        var statistics = self
        var query = query
        (query.since, query.until) = (self.since, self.until)
        let (asked, grouping) = (query, self.grouping)
        let read = { @Sendable (after: Int64) async throws in
            try await store.read { try $0.callFigures(asked, by: grouping, after: after, limit: Self.pageMax) }
        }
        var page = try await read(.min)
        while let last = page.last {
            try Task.checkCancellation()
            // The next page is read while this one is added up.
            async let next = read(last)
            for call in page.figures { statistics.add(call) }
            page = try await next
        }
        for call in page.figures { statistics.add(call) }
        return statistics
    }
}
