import Core

extension MemoryReading {
    func webhook(_ id: WebhookID) throws -> Webhook? { self.state.webhooks[id] }
    func webhooks() throws -> [Webhook] { self.state.webhooks.values.sorted { $0.id < $1.id } }

    func webhookAttempts(
        of webhook: WebhookID, before: Int64?, limit: Int
    ) throws -> [(id: Int64, attempt: WebhookAttempt)] {
        Array(
            self.state.webhookAttempts.filter { $0.webhook == webhook && $0.id < before ?? Int64.max }
                .sorted { $0.id > $1.id }.prefix(limit).map { ($0.id, $0.attempt) })
    }

    func loggedEvents(after seq: Int64, limit: Int) throws -> [Event] {
        Array(self.state.events.map(\.event).filter { $0.seq > seq }.prefix(limit))
    }
}

extension MemoryWriter {
    func insert(_ webhook: Webhook) throws {
        try self.require(self.state.webhooks[webhook.id] == nil, "webhook.id is unique")
        self.state.webhooks[webhook.id] = webhook
    }

    func update(_ webhook: Webhook) throws {
        if self.state.webhooks[webhook.id] != nil { self.state.webhooks[webhook.id] = webhook }
    }

    func delete(_ webhook: Webhook) throws {
        self.state.webhooks[webhook.id] = nil
        self.state.webhookAttempts.removeAll { $0.webhook == webhook.id }
    }

    func insert(_ attempt: WebhookAttempt, of webhook: WebhookID) throws {
        try self.require(self.state.webhooks[webhook] != nil, "webhookAttempt.webhook exists")
        let id = (self.state.webhookAttempts.last?.id ?? 0) + 1
        self.state.webhookAttempts.append((id, webhook, attempt))
    }

    func deleteWebhookAttempts(of webhook: WebhookID, keeping countMax: Int) throws {
        let kept = Set(
            self.state.webhookAttempts.filter { $0.webhook == webhook }.map(\.id).sorted(by: >).prefix(countMax))
        self.state.webhookAttempts.removeAll { $0.webhook == webhook && !kept.contains($0.id) }
    }
}
