import Core

/// The figures of a finished load test.
struct LoadReport: Sendable {
    /// What was used up between two moments.
    struct Cost: Sendable {
        var clientMicroseconds = 0.0
        /// `nil`: no server process was named.
        var serverMicroseconds: Double?
    }

    let plan: LoadPlan
    /// Streams that were open when the measuring began.
    var opened = 0
    /// False: something did not come, or did not open, in time.
    var isComplete = true
    var faults = Faults()
    var tally = Tally()
    var posts = PostTally()
    /// From the first post (or, in a storm, the first connection) to the last event; without subscribers to the last
    /// answer. In seconds.
    var seconds = 0.0
    var cost = Cost()
    /// Memory of the server before and after the streams were opened, in KiB; `nil`: not measured.
    var memoryBefore: Double?
    var memoryOpen: Double?
    /// With `--messages-away`: from the first connection to the last missed event, in seconds.
    var secondsUntilBack: Double?

    private static let quantiles: [(name: String, share: Double)] = [
        ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1),
    ]

    /// What costs are told for.
    private var units: Int { self.tally.events > 0 ? self.tally.events : self.posts.answered }

    private var rate: Double { self.seconds > 0 ? Double(self.units) / self.seconds : 0 }

    /// KiB of the server's memory for each stream.
    private var memoryPerStream: Double? {
        guard let memoryBefore, let memoryOpen, self.opened > 0 else { return nil }
        return (memoryOpen - memoryBefore) / Double(self.opened)
    }

    /// Share of one processor that the server used.
    private var serverShare: Double? { self.cost.serverMicroseconds.map { $0 / 1e6 / max(self.seconds, 1e-9) } }

    // MARK: For scripts

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "mode": .string(self.plan.mode.rawValue), "wire": .string(self.plan.wire.rawValue),
            "subscribers": .integer(Int64(self.plan.subscribers)), "rooms": .integer(Int64(self.plan.rooms)),
            "window": .integer(Int64(self.plan.window)), "rate": .number(self.plan.rate),
            "size": .integer(Int64(self.plan.size)), "complete": .bool(self.isComplete),
            "opened": .integer(Int64(self.opened)), "seconds": .number(self.seconds),
            "events": .integer(Int64(self.tally.events)), "bytes": .integer(Int64(self.tally.bytes)),
            "answered": .integer(Int64(self.posts.answered)), "perSecond": .number(self.rate),
            "openingMs": Self.json(self.tally.opening), "latencyMs": Self.json(self.tally.latency),
            "requestMs": Self.json(self.posts.latency), "behindScheduleMs": Self.json(self.posts.lag),
            "catchUpMs": Self.json(self.tally.catchUp), "endings": Self.json(self.tally.endings),
            "errors": Self.json(self.posts.errors), "unknownPosts": .integer(Int64(self.posts.unknown)),
            "lostPositions": .integer(Int64(self.tally.lostPositions)), "faults": self.faultsJSON,
            "clientMicrosecondsEach": .number(self.perUnit(self.cost.clientMicroseconds)),
        ]
        members["serverMicrosecondsEach"] = self.cost.serverMicroseconds.map { .number(self.perUnit($0)) }
        members["serverCPUs"] = self.serverShare.map { .number($0) }
        members["serverKiBPerStream"] = self.memoryPerStream.map { .number($0) }
        members["serverMemoryKiB"] = self.memoryOpen.map { .number($0) }
        members["secondsUntilBack"] = self.secondsUntilBack.map { .number($0) }
        return .object(members)
    }

    private var faultsJSON: JSONValue {
        .object([
            "missing": .integer(Int64(self.faults.missing)), "gaps": .integer(Int64(self.faults.gaps)),
            "duplicates": .integer(Int64(self.faults.duplicates)), "disorder": .integer(Int64(self.faults.disorder)),
            "differingOrders": .integer(Int64(self.faults.differingOrders)),
        ])
    }

    private static func json(_ histogram: Histogram) -> JSONValue {
        guard histogram.count > 0 else { return .null }
        let members = self.quantiles.map { ($0.name, JSONValue.number(histogram.milliseconds(at: $0.share))) }
        return .object(Dictionary(uniqueKeysWithValues: members))
    }

    private static func json(_ counts: [String: Int]) -> JSONValue { .object(counts.mapValues { .integer(Int64($0)) }) }

    private func perUnit(_ microseconds: Double) -> Double { microseconds / Double(max(self.units, 1)) }

    // MARK: For people

    var text: String {
        var lines = [self.plan.description]
        if self.plan.subscribers > 0 {
            lines.append("streams     \(self.opened) open, each in ms \(Self.text(self.tally.opening))")
        }
        if self.posts.answered > 0 {
            let name = self.plan.mode == .get ? "read        " : "posted      "
            lines.append("\(name)\(self.posts.answered), each in ms \(Self.text(self.posts.latency))")
        }
        if self.plan.rate > 0 { lines.append("schedule    behind by ms \(Self.text(self.posts.lag))") }
        let seconds = self.seconds.text(digits: 2)
        if self.tally.events > 0 {
            let perSecond = self.rate.text(digits: 0)
            lines.append("delivered   \(self.tally.events) events in \(seconds) s: \(perSecond) a second")
            if self.plan.mode == .fanout {
                lines.append("latency     from post to reader, ms \(Self.text(self.tally.latency))")
            } else {
                lines.append("caught up   each in ms \(Self.text(self.tally.catchUp))")
            }
        } else if self.posts.answered > 0 {
            lines.append("throughput  \(self.rate.text(digits: 0)) requests a second for \(seconds) s")
        }
        if let secondsUntilBack {
            lines.append(
                "returned    all at once, complete after \(secondsUntilBack.text(digits: 2)) s; each in ms "
                    + Self.text(self.tally.catchUp))
        }
        return (lines + self.costLines + self.faultLines).joined(separator: "\n")
    }

    private var costLines: [String] {
        var parts: [String] = []
        if self.units > 0 {
            let each = self.tally.events > 0 ? "an event" : "a request"
            parts.append("client \(self.perUnit(self.cost.clientMicroseconds).text(digits: 2)) µs \(each)")
            if let server = self.cost.serverMicroseconds {
                parts.append("server \(self.perUnit(server).text(digits: 2)) µs \(each)")
            }
        }
        if let serverShare { parts.append("server \((serverShare * 100).text(digits: 1)) % of a processor") }
        if let memoryPerStream { parts.append("server \(memoryPerStream.text(digits: 1)) KiB a stream") }
        return parts.isEmpty ? [] : ["CPU, memory " + parts.joined(separator: "; ")]
    }

    private var faultLines: [String] {
        var parts: [String] = []
        let counts = [
            (self.faults.missing, "missing"), (self.faults.gaps, "overtaken and lost"),
            (self.faults.duplicates, "twice"), (self.faults.disorder, "out of order"),
            (self.faults.differingOrders, "subscribers with another order"),
            (self.tally.lostPositions, "positions lost"), (self.posts.unknown, "posts without an answer"),
        ]
        for (count, name) in counts where count > 0 { parts.append("\(count) \(name)") }
        parts += self.tally.endings.sorted { $0.key < $1.key }.map { "\($0.value) × stream: \($0.key)" }
        parts += self.posts.errors.sorted { $0.key < $1.key }.map { "\($0.value) × post: \($0.key)" }
        if !self.isComplete { parts.append("INCOMPLETE") }
        return ["faults      " + (parts.isEmpty ? "none" : parts.joined(separator: "; "))]
    }

    private static func text(_ histogram: Histogram) -> String {
        self.quantiles.map { name, share in "\(name) \(histogram.milliseconds(at: share).text(digits: 2))" }
            .joined(separator: "  ")
    }
}

extension LoadPlan: CustomStringConvertible {
    /// One line that says what is measured.
    var description: String {
        let rooms = "\(self.rooms) room\(self.rooms == 1 ? "" : "s")"
        let pace = self.rate > 0 ? "\(self.rate.text(digits: 1)) messages/s" : "\(self.window) requests under way"
        let readers = "\(self.subscribers) \(self.wire.rawValue) subscribers, \(rooms)"
        return switch self.mode {
        case .fanout: "\(readers), \(pace), \(self.size) bytes each"
        case .idle: "\(readers), idle"
        case .storm: "\(readers), all at once"
        case .post: "\(pace) to \(rooms), \(self.size) bytes each"
        case .get: "\(pace): pages of 50 messages, \(rooms)"
        }
    }
}

extension Double {
    /// Rounded to so many decimal places, all of them shown.
    func text(digits: Int) -> String {
        guard self.isFinite, abs(self) < 1e15 else { return "-" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int64((abs(self) * scale).rounded())
        let sign = self < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % Int64(scale))
        return "\(sign)\(scaled / Int64(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}
