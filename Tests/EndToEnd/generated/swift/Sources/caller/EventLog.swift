import ComblangClient
import Foundation

/// A room's events, then a call's, by long-poll from a cursor on.
actor EventLog {
    private let configuration: ComblangClientAPIConfiguration
    private var poll: @Sendable (String) async throws -> EventPage
    private var cursor: String
    private var waiting: [Event] = []
    /// Which case of the generated enum each type of event became.
    private(set) var seen: [String: String] = [:]
    /// Payloads of `custom` signals.
    private(set) var kept: [JSONValue] = []

    init(ofRoom room: String, from cursor: String, _ configuration: ComblangClientAPIConfiguration) {
        self.configuration = configuration
        self.cursor = cursor
        self.poll = { after in
            try await EventsAPI.pollRoomEvents(
                room: room, after: after, wait: 20, types: ["call.created", "call.ringing"],
                apiConfiguration: configuration)
        }
    }

    func follow(call: String, from cursor: String) {
        self.cursor = cursor
        self.waiting = []
        self.poll = { [configuration] after in
            try await EventsAPI.pollCallEvents(call: call, after: after, wait: 20, apiConfiguration: configuration)
        }
    }

    /// The first value that `wanted` makes of an event; the others are skipped.
    func next<Value: Sendable>(_ wanted: @Sendable (Event) -> Value?) async throws -> Value {
        while true {
            while !self.waiting.isEmpty {
                if let value = wanted(self.waiting.removeFirst()) { return value }
            }
            let page = try await self.poll(self.cursor)
            self.cursor = page.cursor
            self.waiting += page.events
            for event in page.events { self.seen[event.name.type] = event.name.model }
        }
    }

    func keep(_ payload: JSONValue?) { self.kept.append(payload ?? .null) }
}

extension Event {
    var call: CallEvent? {
        if case .typeCallEvent(let event) = self { event } else { nil }
    }

    func signal(_ kinds: Signal.ModelType...) -> Signal? {
        if case .typeSignalEvent(let event) = self, kinds.contains(event.data.type) { event.data } else { nil }
    }

    /// The event's type on the wire, and the model that it became.
    var name: (type: String, model: String) {
        switch self {
        case .typeCallEvent(let event): (event.type.rawValue, "CallEvent")
        case .typeSignalEvent(let event): (event.type.rawValue, "SignalEvent")
        case .typeParticipantEvent(let event): (event.type.rawValue, "ParticipantEvent")
        case .typeMessageEvent(let event): (event.type.rawValue, "MessageEvent")
        case .unknownDefaultOpenApi: ("unknown", "unknownDefaultOpenApi")
        default: ("another", "another")
        }
    }
}

extension ComblangClient.Response {
    /// Of the snapshot that was loaded, or of the own write; names of headers come as they were written.
    var cursor: String {
        self.header.first { $0.key.lowercased() == "event-cursor" }?.value ?? ""
    }
}
