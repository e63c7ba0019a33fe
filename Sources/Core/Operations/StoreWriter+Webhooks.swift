extension StoreReader {
    /// - throws: ``Problem`` `not-found`.
    package func requireWebhook(_ id: WebhookID) throws -> Webhook {
        guard let webhook = try self.webhook(id) else { throw Problem.notFound }
        return webhook
    }
}

extension StoreWriter {
    /// Makes a webhook; it gets what happens from now on.
    ///
    /// - parameters:
    ///   - new: with a URL that the gateway has found well-formed.
    ///   - room: `nil`: all rooms.
    /// - throws: ``Problem`` `validation-failed`, `not-found`, `limit-reached`; `forbidden` if the asker is no
    ///   admin any more.
    package func makeWebhook(
        _ new: WebhookChange, url: String, room: RoomReference?, secret: String, as acting: Acting
    ) throws -> Webhook {
        try self.presentUser(acting).require(.administer)
        let room = try room.map { try self.access($0, as: acting.user).room.id }
        guard try self.webhooks().count < Limits.webhooksMax else {
            throw Problem(.limitReached, "There are at most \(Limits.webhooksMax) webhooks")
        }
        let webhook = Webhook(
            id: acting.ids.next(at: acting.now), url: url, description: try Self.checked(new.description ?? ""),
            room: room, types: try Self.checked(new.types ?? []), secret: secret, createdBy: acting.user.id,
            createdAt: acting.now, position: try self.logBounds().tail)
        try self.insert(webhook)
        try self.audit(AuditRecord(.webhookCreated, of: webhook.id.text, ["url": .string(url)]), as: acting)
        return webhook
    }

    /// Changes a webhook. Enabled again, it goes on where it stopped, as far as the log reaches back.
    ///
    /// - throws: ``Problem`` `validation-failed`, `not-found`, `forbidden`.
    package func changeWebhook(_ id: WebhookID, _ change: WebhookChange, as acting: Acting) throws -> Webhook {
        var parameters: [String: JSONValue] = [:]
        if let url = change.url { parameters["url"] = .string(url) }
        if let isEnabled = change.isEnabled { parameters["enabled"] = .bool(isEnabled) }
        return try self.change(id, AuditRecord(.webhookChanged, of: id.text, parameters), as: acting) { webhook in
            webhook.url = change.url ?? webhook.url
            if let description = change.description { webhook.description = try Self.checked(description) }
            if let types = change.types { webhook.types = try Self.checked(types) }
            if change.isEnabled == false, webhook.isActive {
                webhook.disabledAt = acting.now
                webhook.disabledReason = .admin
            } else if change.isEnabled == true {
                webhook.enable()
            }
            // Another place, or a hint that it was mended: no reason to wait.
            webhook.nextAttemptAt = nil
        }
    }

    /// Gives a webhook another secret; the present one signs too for a day, so that receivers need not change at once.
    ///
    /// - throws: ``Problem`` `not-found`, `forbidden`.
    package func rotateSecret(of id: WebhookID, to secret: String, as acting: Acting) throws -> Webhook {
        try self.change(id, AuditRecord(.webhookChanged, of: id.text, ["secret": .string("rotated")]), as: acting) {
            webhook in
            webhook.formerSecret = webhook.secret
            webhook.formerSecretUntil = acting.now.advanced(by: Limits.webhookFormerSecretKept)
            webhook.secret = secret
        }
    }

    /// Delivers again all that came behind a cursor.
    ///
    /// - throws: ``Problem`` `not-found`, `forbidden`, `cursor-expired`.
    package func redeliver(_ id: WebhookID, after cursor: Cursor, as acting: Acting) throws -> Webhook {
        _ = try self.requireWebhook(id)
        let bounds = try self.logBounds()
        guard case .resumed(let seq) = bounds.resume(from: cursor) else {
            throw Problem(
                .cursorExpired,
                "The log holds what came behind \(bounds.epoch).\(bounds.trimmedThrough) up to \(bounds.tailCursor)",
                members: ["cursor": .string(bounds.tailCursor.description)])
        }
        let record = AuditRecord(.webhookChanged, of: id.text, ["redeliverAfter": .string(cursor.description)])
        return try self.change(id, record, as: acting) { webhook in
            webhook.enable()
            webhook.position = seq
        }
    }

    /// - throws: ``Problem`` `not-found`, `forbidden`.
    package func deleteWebhook(_ id: WebhookID, as acting: Acting) throws {
        try self.presentUser(acting).require(.administer)
        try self.delete(try self.requireWebhook(id))
        try self.audit(AuditRecord(.webhookDeleted, of: id.text), as: acting)
    }

    private func change(
        _ id: WebhookID, _ record: AuditRecord, as acting: Acting, _ change: (inout Webhook) throws -> Void
    ) throws -> Webhook {
        try self.presentUser(acting).require(.administer)
        var webhook = try self.requireWebhook(id)
        try change(&webhook)
        webhook.revision += 1
        try self.update(webhook)
        try self.audit(record, as: acting)
        return webhook
    }

    /// Writes down what came of deliveries, unless an admin has changed the webhook since they began. Tells the admins
    /// when it is disabled.
    ///
    /// - returns: whether it was written down.
    package func record(
        _ webhook: Webhook, _ attempts: [WebhookAttempt], now: Timestamp
    ) throws -> Bool {
        guard let present = try self.webhook(webhook.id), present.revision == webhook.revision else { return false }
        try self.update(webhook)
        for attempt in attempts { try self.insert(attempt, of: webhook.id) }
        try self.deleteWebhookAttempts(of: webhook.id, keeping: Limits.webhookAttemptsKept)
        if present.isActive, !webhook.isActive { try self.appendDisabled(webhook, now: now) }
        return true
    }

    /// Disables webhooks that are too far behind for the log to wait for.
    package func endHopelessWebhooks(now: Timestamp) throws {
        let tail = try self.logBounds().tail
        for var webhook in try self.webhooks()
        where webhook.isActive && tail - webhook.position > Limits.webhookBacklogMax {
            webhook.disabledAt = now
            webhook.disabledReason = .backlog
            webhook.revision += 1
            try self.update(webhook)
            try self.appendDisabled(webhook, now: now)
        }
    }

    private func appendDisabled(_ webhook: Webhook, now: Timestamp) throws {
        let admins = try self.users(UserQuery(role: .admin, limit: Limits.pageItemsMax)).map {
            Audience.user($0.user.id)
        }
        try self.append(
            EventDraft(.webhookDisabled, to: admins, at: now, data: JSON.text(WebhookDisabledPayload(webhook))))
    }

    private static func checked(_ description: String) throws(Problem) -> String {
        if !description.isEmpty { try FieldRules.webhookDescription(description) }
        return description
    }

    private static func checked(_ types: [String]) throws(Problem) -> [String] {
        guard types.count <= Limits.typePatternsMax else {
            throw .invalid("types", "must be at most \(Limits.typePatternsMax) types")
        }
        for type in types {
            let pattern = EventFilter.TypePattern(type)
            guard let pattern, EventType.clientTypes.contains(where: { pattern.matches($0) && $0.isForWebhooks }) else {
                throw .invalid("types", "has no type for webhooks that matches \(type.prefix(64))")
            }
        }
        return types
    }
}

extension Webhook {
    fileprivate mutating func enable() {
        self.disabledAt = nil
        self.disabledReason = nil
        self.failingSince = nil
        self.attempts = 0
        self.nextAttemptAt = nil
    }
}

/// `webhook.disabled`.
struct WebhookDisabledPayload: Encodable {
    let webhook: WebhookID
    let url: String
    let reason: WebhookEnd?
    let lastError: String?

    init(_ webhook: Webhook) {
        self.webhook = webhook.id
        self.url = webhook.url
        self.reason = webhook.disabledReason
        self.lastError = webhook.lastError
    }

    private enum CodingKeys: String, CodingKey { case webhook, url, reason, lastError }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.webhook, forKey: .webhook)
        try container.encode(self.url, forKey: .url)
        try container.encode(self.reason, forKey: .reason)
        try container.encode(self.lastError, forKey: .lastError)
    }
}
