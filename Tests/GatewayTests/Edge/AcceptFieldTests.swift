import Gateway
import Testing

/// Which of two media types a client would rather have (RFC 9110, 12.5.1).
struct AcceptFieldTests {
    @Test(arguments: [
        "application/x-ndjson", "APPLICATION/X-NDJSON", "application/x-ndjson; charset=utf-8", "application/*",
        "text/event-stream;q=0.1, application/x-ndjson;q=0.9", "text/event-stream;Q=0.999,application/x-ndjson",
        "*/*;q=0.5, application/x-ndjson", "text/event-stream;q=0, */*", "text/*;q=0.3, */*;q=0.4",
        "text/event-stream;q=0.000, application/x-ndjson;q=0.001",
    ]) func linesAreAskedFor(_ text: String) {
        #expect(AcceptField(text).prefers("application/x-ndjson", over: "text/event-stream"))
        #expect(!AcceptField(text).prefers("text/event-stream", over: "application/x-ndjson"))
    }

    /// At a tie, in doubt, and where neither will do.
    @Test(arguments: [
        nil, "", "*/*", "text/event-stream, application/x-ndjson", "application/json", "text/html, */*;q=0.8",
        "application/x-ndjson;q=0, text/event-stream", "text/event-stream, application/x-ndjson;q=0",
        "application/x-ndjson;q=0", "application/*;q=1, application/x-ndjson;q=0", "application/x-ndjson;q=2",
        "application/x-ndjson;q=nan", "application/x-ndjson;q=-1", "application/x-ndjson;q=", "application/x-ndjson2",
        "x-ndjson", ";;,,", "text/event-stream;x=\"application/x-ndjson\"",
    ]) func linesAreNotAskedFor(_ text: String?) {
        #expect(!AcceptField(text).prefers("application/x-ndjson", over: "text/event-stream"))
    }
}
