import Core
import Foundation

/// The contract's schemas, and the part of JSON Schema that they use.
///
/// Stricter than JSON Schema: a member that a closed object's schema does not name is a difference, as it is a field
/// that the server shows and the contract keeps secret.
struct ContractSchemas {
    let document: JSONValue

    /// What a `$ref` points to; anything else is itself.
    func resolved(_ value: JSONValue) -> JSONValue {
        guard let reference = value["$ref"]?.stringValue else { return value }
        let target = reference.split(separator: "/").dropFirst().reduce(self.document) { node, key in
            node[String(key)] ?? .null
        }
        return self.resolved(target)
    }

    /// Where the value differs from the schema, each with its path; empty if nowhere.
    func differences(in value: JSONValue, _ schema: JSONValue, at path: String = "$") -> [String] {
        let schema = self.resolved(schema)
        if let parts = schema["allOf"]?.elements {
            let merged = parts.map { self.resolved($0) }
            let names = Set(merged.flatMap { ($0["properties"]?.members ?? [:]).keys })
            return merged.flatMap { self.differences(in: value, $0, at: path, knowing: names) }
        }
        if let choices = schema["oneOf"]?.elements {
            return self.differences(in: value, oneOf: choices, schema, at: path)
        }
        return self.differences(in: value, schema, at: path, knowing: [])
    }

    private func differences(
        in value: JSONValue, oneOf choices: [JSONValue], _ schema: JSONValue, at path: String
    ) -> [String] {
        if let discriminator = schema["discriminator"], let name = discriminator["propertyName"]?.stringValue {
            guard let tag = value[name]?.stringValue, let target = discriminator["mapping"]?[tag] else {
                return ["\(path).\(name) is no value of the discriminator: \(value[name] ?? .null)"]
            }
            return self.differences(in: value, .object(["$ref": target]), at: path)
        }
        let attempts = choices.map { self.differences(in: value, $0, at: path) }
        let fitting = attempts.count(where: \.isEmpty)
        if fitting == 1 { return [] }
        return ["\(path) fits \(fitting) of \(choices.count) schemas"] + (attempts.min { $0.count < $1.count } ?? [])
    }

    private func differences(
        in value: JSONValue, _ schema: JSONValue, at path: String, knowing others: Set<String>
    ) -> [String] {
        var differences: [String] = []
        if let allowed = schema["enum"]?.elements, !allowed.contains(value) {
            differences.append("\(path) is \(value), not one of \(allowed)")
        }
        let types = schema["type"].map { $0.stringValue.map { [$0] } ?? $0.elements.compactMap(\.stringValue) }
        if let types, !types.contains(where: { value.isJSON($0) }) {
            return differences + ["\(path) is \(value), not \(types)"]
        }
        switch value {
        case .string(let text): differences += Self.textDifferences(in: text, schema, at: path)
        case .integer(let number): differences += Self.rangeDifferences(in: Double(number), schema, at: path)
        case .number(let number): differences += Self.rangeDifferences(in: number, schema, at: path)
        case .array(let items):
            guard let schema = schema["items"] else { break }
            for (index, item) in items.enumerated() {
                differences += self.differences(in: item, schema, at: "\(path)[\(index)]")
            }
        case .object(let members): differences += self.memberDifferences(in: members, schema, at: path, knowing: others)
        case .null, .bool: break
        }
        return differences
    }

    private func memberDifferences(
        in members: [String: JSONValue], _ schema: JSONValue, at path: String, knowing others: Set<String>
    ) -> [String] {
        let properties = schema["properties"]?.members ?? [:]
        var differences: [String] = []
        for name in (schema["required"]?.elements ?? []).compactMap(\.stringValue) where members[name] == nil {
            differences.append("\(path).\(name) is missing")
        }
        for (name, value) in members {
            if let property = properties[name] {
                differences += self.differences(in: value, property, at: "\(path).\(name)")
            } else if !properties.isEmpty, !others.contains(name), schema["additionalProperties"] == nil {
                differences.append("\(path).\(name) is not in the contract")
            }
        }
        return differences
    }

    private static func textDifferences(in text: String, _ schema: JSONValue, at path: String) -> [String] {
        var differences: [String] = []
        let count = Int64(text.unicodeScalars.count)
        if case .integer(let bound)? = schema["minLength"], count < bound {
            differences.append("\(path) is shorter than \(bound)")
        }
        if case .integer(let bound)? = schema["maxLength"], count > bound {
            differences.append("\(path) is longer than \(bound)")
        }
        if let pattern = schema["pattern"]?.stringValue, text.range(of: pattern, options: .regularExpression) == nil {
            differences.append("\(path) is \(text), which is not \(pattern)")
        }
        if schema["format"] == .string("date-time"),
            text.range(of: #"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"#, options: .regularExpression) == nil
        {
            differences.append("\(path) is \(text), which is no time in UTC with milliseconds")
        }
        return differences
    }

    private static func rangeDifferences(in number: Double, _ schema: JSONValue, at path: String) -> [String] {
        let bound = { (name: String) -> Double? in
            switch schema[name] {
            case .integer(let value): Double(value)
            case .number(let value): value
            default: nil
            }
        }
        if let least = bound("minimum"), number < least { return ["\(path) is \(number), under \(least)"] }
        if let most = bound("maximum"), number > most { return ["\(path) is \(number), over \(most)"] }
        return []
    }
}

extension JSONValue {
    /// Whether it is of a JSON Schema type.
    fileprivate func isJSON(_ type: String) -> Bool {
        switch (self, type) {
        case (.null, "null"), (.bool, "boolean"), (.integer, "integer"), (.integer, "number"), (.number, "number"),
            (.string, "string"), (.array, "array"), (.object, "object"):
            true
        default: false
        }
    }
}
