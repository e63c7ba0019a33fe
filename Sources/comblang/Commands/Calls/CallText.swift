import Core

/// Records of calls as text for people. Times are UTC.
enum CallText {
    // MARK: Lists

    static func table(_ calls: [JSONValue]) -> Table {
        Table(
            headings: ["call", "made (utc)", "from", "with", "ended", "lasted", "set-up", "wires"],
            rows: calls.map { call in
                let others = call.list("participants").filter { $0["user"] != call["initiator"] }
                let names = others.map(Self.name).joined(separator: ", ")
                return [
                    call.cell("id"), Self.time(call["createdAt"]), Self.initiator(of: call),
                    names.isEmpty ? "-" : names,
                    Self.end(of: call), Self.span(call["durationSeconds"]),
                    Self.milliseconds(call["offerToAnswerMs"]), Self.names(call["transports"]),
                ]
            })
    }

    private static func end(of call: JSONValue) -> String {
        call["endReason"]?.stringValue ?? call.cell("state") + "…"
    }

    private static func initiator(of call: JSONValue) -> String {
        call.list("participants").first { $0["user"] == call["initiator"] }.map(Self.name) ?? call.cell("initiator")
    }

    /// `@username`, or what a deleted user is called.
    private static func name(_ participant: JSONValue) -> String {
        participant["username"]?.stringValue.map { "@\($0)" } ?? participant.cell("displayName")
    }

    // MARK: One record

    /// What happened, by whom, in which order, and why it failed.
    static func details(_ call: JSONValue) -> String {
        let names = Dictionary(
            call.list("participants").map { ($0.cell("user"), Self.name($0)) }, uniquingKeysWith: { first, _ in first })
        let person = { (id: JSONValue?) in
            id?.stringValue.map { names[$0] ?? $0 } ?? "the server"
        }
        var parts = [Self.summary(of: call, person).text(indent: "")]
        parts.append(Self.participants(of: call).text)
        parts.append(Self.legs(of: call, person).text)
        if !call.list("quality").isEmpty { parts.append(Self.quality(of: call, person).text) }
        parts.append(Self.timeline(of: call, person).text)
        parts.append(Self.diagnosis(of: call))
        return parts.filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    private static func summary(of call: JSONValue, _ person: (JSONValue?) -> String) -> Facts {
        var facts = Facts()
        facts.add("call", call.cell("id"))
        facts.add("room", call.cell("room"))
        facts.add("made", Self.time(call["createdAt"]) + " UTC by " + person(call["initiator"]))
        if call["state"] == .string("ended") {
            let inferred = call["inferred"] == .bool(true) ? ", inferred" : ""
            let end = "\(call.cell("endReason")), by \(person(call["endedBy"]))\(inferred)"
            facts.add("ended", "\(Self.time(call["endedAt"])) UTC as \(end)")
        } else {
            facts.add("state", call.cell("state"))
        }
        facts.add("lasted", Self.span(call["durationSeconds"]))
        facts.add(
            "set-up",
            "answered \(Self.milliseconds(call["offerToAnswerMs"])), "
                + "connected \(Self.milliseconds(call["offerToConnectedMs"])) after the offer")
        facts.add("wires", Self.names(call["transports"]))
        facts.add("candidates", Self.names(call["candidateTypes"]))
        facts.add("relayed", call.cell("relayed"))
        let counts = ["delivered", "expired", "dropped", "retried"].map { name in
            "\(call["counts"]?.cell(name) ?? "-") \(name)"
        }
        facts.add("counts", counts.joined(separator: ", "))
        return facts
    }

    private static func participants(of call: JSONValue) -> Table {
        Table(
            headings: ["participant", "state", "joined", "left", "connection", "wire"],
            rows: call.list("participants").map { participant in
                [
                    Self.name(participant), participant.cell("state"), Self.time(participant["joinedAt"]),
                    Self.time(participant["leftAt"]), participant.cell("connection"), participant.cell("transport"),
                ]
            })
    }

    private static func legs(of call: JSONValue, _ person: (JSONValue?) -> String) -> Table {
        Table(
            headings: ["leg of", "device", "wire", "joined", "left", "because", "candidates"],
            rows: call.list("legs").map { leg in
                [
                    person(leg["user"]), leg.cell("device"), leg.cell("transport"), Self.time(leg["joinedAt"]),
                    Self.time(leg["leftAt"]), leg.cell("endReason"), Self.names(leg["candidateTypes"]),
                ]
            })
    }

    private static func quality(of call: JSONValue, _ person: (JSONValue?) -> String) -> Table {
        Table(
            headings: ["connection of", "to", "path", "reports", "rtt ms (worst)", "loss (worst)"],
            rows: call.list("quality").map { quality in
                let metric = { (name: String) in
                    let summary = quality["metrics"]?[name]
                    return summary.map { "\(Self.decimal($0["mean"])) (\(Self.decimal($0["worst"])))" } ?? "-"
                }
                return [
                    person(quality["user"]), quality["peer"] == .null ? "-" : person(quality["peer"]),
                    "\(quality.cell("localCandidateType")) to \(quality.cell("remoteCandidateType"))",
                    quality.cell("reportCount"), metric("rttMs"), metric("packetLoss"),
                ]
            })
    }

    private static func timeline(of call: JSONValue, _ person: (JSONValue?) -> String) -> Table {
        let start = call["createdAt"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        return Table(
            headings: ["after", "what", "who", "details"],
            rows: call.list("timeline").map { entry in
                let at = entry["at"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
                var after = "-"
                if let start, let at {
                    after = "+\((Double(at.duration(since: start).milliseconds) / 1000).text(digits: 3)) s"
                }
                let details = (entry["data"]?.sortedMembers ?? []).map { name, _ in
                    let value = entry["data"]?.cell(name) ?? ""
                    return "\(name) \(["to", "by"].contains(name) ? person(.string(value)) : value)"
                }
                return [
                    after, entry.cell("kind"), entry["user"] == .null ? "-" : person(entry["user"]),
                    details.joined(separator: ", "),
                ]
            })
    }

    private static func diagnosis(of call: JSONValue) -> String {
        guard let diagnosis = call["diagnosis"], diagnosis != .null else { return "" }
        let facts = diagnosis.list("facts").compactMap(\.stringValue).map { "  - " + Table.printable($0) }
        return
            ([
                "WHY IT FAILED: " + Table.printable(diagnosis.cell("summary")) + " (\(diagnosis.cell("code")))"
            ] + facts + ["  What to do: " + Table.printable(diagnosis.cell("advice"))]).joined(separator: "\n")
    }

    // MARK: Statistics

    /// Buckets with calls, then groups, then all of it.
    static func statistics(_ answer: JSONValue) -> String {
        let isHourly = answer["bucket"] == .string("hour")
        let buckets = answer.list("buckets").filter { $0["calls"] != .integer(0) }.map { bucket in
            Self.figures(bucket, named: String(Self.time(bucket["start"]).prefix(isHourly ? 16 : 10)))
        }
        var parts: [String] = []
        let columns = [
            "calls", "live", "answered", "failed", "relayed", "answer p50/p90", "connect p50/p90", "lasts p50/p90",
        ]
        if !buckets.isEmpty {
            parts.append(Table(headings: [answer.cell("bucket") + " (utc)"] + columns, rows: buckets).text)
        }
        var groups = answer.list("groups").map { group in
            Self.figures(group, named: group["name"]?.stringValue ?? group.cell("group"))
        }
        if let others = answer["otherGroups"], others != .null {
            groups.append(Self.figures(others, named: "(others)"))
        }
        if !groups.isEmpty {
            parts.append(Table(headings: [answer.cell("groupBy")] + columns, rows: groups).text)
        }
        if let total = answer["total"] {
            parts.append(Table(headings: ["all"] + columns, rows: [Self.figures(total, named: "total")]).text)
        }
        return parts.joined(separator: "\n\n")
    }

    private static func figures(_ sum: JSONValue, named name: String) -> [String] {
        let share = { (member: String) in
            switch sum[member] {
            case .number(let value)?: (value * 100).text(digits: 1) + " %"
            case .integer(let value)?: (Double(value) * 100).text(digits: 0) + " %"
            default: "-"
            }
        }
        let percentiles = { (member: String, text: (JSONValue?) -> String) in
            guard let found = sum[member], found != .null else { return "-" }
            return "\(text(found["p50"])) / \(text(found["p90"]))"
        }
        return [
            name, sum.cell("calls"), sum.cell("live"), share("answerRate"), share("failureRate"), share("relayRate"),
            percentiles("offerToAnswerMs", Self.milliseconds), percentiles("offerToConnectedMs", Self.milliseconds),
            percentiles("durationSeconds", Self.span),
        ]
    }

    // MARK: Values

    /// `2026-11-22 13:24:37`.
    private static func time(_ value: JSONValue?) -> String {
        value?.stringValue.map { String($0.prefix(19)).replacing("T", with: " ") } ?? "-"
    }

    /// `42 s`, `12:05`, `1:02:03`.
    private static func span(_ value: JSONValue?) -> String {
        guard case .integer(let seconds)? = value else { return "-" }
        let padded = { (number: Int64) in number < 10 ? "0\(number)" : "\(number)" }
        if seconds < 60 { return "\(seconds) s" }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
        return hours == 0
            ? "\(minutes):\(padded(seconds % 60))" : "\(hours):\(padded(minutes)):\(padded(seconds % 60))"
    }

    private static func decimal(_ value: JSONValue?) -> String {
        switch value {
        case .integer(let number)?: String(number)
        case .number(let number)?: number.text(digits: 3)
        default: "-"
        }
    }

    private static func milliseconds(_ value: JSONValue?) -> String {
        guard case .integer(let number)? = value else { return "-" }
        return "\(number) ms"
    }

    private static func names(_ value: JSONValue?) -> String {
        guard case .array(let names)? = value, !names.isEmpty else { return "-" }
        return names.compactMap(\.stringValue).joined(separator: ", ")
    }
}

/// Names and values below one another.
private struct Facts {
    private var lines: [(name: String, value: String)] = []

    mutating func add(_ name: String, _ value: String) { self.lines.append((name, value)) }

    func text(indent: String) -> String {
        let width = self.lines.map(\.name.count).max() ?? 0
        return self.lines.map { name, value in
            indent + name + String(repeating: " ", count: width - name.count + 2) + Table.printable(value)
        }.joined(separator: "\n")
    }
}

extension JSONValue {
    /// The items of a member that is a list; none for anything else.
    fileprivate func list(_ key: String) -> [JSONValue] {
        guard case .array(let items)? = self[key] else { return [] }
        return items
    }

    fileprivate var sortedMembers: [(String, JSONValue)] {
        guard case .object(let members) = self else { return [] }
        return members.sorted { $0.key < $1.key }
    }
}
