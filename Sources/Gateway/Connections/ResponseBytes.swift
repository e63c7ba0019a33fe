import Core
import HTTPTypes
import Hub
import Hummingbird
import NIOCore

/// An answer of the express lane as it goes out (RFC 9112): the same fields that the router and its middleware give.
struct ResponseBytes {
    private(set) var bytes: ByteBuffer

    /// - parameter rate: what the request was counted as.
    init(_ answer: Answer, origin: String?, rate: RateVerdict?, gateway: Gateway) {
        let count = answer.body?.count ?? 0
        self.bytes = ByteBufferAllocator().buffer(capacity: 512 + count)
        self.writeHead(answer.status, origin: origin, rate: rate, gateway: gateway)
        if answer.body != nil { self.write("Content-Type", "application/json") }
        if let location = answer.location { self.write("Location", location) }
        if let cursor = answer.cursor { self.write("Event-Cursor", cursor.description) }
        for field in answer.headers { self.write(field.name.rawName, field.value) }
        self.bytes.writeString("Content-Length: \(count)\r\n\r\n")
        if let body = answer.body { self.bytes.writeBytes(body) }
    }

    /// Of a poll, all of whose answers in one tick differ in `X-Request-Id` and `RateLimit` alone.
    init(_ page: PollPage, origin: String?, rate: RateVerdict?, gateway: Gateway) {
        let rest = page.answer.bytes(for: origin) {
            var rest = ResponseBytes()
            rest.writeFields(origin: origin, gateway: gateway)
            rest.write("Content-Type", "application/json")
            rest.write("Event-Cursor", page.cursor.description)
            rest.write("Cache-Control", "no-store")
            rest.bytes.writeString("Content-Length: \(page.body.readableBytes)\r\n\r\n")
            rest.bytes.writeImmutableBuffer(page.body)
            return rest.bytes
        }
        self.bytes = ByteBufferAllocator().buffer(capacity: 128 + rest.readableBytes)
        self.writeStart(.ok)
        self.write(rate)
        self.bytes.writeImmutableBuffer(rest)
    }

    private init() { self.bytes = ByteBufferAllocator().buffer(capacity: 1024) }

    /// The head of a stream, whose body comes in chunks.
    init(streaming fields: HTTPFields, origin: String?, rate: RateVerdict?, gateway: Gateway) {
        self.bytes = ByteBufferAllocator().buffer(capacity: 512)
        self.writeHead(.ok, origin: origin, rate: rate, gateway: gateway)
        for field in fields { self.write(field.name.rawName, field.value) }
        self.bytes.writeString("Transfer-Encoding: chunked\r\n\r\n")
    }

    private mutating func writeHead(
        _ status: HTTPResponse.Status, origin: String?, rate: RateVerdict?, gateway: Gateway
    ) {
        self.writeStart(status)
        self.write(rate)
        self.writeFields(origin: origin, gateway: gateway)
    }

    private mutating func write(_ rate: RateVerdict?) {
        guard let rate else { return }
        self.write("RateLimit", rate.field)
        self.write("RateLimit-Policy", rate.policyField)
    }

    private mutating func writeStart(_ status: HTTPResponse.Status) {
        self.bytes.writeString(
            status == .ok ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
        self.write("X-Request-Id", RequestID().description)
    }

    private mutating func writeFields(origin: String?, gateway: Gateway) {
        self.write("Date", gateway.date.text(at: gateway.time.now))
        guard let origin else { return }
        for field in CrossOriginMiddleware.fields(for: origin, allowedOrigins: gateway.settings.allowedOrigins) {
            self.write(field.name.rawName, field.value)
        }
    }

    private mutating func write(_ name: String, _ value: String) {
        self.bytes.writeString(name)
        self.bytes.writeString(": ")
        self.bytes.writeString(value)
        self.bytes.writeString("\r\n")
    }
}
