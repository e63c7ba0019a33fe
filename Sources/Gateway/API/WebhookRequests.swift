import Core

/// `POST /v1/webhooks`.
struct NewWebhookRequest: Decodable, Sendable {
    let url: String
    let description: String?
    /// Id or name; left out: all.
    let room: String?
    let types: [String]?
}

/// `PATCH /v1/webhooks/{webhook}`.
struct WebhookChangeRequest: Decodable, Sendable {
    let url: String?
    let description: String?
    let types: [String]?
    let enabled: Bool?
}

/// `POST /v1/webhooks/{webhook}/redeliver`.
struct RedeliveryRequest: Decodable, Sendable {
    let after: String
}

/// A webhook; with its secret only when that was just made.
struct WebhookPayload: Encodable {
    private let webhook: Webhook
    private let epoch: String
    private let secret: String?

    init(_ webhook: Webhook, epoch: String, secret: String? = nil) {
        self.webhook = webhook
        self.epoch = epoch
        self.secret = secret
    }

    private enum CodingKeys: String, CodingKey {
        case id, url, description, room, types, secret, createdBy, createdAt, enabled, cursor, disabledAt,
            disabledReason, failingSince, nextAttemptAt, lastError
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.webhook.id, forKey: .id)
        try container.encode(self.webhook.url, forKey: .url)
        try container.encode(self.webhook.description, forKey: .description)
        try container.encode(self.webhook.room, forKey: .room)
        try container.encode(self.webhook.types, forKey: .types)
        try container.encodeIfPresent(self.secret, forKey: .secret)
        try container.encode(self.webhook.createdBy, forKey: .createdBy)
        try container.encode(self.webhook.createdAt, forKey: .createdAt)
        try container.encode(self.webhook.isActive, forKey: .enabled)
        try container.encode(Cursor(epoch: self.epoch, seq: self.webhook.position).description, forKey: .cursor)
        try container.encode(self.webhook.disabledAt, forKey: .disabledAt)
        try container.encode(self.webhook.disabledReason, forKey: .disabledReason)
        try container.encode(self.webhook.failingSince, forKey: .failingSince)
        try container.encode(self.webhook.nextAttemptAt, forKey: .nextAttemptAt)
        try container.encode(self.webhook.lastError, forKey: .lastError)
    }
}

/// One attempt to deliver.
struct WebhookAttemptPayload: Encodable {
    private let attempt: WebhookAttempt
    private let epoch: String

    init(_ attempt: WebhookAttempt, epoch: String) { (self.attempt, self.epoch) = (attempt, epoch) }

    private enum CodingKeys: String, CodingKey { case event, type, attempt, at, milliseconds, status, error }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Cursor(epoch: self.epoch, seq: self.attempt.seq).description, forKey: .event)
        try container.encode(self.attempt.type, forKey: .type)
        try container.encode(self.attempt.number, forKey: .attempt)
        try container.encode(self.attempt.at, forKey: .at)
        try container.encode(self.attempt.milliseconds, forKey: .milliseconds)
        try container.encode(self.attempt.status, forKey: .status)
        try container.encode(self.attempt.error, forKey: .error)
    }
}
