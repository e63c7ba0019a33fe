import Core
import Hummingbird

/// The page that chats and calls (`/`), the reference (`/docs`), and their files, the module for others among them.
struct WebController {
    func addRoutes(to open: RouterGroup<GatewayContext>) {
        for path in ["/", "/docs"] {
            open.get(RouterPath(path)) { request, _ in try Self.response(at: path, to: request) }
        }
        // Browsers ask for it on their own, for what names no icon: JSON, YAML.
        open.get("/favicon.ico") { request, _ in try Self.response(at: "/client/icon.svg", to: request) }
        open.get("/client/:file") { request, context in
            try Self.response(at: "/client/\(try context.segment("file"))", to: request)
        }
    }

    private static let files = Dictionary(WebFile.all.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })

    private static func response(at path: String, to request: Request) throws -> Response {
        guard let file = Self.files[path] else { throw Problem.notFound }
        return file.response(to: request)
    }
}
