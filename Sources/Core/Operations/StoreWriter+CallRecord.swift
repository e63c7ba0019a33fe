// The lines of a call's record, and how many there are at most.

extension StoreWriter {
    /// Adds a line to the call's record, unless it is full: then the record counts it as omitted.
    func record(_ entry: CallRecordEntry, of call: CallID, at now: Timestamp) throws {
        guard try self.timelineCount(of: call) < entry.timelineMax else {
            return try self.count(CallCounts(omitted: 1), of: call)
        }
        var isOnline: Bool?
        if case .invited(let user, _, _) = entry { isOnline = try self.user(user)?.isOnline }
        try self.insert(TimelineEntry(entry, at: now, isOnline: isOnline), of: call)
    }

    /// Says in the record that an offer or an answer was not delivered; of other signals the number is enough.
    func recordExpiry(of signal: PendingSignal, at now: Timestamp) throws {
        // The server's own are no client's loss.
        guard signal.sender != nil else { return }
        try self.count(CallCounts(expired: 1), of: signal.call)
        guard let named = try self.description(signal.signal, of: signal.call), let sender = named.user else { return }
        try self.record(.expired(signal.signal, kind: named.kind, from: sender), of: signal.call, at: now)
    }
}

extension CallRecordEntry {
    /// The timeline takes this line as long as it has fewer. The end has always a place, what flaps leaves one for
    /// what counts.
    fileprivate var timelineMax: Int {
        switch self {
        case .ended: .max
        case .connection, .dropped, .expired: Limits.timelineDetailsMax
        case .created, .invited, .state, .participant, .offer, .answer, .rejectedOffer, .offerTimedOut, .connected,
            .roomArchived, .reason:
            Limits.timelineEntriesMax
        }
    }
}

extension TimelineEntry {
    /// The line that the record keeps.
    ///
    /// - parameter isOnline: whether the entry's user was, where that is known.
    init(_ entry: CallRecordEntry, at now: Timestamp, isOnline: Bool? = nil) throws {
        let (kind, user, members): (String, UserID?, [String: JSONValue]) =
            switch entry {
            case .created(let user): ("created", user, [:])
            case .invited(let user, let inviter, let isBusy):
                (
                    "invited", user,
                    [
                        "by": .string(inviter.text), "busy": isBusy ? .bool(true) : .null,
                        "online": isOnline.map { .bool($0) } ?? .null,
                    ]
                )
            case .state(let state): ("state", nil, ["state": .string(state.rawValue)])
            case .participant(let user, let state, let leg, let reason):
                ("participant", user, ["state": .string(state.rawValue), "leg": .of(leg?.text), "reason": .of(reason)])
            case .offer(let signal, let from, let to):
                ("offer", from, ["signal": .string(signal.text), "to": .string(to.text)])
            case .answer(let signal, let offer, let from, let to):
                (
                    "answer", from,
                    ["signal": .string(signal.text), "offer": .string(offer.text), "to": .string(to.text)]
                )
            case .rejectedOffer(let offer, let from, let to):
                ("reject", from, ["offer": .string(offer.text), "to": .string(to.text)])
            case .offerTimedOut(let offer, let from, let to):
                ("offer-timeout", from, ["offer": .string(offer.text), "to": .string(to.text)])
            case .connected(let user): ("connected", user, [:])
            case .connection(let user, let connection):
                ("connection", user, ["connection": .string(connection.rawValue)])
            case .dropped(let from, let to, let total):
                ("dropped", from, ["to": .string(to.text), "total": .integer(Int64(total))])
            case .expired(let signal, let kind, let sender):
                ("expired", sender, ["signal": .string(signal.text), "kind": .string(kind)])
            case .roomArchived(let user): ("room-archived", user, [:])
            case .reason(let reason, let user): ("reason", user, ["reason": .string(reason)])
            case .ended(let reason, let user, let isInferred):
                (
                    "ended", user,
                    ["reason": .string(reason.rawValue), "inferred": isInferred ? .bool(true) : .null]
                )
            }
        self.init(at: now, kind: kind, user: user, data: try JSON.text(members.filter { $0.value != .null }))
    }
}

extension JSONValue {
    fileprivate static func of(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
}
