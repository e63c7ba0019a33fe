import COpenAPI
import Core
import Foundation
import Yams

/// The contract as the binary carries it, for tests that compare the server with it.
struct Contract {
    /// One operation: what it is called, and all that it may answer.
    struct Operation {
        let id: String
        let method: String
        /// As in the contract: `/v1/rooms/{room}`.
        let path: String
        /// Slugs, in the order of the contract.
        let problems: [String]
        /// Of API keys; any of them suffices, and none if it is not for keys.
        let scopes: [String]
        let statuses: Set<Int>
        /// Whether it refuses a request without credentials.
        let needsCredentials: Bool
        /// Media types of its body; empty if it takes none.
        let bodyMediaTypes: Set<String>
        let isBodyRequired: Bool
        fileprivate let responses: [Int: JSONValue]
    }

    let document: JSONValue
    let operations: [Operation]
    let schemas: ContractSchemas

    /// - throws: when the embedded bytes are no YAML, or not of the shape that the tests rely on.
    init() throws {
        let loaded = try Yams.load(yaml: Self.embeddedText)
        self.document = JSONValue(yaml: loaded)
        self.schemas = ContractSchemas(document: self.document)
        self.operations = try Self.operations(in: self.document, self.schemas)
    }

    /// The file as it was embedded.
    static var embeddedText: String {
        var size = 0
        guard let bytes = comblang_openapi(&size) else { return "" }
        return String(decoding: UnsafeBufferPointer(start: bytes, count: size), as: UTF8.self)
    }

    func operation(_ method: String, _ path: String) -> Operation? {
        self.operations.first { $0.method == method && $0.matches(path) }
    }

    /// Every way in which an answer differs from what the contract says of the operation; empty if in none.
    ///
    /// - parameter body: of a stream its whole text.
    func differences(in answer: ContractAnswer, to operation: Operation) -> [String] {
        guard let response = operation.responses[answer.status] else {
            return ["status \(answer.status) is not in the contract: \(answer.text)"]
        }
        var differences = self.headerDifferences(in: answer, response)
        let content = response["content"]?.members ?? [:]
        if let mediaType = answer.mediaType {
            guard let schema = content[mediaType]?["schema"] else {
                return differences + ["media type \(mediaType) is not in the contract"]
            }
            for value in answer.values {
                differences += self.schemas.differences(in: value, schema)
            }
        } else if !content.isEmpty {
            differences.append("a body of \(content.keys.sorted()) is missing")
        }
        if answer.status >= 400 { differences += Self.problemDifferences(in: answer, operation) }
        return differences
    }

    private func headerDifferences(in answer: ContractAnswer, _ response: JSONValue) -> [String] {
        let headers = response["headers"]?.members ?? [:]
        var differences: [String] = []
        for (name, header) in headers {
            let header = self.schemas.resolved(header)
            if let value = answer.headers[name.lowercased()] {
                guard let schema = header["schema"], schema["type"] != .string("integer") else { continue }
                differences += self.schemas.differences(in: .string(value), schema)
            } else if header["required"] == .bool(true) {
                differences.append("header \(name) is missing")
            }
        }
        // Headers of ours that the contract does not name.
        let ours = ["event-cursor", "link", "location", "retry-after", "ratelimit", "ratelimit-policy"]
        for name in ours where answer.headers[name] != nil {
            if !headers.keys.contains(where: { $0.lowercased() == name }) {
                differences.append("header \(name) is not in the contract")
            }
        }
        return differences
    }

    private static func problemDifferences(in answer: ContractAnswer, _ operation: Operation) -> [String] {
        guard let slug = answer.values.first?["type"]?.stringValue?.dropFirst("/problems/".count) else {
            return ["the body is no problem: \(answer.text)"]
        }
        return operation.problems.contains(String(slug)) ? [] : ["slug \(slug) is not in x-problems"]
    }

    private static func operations(in document: JSONValue, _ schemas: ContractSchemas) throws -> [Operation] {
        var operations: [Operation] = []
        for (path, item) in document["paths"]?.members ?? [:] {
            for method in ["get", "put", "post", "patch", "delete"] {
                guard let operation = item[method] else { continue }
                guard let id = operation["operationId"]?.stringValue else { throw ContractError.noOperationId(path) }
                let responses = (operation["responses"]?.members ?? [:]).map { ($0, schemas.resolved($1)) }
                let security = operation["security"]?.elements ?? [.object(["bearer": .array([])])]
                operations.append(
                    Operation(
                        id: id, method: method.uppercased(), path: path,
                        problems: (operation["x-problems"]?.elements ?? []).compactMap(\.stringValue),
                        scopes: (operation["x-scopes"]?.elements ?? []).compactMap(\.stringValue),
                        statuses: Set(responses.compactMap { Int($0.0) }),
                        needsCredentials: !security.isEmpty && !security.contains(.object([:])),
                        bodyMediaTypes: Set((operation["requestBody"]?["content"]?.members ?? [:]).keys),
                        isBodyRequired: operation["requestBody"]?["required"] == .bool(true),
                        responses: Dictionary(
                            responses.compactMap { key, value in Int(key).map { ($0, value) } },
                            uniquingKeysWith: { first, _ in first })))
            }
        }
        return operations.sorted { ($0.path, $0.method) < ($1.path, $1.method) }
    }
}

enum ContractError: Error {
    case noOperationId(String)
}

extension Contract.Operation {
    var isForAdmins: Bool { self.path.hasPrefix("/v1/admin/") || self.path.hasPrefix("/v1/webhooks") }

    /// Whether a request's path is one of this operation's.
    func matches(_ path: String) -> Bool {
        let own = self.path.split(separator: "/")
        let other = path.split(separator: "/")
        return own.count == other.count && zip(own, other).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
    }
}

/// An answer of the server, as a test received it.
struct ContractAnswer {
    let status: Int
    /// Names in lower case.
    let headers: [String: String]
    let text: String

    /// Of its `Content-Type`, without parameters.
    var mediaType: String? {
        self.headers["content-type"]?.split(separator: ";").first.map { $0.trimmingCharacters(in: .whitespaces) }
    }

    /// What the body holds: one JSON value, one for each line (NDJSON) or each frame (SSE), else the text.
    var values: [JSONValue] {
        switch self.mediaType {
        case "application/json", "application/problem+json":
            [Self.json(self.text)]
        case "application/x-ndjson":
            self.text.split(separator: "\n").filter { !$0.allSatisfy(\.isWhitespace) }.map { Self.json(String($0)) }
        case "application/yaml":
            [JSONValue(yaml: (try? Yams.load(yaml: self.text)) ?? nil)]
        case "text/event-stream":
            ServerSentEvent.frames(in: self.text).map(\.value)
        default:
            [.string(self.text)]
        }
    }

    var value: JSONValue { self.values.first ?? .null }

    static func json(_ text: String) -> JSONValue {
        (try? JSON.decode(JSONValue.self, from: text)) ?? .string("not JSON: \(text)")
    }
}

/// One frame of an event stream, as the WHATWG specification reads it.
struct ServerSentEvent {
    var fields: [String: String] = [:]

    /// As the contract's schema `ServerSentEvent`.
    var value: JSONValue {
        .object(
            Dictionary(
                uniqueKeysWithValues: self.fields.map { name, text in
                    (name, name == "retry" ? Int64(text).map { .integer($0) } ?? .string(text) : .string(text))
                }))
    }

    /// Frames that carry data; comments and the blank frames that they leave are none.
    static func frames(in text: String) -> [ServerSentEvent] {
        text.components(separatedBy: "\n\n").compactMap { block in
            var frame = ServerSentEvent()
            for line in block.split(separator: "\n") where !line.hasPrefix(":") {
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                let value = parts.count == 2 ? parts[1] : ""
                frame.fields[String(parts[0])] = String(value.hasPrefix(" ") ? value.dropFirst() : value)
            }
            return frame.fields["data"] == nil ? nil : frame
        }
    }
}

extension JSONValue {
    /// What Yams made of a document: tags are resolved, so that a quoted `'200'` is a string.
    init(yaml value: Any?) {
        switch value {
        case let value as Bool: self = .bool(value)
        case let value as Int: self = .integer(Int64(value))
        case let value as Double: self = .number(value)
        case let value as String: self = .string(value)
        case let value as [Any]: self = .array(value.map { JSONValue(yaml: $0) })
        case let value as [AnyHashable: Any]:
            self = .object(
                Dictionary(
                    value.map { ("\($0.key)", JSONValue(yaml: $0.value)) }, uniquingKeysWith: { first, _ in first }))
        default: self = .null
        }
    }

    /// The members of an object; empty for anything else.
    var members: [String: JSONValue] {
        if case .object(let members) = self { members } else { [:] }
    }

    /// The items of an array; empty for anything else.
    var elements: [JSONValue] {
        if case .array(let elements) = self { elements } else { [] }
    }
}
