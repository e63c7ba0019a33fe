/// Why a webhook gets nothing any more.
package enum WebhookEnd: String, Codable, Sendable, CaseIterable {
    /// An admin said so.
    case admin
    /// Nothing got through for a day.
    case failing
    /// Its receiver answered 410.
    case gone
    /// It was so far behind that the log could not wait for it.
    case backlog
}

/// Where events are posted to, and how far.
package struct Webhook: Hashable, Sendable {
    package var id: WebhookID
    package var url: String
    package var description: String
    /// `nil`: all rooms.
    package var room: RoomID?
    /// As asked for: `message.*`, `call.ended`; empty: all.
    package var types: [String]
    /// `whsec_` and base64.
    package var secret: String
    /// The one before, by which it is signed too for a while.
    package var formerSecret: String?
    package var formerSecretUntil: Timestamp?
    package var createdBy: UserID
    package var createdAt: Timestamp
    /// All events up to this seq were delivered, or were none of its.
    package var position: Int64
    /// Counts changes by admins.
    package var revision: Int64
    package var disabledAt: Timestamp?
    package var disabledReason: WebhookEnd?
    /// Since when nothing got through; `nil` while all is well.
    package var failingSince: Timestamp?
    /// Of the event that is next.
    package var attempts: Int
    package var nextAttemptAt: Timestamp?
    package var lastError: String?

    package init(
        id: WebhookID, url: String, description: String, room: RoomID?, types: [String], secret: String,
        formerSecret: String? = nil, formerSecretUntil: Timestamp? = nil, createdBy: UserID, createdAt: Timestamp,
        position: Int64, revision: Int64 = 0, disabledAt: Timestamp? = nil, disabledReason: WebhookEnd? = nil,
        failingSince: Timestamp? = nil, attempts: Int = 0, nextAttemptAt: Timestamp? = nil, lastError: String? = nil
    ) {
        self.id = id
        self.url = url
        self.description = description
        self.room = room
        self.types = types
        self.secret = secret
        self.formerSecret = formerSecret
        self.formerSecretUntil = formerSecretUntil
        self.createdBy = createdBy
        self.createdAt = createdAt
        self.position = position
        self.revision = revision
        self.disabledAt = disabledAt
        self.disabledReason = disabledReason
        self.failingSince = failingSince
        self.attempts = attempts
        self.nextAttemptAt = nextAttemptAt
        self.lastError = lastError
    }

    package var isActive: Bool { self.disabledAt == nil }

    /// The secrets to sign with, the present one first.
    package func secrets(at now: Timestamp) -> [String] {
        guard let formerSecret, let formerSecretUntil, now < formerSecretUntil else { return [self.secret] }
        return [self.secret, formerSecret]
    }

    /// Whether an event goes there.
    package func takes(_ event: Event) -> Bool {
        guard event.type.isForWebhooks, self.room.map({ event.room == $0 }) ?? true else { return false }
        return self.types.isEmpty
            || self.types.contains { EventFilter.TypePattern($0)?.matches(event.type) ?? false }
    }
}

extension EventType {
    /// What is told outside: what happens in rooms and to calls. Never signals, what is one user's own (read markers,
    /// other devices, servers' credentials) or what is not in the log.
    private static let webhookTypes: Set<EventType> = [
        .roomCreated, .roomUpdated, .roomArchived, .memberJoined, .memberLeft, .memberUpdated, .messageCreated,
        .messageEdited, .messageDeleted, .callCreated, .callRinging, .callUpdated, .callEnded, .callParticipant,
    ]

    package var isForWebhooks: Bool { Self.webhookTypes.contains(self) }
}

/// One attempt to deliver an event.
package struct WebhookAttempt: Hashable, Sendable {
    package var seq: Int64
    package var type: String
    /// 1 for the first.
    package var number: Int
    package var at: Timestamp
    package var milliseconds: Int64
    /// Of the answer; `nil`: there was none.
    package var status: Int?
    /// What went wrong, in words; `nil`: it was delivered.
    package var error: String?

    package init(
        seq: Int64, type: String, number: Int, at: Timestamp, milliseconds: Int64, status: Int?, error: String?
    ) {
        self.seq = seq
        self.type = type
        self.number = number
        self.at = at
        self.milliseconds = milliseconds
        self.status = status
        self.error = error
    }
}

/// A webhook to be made, or what changes about one; `nil` stays as it is, or is the default.
package struct WebhookChange: Sendable {
    package var url: String?
    package var description: String?
    package var types: [String]?
    package var isEnabled: Bool?

    package init(url: String? = nil, description: String? = nil, types: [String]? = nil, isEnabled: Bool? = nil) {
        self.url = url
        self.description = description
        self.types = types
        self.isEnabled = isEnabled
    }
}
