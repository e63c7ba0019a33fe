import Core
import Foundation

/// The page at `/problems/<slug>`: what happened, what to do, and which operations answer so.
struct ProblemPage {
    let kind: Problem.Kind
    /// Names of operations, in the contract's order; empty for what any request may get.
    let operations: [String]

    var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(self.kind.status) \(self.kind.rawValue): \(Self.escaped(self.kind.title))</title>
            <link rel="icon" href="/client/icon.svg" type="image/svg+xml">
            <link rel="stylesheet" href="/client/theme.css">
            <link rel="stylesheet" href="/client/docs.css">
        </head>
        <body>
            <header class="top"><h1><a href="/docs">
                <img src="/client/icon.svg" alt="" width="28" height="28"> Comblang API</a></h1></header>
            <main>
                <p class="tag"><code>\(self.kind.status) \(self.kind.rawValue)</code></p>
                <h2>\(Self.escaped(self.kind.title))</h2>
                <h3>What happened, and what to do</h3>
                <p>\(Self.marked(self.kind.explanation))</p>
                \(self.retrying)
                <h3>Who answers this</h3>
                <p>\(self.answering)</p>
                <p>The answer's <code>detail</code> says more about the one occurrence, and <code>instance</code> names
                    the request in the server's log.</p>
            </main>
        </body>
        </html>

        """
    }

    private var retrying: String {
        switch self.kind.status {
        case 429, 503:
            "<p>The same request may succeed later: wait for the seconds that <code>Retry-After</code> says.</p>"
        case 500: "<p>Report it with the answer's <code>instance</code>.</p>"
        case 409, 410: "<p>The same request may succeed when that has changed, and not before.</p>"
        default: "<p>The same request again would get the same answer.</p>"
        }
    }

    private var answering: String {
        guard !self.operations.isEmpty else { return "Any request." }
        return self.operations.map { "<a href=\"/docs#\($0)\">\($0)</a>" }.joined(separator: ", ") + "."
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
