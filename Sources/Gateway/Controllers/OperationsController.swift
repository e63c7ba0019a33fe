import Core
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
        open.get("/problems") { _, _ in ProblemPage.index.response() }
        open.get("/problems/:slug") { request, context in
            if let kind = Problem.Kind(rawValue: try context.segment("slug")) {
                let operations = Contract.operationsByProblem[kind.rawValue] ?? []
                return ProblemPage(kind, operations: operations).response()
            }
            // People come here from an answer, programs do not.
            let accept = AcceptField(request.headers[.accept])
            guard accept.prefers("text/html", over: "application/problem+json") else { throw Problem.notFound }
            return ProblemPage.unknown.response(.notFound)
        }
    }
}
