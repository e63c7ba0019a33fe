import Core
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// The pages under `/problems`, for people: of one problem, of all, of none.
struct ProblemPage {
    private let title: String
    /// What stands in `main`, as HTML.
    private let content: String

    /// `/problems`: all there are, in the catalogue's order, which is that of their statuses.
    static let index = ProblemPage(
        title: "Problems",
        content: """
            <h2>Problems</h2>
                    <p>What an answer of <code>application/problem+json</code> may name as its <code>type</code>.</p>
                    <div class="scroll"><table><tbody>
                    \(Problem.Kind.allCases.map(Self.row).joined(separator: "\n        "))
                    </tbody></table></div>
            """)

    /// `/problems/<slug>` of a slug that is none.
    static let unknown = ProblemPage(
        title: "No such problem",
        content: """
            <h2>There is no such problem</h2>
                    <p>This server answers with <a href="/problems">these</a>.</p>
            """)

    /// `/problems/<slug>`: what happened, what to do, and which operations answer so.
    ///
    /// - parameter operations: their names, in the contract's order; empty for what any request may get.
    init(_ kind: Problem.Kind, operations: [String]) {
        self.init(
            title: "\(kind.status) \(kind.rawValue): \(kind.title)",
            content: """
                <p class="tag"><code>\(kind.status) \(kind.rawValue)</code></p>
                        <h2>\(Self.escaped(kind.title))</h2>
                        <h3>What happened, and what to do</h3>
                        <p>\(Self.marked(kind.explanation))</p>
                        \(Self.retrying(kind))
                        <h3>Who answers this</h3>
                        <p>\(Self.answering(operations))</p>
                        <p>The answer's <code>detail</code> says more about the one occurrence, and
                            <code>instance</code> names the request in the server's log. <a href="/problems">All problems</a></p>
                """)
    }

    private init(title: String, content: String) {
        self.title = title
        self.content = content
    }

    private var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(Self.escaped(self.title))</title>
            <link rel="icon" href="/client/icon.svg" type="image/svg+xml">
            <link rel="stylesheet" href="/client/theme.css">
            <link rel="stylesheet" href="/client/docs.css">
        </head>
        <body>
            <header class="top"><h1><a href="/docs">
                <img src="/client/icon.svg" alt="" width="28" height="28"> Comblang API</a></h1></header>
            <main>
                \(self.content)
            </main>
        </body>
        </html>

        """
    }

    func response(_ status: HTTPResponse.Status = .ok) -> Response {
        var headers = WebPage.headers
        headers[.contentType] = "text/html; charset=utf-8"
        return Response(
            status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: self.html)))
    }

    private static func row(_ kind: Problem.Kind) -> String {
        """
        <tr><td><a href="/problems/\(kind.rawValue)"><code>\(kind.status) \(kind.rawValue)</code></a></td>\
        <td>\(self.escaped(kind.title))</td></tr>
        """
    }

    private static func retrying(_ kind: Problem.Kind) -> String {
        switch kind.status {
        case 429, 503:
            "<p>The same request may succeed later: wait for the seconds that <code>Retry-After</code> says.</p>"
        case 500: "<p>Report it with the answer's <code>instance</code>.</p>"
        case 409, 410: "<p>The same request may succeed when that has changed, and not before.</p>"
        default: "<p>The same request again would get the same answer.</p>"
        }
    }

    private static func answering(_ operations: [String]) -> String {
        guard !operations.isEmpty else { return "Any request." }
        return operations.map { "<a href=\"/docs#\($0)\">\($0)</a>" }.joined(separator: ", ") + "."
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }

    /// Requests that a text names, as code: `POST /v1/tokens`.
    private static func marked(_ text: String) -> String {
        self.escaped(text).replacing(/(?:(?:GET|PUT|POST|PATCH|DELETE) )\/v1\/[\w\/{}.-]*\w/) {
            "<code>\($0.output)</code>"
        }
    }
}
