/// Comma-separated values as RFC 4180 has them, safe to open in a spreadsheet. Own code, as no package at hand writes
/// them, and none guards against formulas.
package enum CSV {
    /// One record with its CRLF.
    package static func line(_ fields: [String]) -> String { fields.map(self.field).joined(separator: ",") + "\r\n" }

    /// Quoted where it must be. A text that a spreadsheet would take for a formula (`=`, `+`, `-`, `@`, a tab or a line
    /// end first, as OWASP lists them) gets an apostrophe before it.
    static func field(_ text: String) -> String {
        let isFormula = text.unicodeScalars.first.map {
            "=+-@\t\r\n\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}".unicodeScalars.contains($0)
        }
        let safe = isFormula == true ? "'" + text : text
        let mustQuote = safe.utf8.contains { byte in
            byte == UInt8(ascii: "\"") || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\r")
                || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: ";")
        }
        return mustQuote ? "\"\(safe.replacing("\"", with: "\"\""))\"" : safe
    }
}
