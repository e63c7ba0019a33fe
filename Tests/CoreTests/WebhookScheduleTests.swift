import Core
import TestSupport
import Testing

/// What follows an attempt to deliver.
struct WebhookScheduleTests {
    private static let webhook = Webhook(
        id: .fixture(1), url: "https://example.org/hook", description: "", room: nil, types: [], secret: "whsec_",
        createdBy: .fixture(1), createdAt: .fixture, position: 10)

    private static func at(_ seconds: Int) -> Timestamp { Timestamp.fixture.advanced(by: .seconds(seconds)) }

    private static func fail(_ webhook: Webhook, at seconds: Int, retryAfter: Duration? = nil) -> Webhook {
        WebhookSchedule.next(
            webhook, seq: 11, .failed("refused", retryAfter: retryAfter), jitter: 0.5, now: Self.at(seconds))
    }

    @Test func whatIsDeliveredIsBehindIt() {
        let next = WebhookSchedule.next(Self.fail(Self.webhook, at: 0), seq: 11, .delivered, jitter: 0, now: Self.at(5))
        #expect(next.position == 11 && next.attempts == 0)
        #expect(next.failingSince == nil && next.nextAttemptAt == nil && next.lastError == nil && next.isActive)
    }

    @Test func attemptsComeLessAndLessOftenAndAtLeastEveryQuarterOfAnHour() {
        var webhook = Self.webhook
        var delays: [Int64] = []
        for _ in 0..<12 {
            webhook = Self.fail(webhook, at: 0)
            delays.append((webhook.nextAttemptAt ?? .fixture).duration(since: .fixture).components.seconds)
        }
        #expect(delays == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 900])
        #expect(webhook.position == 10 && webhook.attempts == 12 && webhook.failingSince == .fixture)
    }

    @Test(arguments: [(0.0, 4), (1.0, 6)]) func attemptsAreSpread(_ jitter: Double, _ seconds: Int) {
        let next = WebhookSchedule.next(
            Self.webhook, seq: 11, .failed("refused", retryAfter: nil), jitter: jitter, now: .fixture)
        #expect(next.nextAttemptAt == Self.at(seconds))
    }

    @Test func aReceiverMayAskForMoreTimeButNotForEver() {
        #expect(Self.fail(Self.webhook, at: 0, retryAfter: .seconds(120)).nextAttemptAt == Self.at(120))
        #expect(Self.fail(Self.webhook, at: 0, retryAfter: .seconds(999_999)).nextAttemptAt == Self.at(3600))
    }

    @Test func aDayWithoutAnyDeliveryIsTheEnd() {
        let day = 24 * 3600
        var webhook = Self.fail(Self.webhook, at: 0)
        webhook = Self.fail(webhook, at: day - 1)
        #expect(webhook.isActive)
        webhook = Self.fail(webhook, at: day)
        #expect(webhook.disabledReason == .failing && webhook.disabledAt == Self.at(day))
        #expect(webhook.position == 10 && webhook.nextAttemptAt == nil)
    }

    @Test func aDeliveryInBetweenBeginsTheDayAnew() {
        var webhook = Self.fail(Self.webhook, at: 0)
        webhook = WebhookSchedule.next(webhook, seq: 11, .delivered, jitter: 0, now: Self.at(3600))
        webhook = Self.fail(webhook, at: 24 * 3600)
        #expect(webhook.isActive)
    }

    @Test func whoIsGoneIsAskedNoMore() {
        let next = WebhookSchedule.next(Self.webhook, seq: 11, .gone, jitter: 0, now: .fixture)
        #expect(next.disabledReason == .gone && next.position == 10)
    }

    @Test func aFormerSecretSignsUntilItsTime() {
        var webhook = Self.webhook
        webhook.formerSecret = "whsec_old"
        webhook.formerSecretUntil = Self.at(60)
        #expect(webhook.secrets(at: Self.at(59)) == ["whsec_", "whsec_old"])
        #expect(webhook.secrets(at: Self.at(60)) == ["whsec_"])
    }

    @Test func signalsAndWhatIsOnesOwnGoNowhere() {
        let never: [EventType] = [
            .signal, .signalExpired, .iceServersRefresh, .typing, .readUpdated, .callAnsweredElsewhere,
            .presenceChanged,
            .sessionRevoked, .userChanged, .webhookDisabled,
        ]
        for type in EventType.allCases where never.contains(type) {
            let event = Event(
                seq: 1, type: type, audiences: [], room: .fixture(1), call: nil, actor: nil, at: .fixture, data: "{}")
            #expect(!Self.webhook.takes(event), "\(type)")
        }
    }

    @Test func roomAndTypesNarrow() {
        let event = { (type: EventType, room: Int) in
            Event(
                seq: 1, type: type, audiences: [], room: .fixture(room), call: nil, actor: nil, at: .fixture, data: "{}"
            )
        }
        var webhook = Self.webhook
        #expect(webhook.takes(event(.messageCreated, 1)) && webhook.takes(event(.callEnded, 2)))
        webhook.types = ["message.*", "call.ended"]
        webhook.room = .fixture(1)
        #expect(webhook.takes(event(.messageDeleted, 1)) && webhook.takes(event(.callEnded, 1)))
        #expect(!webhook.takes(event(.callCreated, 1)) && !webhook.takes(event(.messageCreated, 2)))
    }
}
