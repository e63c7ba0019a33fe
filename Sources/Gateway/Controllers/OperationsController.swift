import Core
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat

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
            let page = ProblemPage(kind: kind, operations: Contract.operationsByProblem[kind.rawValue] ?? [])
            var headers = WebPage.headers
            headers[.contentType] = "text/html; charset=utf-8"
            return Response(
                status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: page.html)))
        }
    }
}
