/// Figures in the text format of Prometheus (version 0.0.4), each family with its help and type before its samples.
///
/// By hand, as no package that can be had here writes it.
struct MetricsText {
    enum Kind: String { case gauge, counter }

    private(set) var text = ""

    /// Appends a family; without samples nothing.
    ///
    /// - parameters:
    ///   - name: `[a-z_]+`, with its unit last; counters end in `_total`.
    ///   - samples: values by labels. Values of labels may be any text.
    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [([(String, String)], Double)]) {
        guard !samples.isEmpty else { return }
        self.text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, value) in samples {
            let pairs = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
            let number = Int64(exactly: value).map(String.init) ?? String(value)
            self.text += "\(name)\(pairs.isEmpty ? "" : "{\(pairs)}") \(number)\n"
        }
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
