import Core
import Gateway
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing

/// The server has the routes of the contract, no more and no fewer.
struct ContractRouteTests {
    @Test func routesAreThoseOfTheContract() async throws {
        let contract = try Contract()
        var expected: [String: Set<String>] = [:]
        for operation in contract.operations {
            expected[operation.path, default: []].insert(operation.method)
        }
        try await TestServer.run { [expected] server in
            // The router holds an answer for every method of a path: which ones it really has, `Allow` says.
            let paths = Set(server.gateway.buildRouter().routes.map(\.path.description.withBraces))
            #expect(paths == Set(expected.keys))
            for (path, methods) in expected {
                let response = try await server.client.executeRequest(
                    uri: ContractPlace().filling(path), method: .options, headers: [:], body: nil)
                #expect(response.status == .methodNotAllowed, "\(path)")
                let allowed = response.headers[.allow]?.split(separator: ", ").map(String.init) ?? []
                // A HEAD would open a stream that nobody reads.
                let isStream = path.hasSuffix("/stream") || ["/v1/ws", "/ws/{room}"].contains(path)
                let withHead = methods.contains("GET") && !isStream ? methods.union(["HEAD"]) : methods
                #expect(Set(allowed) == withHead, "\(path)")
            }
        }
    }

    @Test func methodThatAPathLacksIsRefusedWithAProblem() async throws {
        let contract = try Contract()
        try await TestServer.run { server in
            // WebDAV's, the safe one with a body (draft-ietf-httpbis-safe-method-w-body), and nobody's.
            let others = try ["PROPFIND", "QUERY", "BREW"].map { try #require(HTTPRequest.Method($0)) }
            let everyMethod: [HTTPRequest.Method] = [.get, .put, .post, .patch, .delete, .trace] + others
            for path in Set(contract.operations.map(\.path)) {
                let present = Set(contract.operations.filter { $0.path == path }.map(\.method))
                for method in everyMethod where !present.contains(method.rawValue) {
                    let response = try await server.client.executeRequest(
                        uri: ContractPlace().filling(path), method: method, headers: [:], body: nil)
                    #expect(response.status == .methodNotAllowed, "\(method) \(path)")
                    #expect(response.headers[.contentType] == "application/problem+json", "\(method) \(path)")
                    #expect(response.headers[.allow] != nil, "\(method) \(path)")
                }
            }
        }
    }

    /// What a key needs is in the contract as it is in the table, and every operation says it.
    @Test func scopesAreThoseOfTheRules() throws {
        for operation in try Contract().operations where operation.problems.contains("insufficient-scope") {
            let method = try #require(HTTPRequest.Method(operation.method))
            let rule = RouteRule.rule(method, operation.path)
            let expected = Scope.allCases.filter { scope in
                rule.map { Permission.granted(to: scope).contains($0.permission) } ?? false
            }
            #expect(rule != nil, "\(operation.id)")
            #expect(Set(operation.scopes) == Set(expected.map(\.rawValue)), "\(operation.id)")
        }
    }

    @Test func unknownPathIsAProblem() async throws {
        try await TestServer.run { server in
            let response = try await server.client.executeRequest(
                uri: "/v1/nowhere", method: .get, headers: [:], body: nil)
            let body = ContractAnswer.json(String(buffer: response.body))
            #expect(response.status == .notFound)
            #expect(body["type"] == .string("/problems/not-found"))
        }
    }

    @Test func everyProblemHasItsPage() async throws {
        try await TestServer.run { server in
            for kind in Problem.Kind.allCases {
                let response = try await server.client.executeRequest(
                    uri: "/problems/\(kind.rawValue)", method: .get, headers: [:], body: nil)
                #expect(response.status == .ok, "\(kind.rawValue)")
                #expect(String(buffer: response.body).contains(kind.title.prefix(12)), "\(kind.rawValue)")
            }
        }
    }
}

extension String {
    /// `/v1/rooms/:room` is `/v1/rooms/{room}`, however the router writes it.
    fileprivate var withBraces: String {
        let segments = self.split(separator: "/").map { $0.hasPrefix(":") ? "/{\($0.dropFirst())}" : "/\($0)" }
        return segments.isEmpty ? "/" : segments.joined()
    }
}
