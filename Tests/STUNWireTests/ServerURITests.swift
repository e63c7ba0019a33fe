import STUNWire
import Testing

/// URLs of STUN and TURN servers, as RFC 7064 and RFC 7065 have them.
struct ServerURITests {
    @Test(arguments: [
        ("stun:stun.example.org", "stun:stun.example.org:3478"),
        ("stuns:stun.example.org", "stuns:stun.example.org:5349"),
        ("stun:192.0.2.1:19302", "stun:192.0.2.1:19302"),
        ("turn:turn.example.org", "turn:turn.example.org:3478?transport=udp"),
        ("turn:turn.example.org:80?transport=tcp", "turn:turn.example.org:80?transport=tcp"),
        ("turns:[2001:db8::1]:443", "turns:[2001:db8::1]:443?transport=tcp"),
        ("turns:t", "turns:t:5349?transport=tcp"),
    ])
    func aServerIsReadWithItsDefaults(_ text: String, _ whole: String) {
        #expect(ServerURI(text)?.description == whole)
    }

    @Test(arguments: [
        "", "stun:", "stun", "http://example.org", "STUN:example.org", "stun://example.org", "turn:a b",
        "turn:example.org:0", "turn:example.org:65536", "turn:example.org:+80", "turn:example.org:", "turn:[::1",
        "turn:[example]", "turn:example.org?transport=sctp", "turn:example.org?tcp", "stun:example.org?transport=udp",
        "turn:user@example.org", "turn:example.org/path", "turn:2001:db8::1",
    ])
    func anythingElseIsRefused(_ text: String) { #expect(ServerURI(text) == nil) }
}
