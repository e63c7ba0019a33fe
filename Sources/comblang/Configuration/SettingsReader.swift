import Configuration
import Core
import Foundation

/// Reads settings from flags, environment and file, in this order of precedence, and collects what is wrong with them.
struct SettingsReader {
    /// What is wrong so far, each naming its setting.
    private(set) var faults: [String] = []
    /// What was read so far, by the file's spelling of its name.
    private(set) var inForce: [(name: String, value: String)] = []
    private let providers: [any ConfigProvider]
    private let fileMembers: [String]

    /// - parameters:
    ///   - flags: given flags by the file's spelling of their names, as typed.
    ///   - environment: the process's; only `COMBLANG_…` counts, and empty values do not.
    ///   - file: the path of `--config`.
    /// - throws: ``CommandFailure`` when the file cannot be read or is no JSON object.
    init(flags: [String: String], environment: [String: String], file: String?) async throws(CommandFailure) {
        let prefix = "COMBLANG_"
        let set = environment.filter { $0.key.hasPrefix(prefix) && !$0.value.isEmpty }
        let variables = set.map { (String($0.key.dropFirst(prefix.count)), $0.value) }
        // Flags are texts by name, just as variables are: the same provider reads both.
        var providers: [any ConfigProvider] = [
            EnvironmentVariablesProvider(
                environmentVariables: Dictionary(
                    uniqueKeysWithValues: flags.map { (Self.variable($0.key), $0.value) })),
            EnvironmentVariablesProvider(environmentVariables: Dictionary(uniqueKeysWithValues: variables)),
        ]
        var members: [String] = []
        if let file {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw CommandFailure("bad setting: --config: cannot read \(file)")
            }
            guard case .object(let object)? = try? JSONDecoder().decode(JSONValue.self, from: data) else {
                throw CommandFailure("bad setting: --config: \(file) is not a JSON object")
            }
            members = object.keys.sorted()
            do {
                let path = InMemoryProvider(values: ["filePath": ConfigValue(.string(file), isSecret: false)])
                providers.append(try await FileProvider<JSONSnapshot>(config: ConfigReader(provider: path)))
            } catch {
                throw CommandFailure(
                    "bad setting: --config: the members of \(file) must be texts, numbers or arrays of texts")
            }
        }
        self.providers = providers
        self.fileMembers = members
    }

    /// A whole number within bounds.
    mutating func integer(_ name: String, in range: ClosedRange<Int>, default value: Int) -> Int {
        let found = try? self.reader(name, default: .int(value)).requiredInt(forKey: ConfigKey(name))
        guard let found, range.contains(found) else {
            self.fault(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            return value
        }
        self.inForce.append((name, String(found)))
        return found
    }

    /// A text that is not empty.
    mutating func text(_ name: String, default value: String) -> String {
        let found = try? self.reader(name, default: .string(value)).requiredString(forKey: ConfigKey(name))
        guard let found, !found.isEmpty, !found.contains("\0") else {
            self.fault(name, "must be a text that is not empty")
            return value
        }
        self.inForce.append((name, found))
        return found
    }

    /// A text that may be left out: `nil` if it was.
    ///
    /// - parameter isSecret: keeps it out of the log, which tells only whether it is set.
    mutating func optionalText(_ name: String, isSecret: Bool = false) -> String? {
        guard let found = try? self.reader(name, default: .string("")).requiredString(forKey: ConfigKey(name)),
            !found.contains("\0")
        else {
            self.fault(name, "must be a text")
            return nil
        }
        self.inForce.append((name, isSecret && !found.isEmpty ? "(not shown)" : found))
        return found.isEmpty ? nil : found
    }

    /// Whether the file of `--config` has this setting, whatever wins over it.
    func isInFile(_ name: String) -> Bool { self.fileMembers.contains(name) }

    /// Says what is wrong with a setting that was read.
    mutating func reject(_ name: String, _ text: String) { self.fault(name, text) }

    /// One of an enumeration's values.
    mutating func choice<Value: RawRepresentable<String> & CaseIterable>(_ name: String, default value: Value) -> Value
    {
        let text = try? self.reader(name, default: .string(value.rawValue)).requiredString(forKey: ConfigKey(name))
        guard let text, let found = Value(rawValue: text) else {
            self.fault(name, "must be one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
            return value
        }
        self.inForce.append((name, text))
        return found
    }

    /// A list of texts: in flags and variables separated by commas, in the file an array.
    ///
    /// - parameter fault: what is wrong with an item; `nil` for nothing.
    mutating func list(
        _ name: String, default value: [String], fault: (_ item: String) -> String?
    ) -> [String] {
        let reader = self.reader(name, default: .stringArray(value))
        guard let found = try? reader.requiredStringArray(forKey: ConfigKey(name)) else {
            self.fault(name, "must be a list of texts")
            return value
        }
        let items = found.filter { !$0.isEmpty }
        if let text = items.lazy.compactMap(fault).first {
            self.fault(name, text)
            return value
        }
        self.inForce.append((name, items.joined(separator: ",")))
        return items
    }

    /// Members of the file that no setting read: a misspelt one would be ignored in silence.
    mutating func rejectUnknownMembers() {
        let known = Set(self.inForce.map(\.name))
        for member in self.fileMembers
        where !known.contains(member) && !self.faults.contains(where: { $0.hasPrefix("\(member) ") }) {
            self.faults.append("\(member) (in the file of --config) is not a setting")
        }
    }

    /// The default is the last provider, so that a setting that throws is there and wrong.
    private func reader(_ name: String, default value: ConfigContent) -> ConfigReader {
        let defaults = InMemoryProvider(values: [AbsoluteConfigKey([name]): ConfigValue(value, isSecret: false)])
        return ConfigReader(providers: self.providers + [defaults])
    }

    private mutating func fault(_ name: String, _ text: String) {
        let variable = Self.variable(name)
        let flag = variable.lowercased().replacing("_", with: "-")
        self.faults.append("\(name) \(text) (--\(flag), COMBLANG_\(variable))")
    }

    /// `streamRotateSeconds` → `STREAM_ROTATE_SECONDS`.
    private static func variable(_ name: String) -> String {
        name.reduce(into: "") { result, character in
            if character.isUppercase { result.append("_") }
            result += character.uppercased()
        }
    }
}
