import Core
import GRDB

extension Webhook {
    fileprivate static let table = Table(
        "webhook", key: ["id"],
        [
            "url", "description", "room", "types", "secret", "formerSecret", "formerSecretUntil", "createdBy",
            "createdAt", "position", "revision", "disabledAt", "disabledReason", "failingSince", "attempts",
            "nextAttemptAt", "lastError",
        ])

    fileprivate init(_ row: inout Columns) throws {
        self.init(
            id: row.id(), url: row.text(), description: row.text(), room: row.optionalID(),
            types: row.text().split(separator: " ").map(String.init), secret: row.text(),
            formerSecret: row.optionalText(), formerSecretUntil: row.optionalTime(), createdBy: row.id(),
            createdAt: row.time(), position: row.integer(), revision: row.integer(), disabledAt: row.optionalTime(),
            disabledReason: try row.optionalValue(), failingSince: row.optionalTime(), attempts: Int(row.integer()),
            nextAttemptAt: row.optionalTime(), lastError: row.optionalText())
    }

    fileprivate var values: [SQLValue] {
        [
            self.id.text, self.url, self.description, self.room?.text, self.types.joined(separator: " "), self.secret,
            self.formerSecret, self.formerSecretUntil?.milliseconds, self.createdBy.text, self.createdAt.milliseconds,
            self.position, self.revision, self.disabledAt?.milliseconds, self.disabledReason?.rawValue,
            self.failingSince?.milliseconds, self.attempts, self.nextAttemptAt?.milliseconds, self.lastError,
        ]
    }
}

extension SQLiteReading {
    func webhook(_ id: WebhookID) throws -> Webhook? {
        try self.db.first("SELECT \(Webhook.table.selection) FROM webhook WHERE id = ?1", [id.text]) {
            try Webhook(&$0)
        }
    }

    func webhooks() throws -> [Webhook] {
        try self.db.all("SELECT \(Webhook.table.selection) FROM webhook ORDER BY id") { try Webhook(&$0) }
    }

    func webhookAttempts(
        of webhook: WebhookID, before: Int64?, limit: Int
    ) throws -> [(id: Int64, attempt: WebhookAttempt)] {
        try self.db.all(
            """
            SELECT id, seq, type, number, at, milliseconds, status, error FROM webhookAttempt \
            WHERE webhook = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3
            """, [webhook.text, before ?? Int64.max, limit]
        ) { row in
            (
                row.integer(),
                WebhookAttempt(
                    seq: row.integer(), type: row.text(), number: Int(row.integer()), at: row.time(),
                    milliseconds: row.integer(), status: row.optionalInteger().map { Int($0) },
                    error: row.optionalText())
            )
        }
    }
}

extension SQLiteWriter {
    func insert(_ webhook: Webhook) throws { try self.db.run(Webhook.table.insert, webhook.values) }
    func update(_ webhook: Webhook) throws { try self.db.run(Webhook.table.update, webhook.values) }

    func delete(_ webhook: Webhook) throws {
        try self.db.run("DELETE FROM webhookAttempt WHERE webhook = ?1", [webhook.id.text])
        try self.db.run("DELETE FROM webhook WHERE id = ?1", [webhook.id.text])
    }

    func insert(_ attempt: WebhookAttempt, of webhook: WebhookID) throws {
        try self.db.run(
            """
            INSERT INTO webhookAttempt (webhook, seq, type, number, at, milliseconds, status, error) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            """,
            [
                webhook.text, attempt.seq, attempt.type, attempt.number, attempt.at.milliseconds,
                attempt.milliseconds, attempt.status, attempt.error,
            ])
    }

    func deleteWebhookAttempts(of webhook: WebhookID, keeping countMax: Int) throws {
        try self.db.run(
            """
            DELETE FROM webhookAttempt WHERE webhook = ?1 AND id <= \
            (SELECT id FROM webhookAttempt WHERE webhook = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
            """, [webhook.text, countMax])
    }
}
