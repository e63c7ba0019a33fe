import COpenAPI
import Core
import Foundation
import Testing

/// The contract agrees with itself and with the catalogue of problems. How the server keeps it is in
/// `ContractRouteTests` and `ContractAnswerTests`.
struct ContractTests {
    let contract: Contract

    init() throws { self.contract = try Contract() }

    @Test func whatIsEmbeddedIsTheFile() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = try String(contentsOf: root.appending(path: "openapi/openapi.yaml"), encoding: .utf8)
        #expect(Contract.embeddedText == file)
    }

    @Test func slugsAreThoseOfTheCatalogue() {
        let slugs = self.contract.schemas.resolved(.object(["$ref": .string("#/components/schemas/ProblemSlug")]))
        #expect(slugs["enum"]?.elements.compactMap(\.stringValue) == Problem.Kind.allCases.map(\.rawValue))
    }

    @Test func operationsHaveDistinctNames() {
        let ids = self.contract.operations.map(\.id)
        #expect(Set(ids).count == ids.count)
        #expect(!ids.isEmpty)
    }

    /// A status without a slug, or a slug without its status, would be an answer that the contract does not tell.
    @Test func refusalsOfAnOperationAreThoseOfItsSlugs() throws {
        for operation in self.contract.operations {
            let kinds = try operation.problems.map { slug in
                try #require(Problem.Kind(rawValue: slug), "\(operation.id): \(slug)")
            }
            #expect(Set(kinds.map(\.status)) == operation.statuses.filter { $0 >= 400 }, "\(operation.id)")
            #expect(kinds.count == Set(kinds).count, "\(operation.id)")
        }
    }

    @Test func everySlugIsUsedByAnOperationOrEverywhere() {
        let used = Set(self.contract.operations.flatMap(\.problems))
        let everywhere: Set<String> = [Problem.Kind.methodNotAllowed.rawValue]
        #expect(used.union(everywhere) == Set(Problem.Kind.allCases.map(\.rawValue)))
    }

    @Test func everyEventTypeIsInTheCatalogue() throws {
        let events = self.contract.schemas.resolved(.object(["$ref": .string("#/components/schemas/Event")]))
        let stream = self.contract.schemas.resolved(.object(["$ref": .string("#/components/schemas/StreamEvent")]))
        let logged = EventType.clientTypes.filter { $0 != .typing }.map(\.rawValue)
        let control = ["stream.ready", "stream.gap", "stream.heartbeat", "stream.end"]
        #expect(Set((events["discriminator"]?["mapping"]?.members ?? [:]).keys) == Set(logged))
        let all = Set((stream["discriminator"]?["mapping"]?.members ?? [:]).keys)
        #expect(all == Set(logged + control + [EventType.typing.rawValue]))
    }

    /// A filter of the contract takes each type, each family, all, and nothing else.
    @Test(arguments: ["TypePattern", "WebhookTypePattern"])
    func filtersTakeTheTypesOfTheCatalogue(_ name: String) {
        let schema = self.contract.schemas.resolved(.object(["$ref": .string("#/components/schemas/\(name)")]))
        let isTaken = { self.contract.schemas.differences(in: .string($0), schema).isEmpty }
        let types = EventType.clientTypes.filter { name == "TypePattern" || $0.isForWebhooks }.map(\.rawValue)
        let families = Set(types.filter { $0.contains(".") }.map { "\($0.prefix { $0 != "." }).*" })
        for text in types + families + ["*"] { #expect(isTaken(text), "\(text)") }
        let others = EventType.allCases.map(\.rawValue).filter { !types.contains($0) }
        for text in others + ["", "letter.*", "message", "message.", "typing.*", "stream.ready", "xmessage.created"] {
            #expect(!isTaken(text), "\(text)")
        }
    }

    @Test func everyReferenceLeadsSomewhere() {
        for reference in Self.references(in: self.contract.document) {
            #expect(self.contract.schemas.resolved(.object(["$ref": .string(reference)])) != .null, "\(reference)")
        }
    }

    @Test func examplesAreAsTheirSchemasSay() {
        var count = 0
        Self.walk(self.contract.document, at: "#") { node, path in
            let ownExamples = node["type"] == nil ? [] : node["examples"]?.elements ?? []
            for example in ownExamples {
                count += 1
                let differences = self.contract.schemas.differences(in: example, node)
                #expect(differences.isEmpty, "\(path): \(differences)")
            }
            guard let schema = node["schema"], !path.hasSuffix("text/event-stream") else { return }
            let named = (node["examples"]?.members ?? [:]).values.compactMap { $0["value"] }
            for example in named + [node["example"]].compactMap({ $0 }) {
                count += 1
                let differences = self.contract.schemas.differences(in: example, schema)
                #expect(differences.isEmpty, "\(path): \(differences)")
            }
        }
        #expect(count > 40)
    }

    private static func references(in value: JSONValue) -> [String] {
        var references: [String] = []
        Self.walk(value, at: "#") { node, _ in
            if let reference = node["$ref"]?.stringValue { references.append(reference) }
        }
        return references
    }

    private static func walk(_ value: JSONValue, at path: String, _ visit: (JSONValue, String) -> Void) {
        switch value {
        case .object(let members):
            visit(value, path)
            for (name, member) in members { Self.walk(member, at: "\(path)/\(name)", visit) }
        case .array(let items):
            for (index, item) in items.enumerated() { Self.walk(item, at: "\(path)/\(index)", visit) }
        default: break
        }
    }
}
