import Core

/// One thing that `comblang doctor` looked at, and what it found, in words.
struct Finding: Hashable, Sendable {
    /// How it is.
    enum Status: String, Sendable, CaseIterable {
        case ok
        /// It works, but not as well or as safely as it should.
        case warning
        /// It does not work.
        case failed
        /// It could not be looked at, which says nothing about it.
        case skipped
    }

    /// What kind of thing it is.
    enum Area: String, Sendable, CaseIterable {
        case configuration
        case data
        case stun
        case turn
    }

    let area: Area
    /// Which one: a setting, a file, a URL.
    let subject: String
    let status: Status
    /// A sentence without a full stop.
    let text: String
    /// What to do about it; `nil` when there is nothing to do.
    var advice: String?

    init(_ area: Area, _ subject: String, _ status: Status, _ text: String, advice: String? = nil) {
        self.area = area
        self.subject = subject
        self.status = status
        self.text = text
        self.advice = advice
    }

    var json: JSONValue {
        .object([
            "area": .string(self.area.rawValue), "subject": .string(self.subject),
            "status": .string(self.status.rawValue), "text": .string(self.text),
            "advice": self.advice.map(JSONValue.string) ?? .null,
        ])
    }

    /// For people: one line, and the advice on a line of its own.
    var lines: String {
        let name = self.status.rawValue.uppercased()
        let padded = name + String(repeating: " ", count: max(0, 7 - name.count))
        let line = Table.printable("\(padded)  \(self.subject): \(self.text)")
        return line + (self.advice.map { "\n         -> " + Table.printable($0) } ?? "")
    }
}
