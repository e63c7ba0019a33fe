package import Core
package import Foundation
package import HTTPTypes
import Hub
package import Hummingbird
import NIOCore
import NIOFoundationCompat

/// What a controller answers: complete already inside the store's closure, so that an idempotency key can keep it.
package struct Answer: Sendable {
    package var status: HTTPResponse.Status
    /// JSON; `nil` for none.
    package var body: Data?
    package var location: String?
    /// `Event-Cursor`; set by ``Gateway/write(_:_:body:creating:_:finish:)`` and ``Gateway/read(_:_:)``.
    package var cursor: Cursor?
    /// Further headers: `Link`.
    package var headers: HTTPFields = [:]
    /// The write is kept, as it tells of the refusal, but the request is answered with this.
    package var refusal: Problem?
    /// The message that the body shows. A repeated request is answered with the message as it then is: what was deleted
    /// or edited is kept nowhere.
    package var message: MessageID?

    package static let noContent = Answer(status: .noContent, body: nil)

    package init(_ status: HTTPResponse.Status, _ value: some Encodable, location: String? = nil) throws {
        self.status = status
        self.body = try JSON.encode(value)
        self.location = location
    }

    package init(status: HTTPResponse.Status, body: Data?) {
        self.status = status
        self.body = body
    }

    /// One page of a list: `{"items": […], "next": "…"|null}`.
    ///
    /// - parameter items: as found with a limit one higher than the page's, in the list's order.
    /// - parameter key: what `next` and `Link` continue from, given to the parameter `name` of the next request.
    package init<Item>(
        page items: [Item], limit: Int, request: Request, next name: String = "after", key: (Item) -> String,
        payload: (Item) -> some Encodable
    ) throws {
        try self.init(page: items, limit: limit, request: request, next: name, key: key) {
            try JSON.text(payload($0))
        }
    }

    /// As above, of items that write their own JSON.
    ///
    /// - parameter members: what the body says besides.
    package init<Item>(
        page items: [Item], limit: Int, request: Request, next name: String = "after", key: (Item) -> String,
        members: [String: JSONValue] = [:], text: (Item) throws -> String
    ) throws {
        let shown = items.prefix(limit)
        let next = items.count > limit ? shown.last.map(key) : nil
        let others = try members.map { ",\"\($0)\":\(try JSON.text($1))" }.joined()
        let body =
            "{\"items\":[\(try shown.map(text).joined(separator: ","))],\"next\":\(try JSON.text(next))\(others)}"
        self.init(status: .ok, body: Data(body.utf8))
        if let next {
            let kept = (request.uri.query ?? "").split(separator: "&")
                .filter { !$0.hasPrefix("after=") && !$0.hasPrefix("before=") }
            let query = (kept.map(String.init) + ["\(name)=\(next)"]).joined(separator: "&")
            self.headers[.link] = "<\(request.uri.path)?\(query)>; rel=\"next\""
        }
    }

    /// A page of a long-poll, which is JSON already.
    init(_ page: PollPage) {
        self.init(status: .ok, body: Data(buffer: page.body))
        self.cursor = page.cursor
        self.headers[.cacheControl] = "no-store"
    }

    /// Adds a member to the body, an object that has others already.
    mutating func add(_ name: String, _ value: some Encodable) throws {
        guard let body else { return }
        self.body = Data("{\"\(name)\":".utf8) + (try JSON.encode(value)) + Data(",".utf8) + body.dropFirst()
    }

    package func response() -> Response {
        var headers = self.headers
        if let location { headers[.location] = location }
        if let cursor { headers[.eventCursor] = cursor.description }
        guard let body else { return Response(status: self.status, headers: headers) }
        headers[.contentType] = "application/json"
        return Response(status: self.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(data: body)))
    }
}

extension HTTPField.Name {
    static func known(_ name: String) -> HTTPField.Name {
        // Our own constants are valid tokens; the fallback only keeps the type system content.
        HTTPField.Name(name) ?? .from
    }

    package static let eventCursor = known("Event-Cursor")
    package static let idempotencyKey = known("Idempotency-Key")
    package static let comblangDevice = known("Comblang-Device")
    /// From another server's bridge: its instance.
    package static let comblangBridge = known("Comblang-Bridge")
    /// To another server's bridge: which instance it has reached.
    package static let comblangInstance = known("Comblang-Instance")
    package static let requestID = known("X-Request-Id")
    package static let lastEventID = known("Last-Event-ID")
    package static let accelBuffering = known("X-Accel-Buffering")
    package static let link = known("Link")
}
