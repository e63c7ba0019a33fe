import Core
import Foundation
import Gateway
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

/// The files for browsers: embedded whole, served with what a browser must be told.
struct WebTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// A file that is missing from `embed.c` would only be missed by its users.
    @Test func everyFileOfTheFoldersIsEmbeddedAsItIs() throws {
        var expected: [String: Data] = [:]
        for folder in ["client", "docs"] {
            let directory = Self.root.appending(path: "Sources/CWeb/\(folder)")
            for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
                let path = ["index.html": "/", "docs.html": "/docs"][name] ?? "/client/\(name)"
                expected[path] = try Data(contentsOf: directory.appending(path: name))
            }
        }
        expected["/client/comblang.js"] = try Data(contentsOf: Self.root.appending(path: "clients/js/comblang.js"))

        #expect(Set(WebFile.all.map(\.path)) == Set(expected.keys))
        for file in WebFile.all {
            #expect(file.bytes == expected[file.path], "\(file.path)")
        }
        #expect(Set(WebFile.all.map(\.entityTag)).count == WebFile.all.count)
    }

    @Test func everyFileIsServedWithItsTypeAndAStrictPolicy() async throws {
        try await TestServer.run { server in
            for file in WebFile.all {
                let answer = try await server.client.executeRequest(
                    uri: file.path, method: .get, headers: [:], body: nil)
                #expect(answer.status == .ok, "\(file.path)")
                #expect(answer.headers[.contentType] == file.mediaType)
                #expect(answer.headers[.eTag] == file.entityTag)
                #expect(answer.headers[.cacheControl] == "no-cache")
                #expect(answer.headers[.xContentTypeOptions] == "nosniff")
                let isForAll = file.path == "/client/comblang.js"
                #expect(
                    answer.headers[try #require(HTTPField.Name("Cross-Origin-Resource-Policy"))]
                        == (isForAll ? "cross-origin" : "same-origin"))
                let policy = try #require(answer.headers[.contentSecurityPolicy])
                #expect(policy.hasPrefix("default-src 'none'") && !policy.contains("unsafe"))
                #expect(Data(answer.body.readableBytesView) == file.bytes)
            }
        }
    }

    @Test(arguments: ["\"other\"", "", "W/\"other\", \"another\""])
    func anotherVersionIsSentWhole(tag: String) async throws {
        try await TestServer.run { server in
            let answer = try await server.client.executeRequest(
                uri: "/docs", method: .get, headers: [.ifNoneMatch: tag], body: nil)
            #expect(answer.status == .ok && answer.body.readableBytes > 0)
        }
    }

    /// What a compressing proxy makes of it.
    @Test func weakenedTagOfThisVersionIsEnough() async throws {
        try await TestServer.run { server in
            let tag = WebFile.all.first { $0.path == "/docs" }?.entityTag ?? ""
            let answer = try await server.client.executeRequest(
                uri: "/docs", method: .get, headers: [.ifNoneMatch: "\"other\", W/\(tag)"], body: nil)
            #expect(answer.status == .notModified && answer.body.readableBytes == 0)
        }
    }

    /// Inline code would be blocked by the policy, and other origins cannot be asked.
    @Test func pagesNeedNothingInlineAndNothingFromElsewhere() throws {
        for file in WebFile.all where file.mediaType.hasPrefix("text/html") {
            let text = String(decoding: file.bytes, as: UTF8.self)
            #expect(!text.contains("style=") && !text.contains("onclick"), "\(file.path)")
            #expect(!text.contains("<style") && !text.contains("<script>"), "\(file.path)")
            #expect(text.matches(of: /(?:src|href)="(?!\/|#)/).isEmpty, "\(file.path)")
        }
    }

    @Test func pageOfAProblemSaysWhoAnswersItAndEscapesItsTexts() async throws {
        try await TestServer.run { server in
            let glare = try await server.client.executeRequest(
                uri: "/problems/glare", method: .get, headers: [:], body: nil)
            #expect(String(buffer: glare.body).contains("<a href=\"/docs#sendSignal\">sendSignal</a>"))
            let cursor = try await server.client.executeRequest(
                uri: "/problems/invalid-cursor", method: .get, headers: [:], body: nil)
            #expect(String(buffer: cursor.body).contains("&lt;epoch&gt;.&lt;seq&gt;"))
        }
    }

    @Test func allProblemsAreListedAndAnUnknownOneIsSaidToBeNoneToPeople() async throws {
        try await TestServer.run { server in
            for path in ["/problems", "/problems/"] {
                let index = try await server.client.executeRequest(uri: path, method: .get, headers: [:], body: nil)
                #expect(index.status == .ok && index.headers[.contentType] == "text/html; charset=utf-8")
                #expect(index.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'none'") == true)
                let text = String(buffer: index.body)
                for kind in Problem.Kind.allCases {
                    #expect(text.contains("<a href=\"/problems/\(kind.rawValue)\">"), "\(kind.rawValue)")
                    #expect(text.contains("<td>\(kind.title)</td>"), "\(kind.rawValue)")
                }
            }
            let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
            for (accept, type) in [
                (browser, "text/html; charset=utf-8"), ("*/*", "application/problem+json"),
                ("application/problem+json, text/html;q=0.9", "application/problem+json"),
            ] {
                let answer = try await server.client.executeRequest(
                    uri: "/problems/nope", method: .get, headers: [.accept: accept], body: nil)
                #expect(answer.status == .notFound && answer.headers[.contentType] == type, "\(accept)")
            }
        }
    }

    @Test func iconIsWhereBrowsersLookForIt() async throws {
        try await TestServer.run { server in
            let answer = try await server.client.executeRequest(
                uri: "/favicon.ico", method: .get, headers: [:], body: nil)
            #expect(answer.status == .ok && answer.headers[.contentType] == "image/svg+xml")
            #expect(Data(answer.body.readableBytesView) == WebFile.all.first { $0.path == "/client/icon.svg" }?.bytes)
        }
    }

    /// The reference shows operations and fields as the contract's author put them.
    @Test func contractAsJSONKeepsTheOrderOfItsMembers() async throws {
        try await TestServer.run { server in
            let answer = try await server.client.executeRequest(
                uri: "/openapi.json", method: .get, headers: [:], body: nil)
            let text = String(buffer: answer.body)
            let positions = ["\"/v1/users\":", "\"/v1/tokens\":", "\"/v1/rooms\":", "\"/healthz\":", "\"components\":"]
                .compactMap { text.range(of: $0)?.lowerBound }
            #expect(positions.count == 5 && positions == positions.sorted())
            let value = try JSON.decode(JSONValue.self, from: text)
            #expect(value["openapi"] == .string("3.1.0"))
            let bridge = value["components"]?["schemas"]?["Room"]?["properties"]?["bridge"]
            #expect(bridge?["type"] == .array([.string("string"), .string("null")]))
        }
    }
}
