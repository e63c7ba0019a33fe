import COpenAPI
package import Core
package import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat
import Yams

/// Health, the contract, and the pages that problems point to.
struct OperationsController {
    let gateway: Gateway

    func addRoutes(to open: RouterGroup<GatewayContext>) {
        open.get("/healthz") { _, _ in try Answer(.ok, ["status": "ok"]).response() }
        open.get("/readyz") { _, _ in
            guard self.gateway.readiness.state == .ready else { throw Problem(.unavailable) }
            return try Answer(.ok, ["status": "ready"]).response()
        }
        open.get("/openapi.yaml") { _, _ in
            Response(
                status: .ok, headers: [.contentType: "application/yaml; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(data: Contract.yaml)))
        }
        open.get("/openapi.json") { _, _ in
            var answer = Answer(status: .ok, body: try Contract.json.get())
            answer.headers[.cacheControl] = "no-cache"
            return answer.response()
        }
        open.get("/problems/:slug") { _, context in
            guard let kind = Problem.Kind(rawValue: try context.segment("slug")) else { throw Problem.notFound }
            return Response(
                status: .ok, headers: [.contentType: "text/html; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: kind.page)))
        }
    }
}

/// The contract as embedded in the binary.
package enum Contract {
    package static let yaml: Data = {
        var size = 0
        let bytes = comblang_openapi(&size)
        return bytes.map { Data(bytes: $0, count: size) } ?? Data()
    }()

    /// The same as JSON.
    package static let json = Result { () throws -> Data in
        let node = try Yams.compose(yaml: String(decoding: Self.yaml, as: UTF8.self))
        return try JSON.encode(node.map(JSONValue.init) ?? .null)
    }
}

extension JSONValue {
    /// A YAML node by the rules of its core schema.
    fileprivate init(_ node: Node) {
        switch node {
        case .mapping(let mapping):
            self = .object(
                Dictionary(mapping.map { ($0.key.string ?? "", JSONValue($0.value)) }, uniquingKeysWith: { $1 }))
        case .sequence(let sequence): self = .array(sequence.map(JSONValue.init))
        case .scalar(let scalar) where scalar.style == .plain:
            if let value = node.bool {
                self = .bool(value)
            } else if let value = node.int {
                self = .integer(Int64(value))
            } else if let value = node.float {
                self = .number(value)
            } else {
                self = node.null == nil ? .string(scalar.string) : .null
            }
        case .scalar(let scalar): self = .string(scalar.string)
        case .alias: self = .null
        }
    }
}

extension Problem.Kind {
    /// The page at `/problems/<slug>`. Everything on it is from the catalogue and needs no escaping but `<` and `&`.
    fileprivate var page: String {
        let escape = { (text: String) in text.replacing("&", with: "&amp;").replacing("<", with: "&lt;") }
        return """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>\(self.status) \(self.rawValue)</title>
            <style>
            :root { color-scheme: light dark; }
            body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
            code { font-size: 0.95em; }
            </style>
            <p><code>\(self.status) \(self.rawValue)</code></p>
            <h1>\(escape(self.title))</h1>
            <p>\(escape(self.explanation))</p>
            </html>

            """
    }
}
