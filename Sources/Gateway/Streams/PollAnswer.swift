import Core
import Foundation
import HTTPTypes
import Hub

/// What a long-poll answers: `{"events": […], "cursor": "…", "more": false, "ephemeral": […]}`.
struct PollAnswer {
    private let events: ArraySlice<LoggedEvent>
    private let ephemeral: [LoggedEvent]
    private let cursor: Cursor
    private let hasMore: Bool

    init(_ events: [LoggedEvent], ephemeral: [LoggedEvent] = [], cursor: Cursor, hasMore: Bool) {
        self.events = events[...]
        self.ephemeral = ephemeral
        self.cursor = cursor
        self.hasMore = hasMore
    }

    /// Joins the envelopes, which are JSON already.
    func answer() -> Answer {
        var body = "{\"events\":["
        body += self.events.map(\.envelope).joined(separator: ",")
        body += "],\"cursor\":\"\(self.cursor)\",\"more\":\(self.hasMore),\"ephemeral\":["
        body += self.ephemeral.map(\.envelope).joined(separator: ",")
        body += "]}"
        var answer = Answer(status: .ok, body: Data(body.utf8))
        answer.cursor = self.cursor
        answer.headers[.cacheControl] = "no-store"
        return answer
    }
}
