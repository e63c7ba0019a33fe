import COpenAPI
import Core
package import Foundation
import Yams

/// The contract as embedded in the binary.
package enum Contract {
    package static let yaml: Data = {
        var size = 0
        let bytes = comblang_openapi(&size)
        return bytes.map { Data(bytes: $0, count: size) } ?? Data()
    }()

    /// The same as JSON, with its members in the document's order, which is the order to read them in.
    package static let json = Result { () throws -> Data in
        let node = try Yams.compose(yaml: String(decoding: Self.yaml, as: UTF8.self))
        return Data((try node?.jsonText ?? "null").utf8)
    }

    /// Names of the operations that list a problem, by slug, in the document's order.
    static let operationsByProblem: [String: [String]] = {
        var found: [String: [String]] = [:]
        let node = try? Yams.compose(yaml: String(decoding: Self.yaml, as: UTF8.self))
        for (_, item) in node?["paths"]?.mapping ?? [:] {
            for (_, operation) in item.mapping ?? [:] {
                guard let name = operation["operationId"]?.string else { continue }
                for slug in operation["x-problems"]?.sequence ?? [] {
                    found[slug.string ?? "", default: []].append(name)
                }
            }
        }
        return found
    }()
}

extension Node {
    /// As JSON, by the rules of YAML's core schema. Own code, as Foundation's objects forget the order of members.
    fileprivate var jsonText: String {
        get throws {
            switch self {
            case .mapping(let mapping):
                let members = try mapping.map { key, value in
                    try "\(JSON.text(key.string ?? "")):\(value.jsonText)"
                }
                return "{\(members.joined(separator: ","))}"
            case .sequence(let sequence): return "[\(try sequence.map { try $0.jsonText }.joined(separator: ","))]"
            case .scalar(let scalar) where scalar.style == .plain:
                if let value = self.bool { return value ? "true" : "false" }
                if let value = self.int { return String(value) }
                if let value = self.float { return try JSON.text(value) }
                return self.null == nil ? try JSON.text(scalar.string) : "null"
            case .scalar(let scalar): return try JSON.text(scalar.string)
            case .alias: return "null"
            }
        }
    }
}
