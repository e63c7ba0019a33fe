import Core

/// Rows under headings, in columns as wide as their widest cell, for people.
struct Table {
    let headings: [String]
    var rows: [[String]] = []

    /// Two spaces between columns, nothing behind the last one; the headings in capitals.
    var text: String {
        let lines = ([self.headings.map { $0.uppercased() }] + self.rows).map { $0.map(Self.printable) }
        let widths = self.headings.indices.map { column in
            lines.map { $0[column].unicodeScalars.count }.max() ?? 0
        }
        return lines.map { line in
            let cells = zip(line, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.unicodeScalars.count)
            }
            let padded = cells.joined(separator: "  ")
            return String(padded.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }

    /// Names and titles come from strangers: control characters could move the cursor or rename the window.
    static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .lineSeparator, .paragraphSeparator, .format: "\u{FFFD}"
                    default: scalar
                    }
                }))
    }
}

extension JSONValue {
    /// A member as a cell of a table: `-` for null or missing, `yes`/`no` for booleans.
    func cell(_ key: String) -> String {
        switch self[key] {
        case nil, .null: "-"
        case .bool(let value): value ? "yes" : "no"
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .string(let value): value
        case .array(let values): String(values.count)
        case .object: "{…}"
        }
    }
}
