import Core
import Gateway
import HTTPTypes
import Testing

/// Whom a request is taken to come from.
struct ClientAddressTests {
    private static let trusted = ["10.0.0.0/8", "2001:db8:ffff::/48"].compactMap { IPNetwork($0) }

    private static func client(
        of peer: String, _ fields: HTTPFields, _ field: TrustedProxies.Field = .forwardedFor
    ) throws -> String {
        TrustedProxies(networks: Self.trusted, field: field).client(of: try #require(IPAddress(peer)), fields)
            .description
    }

    private static func forwardedFor(_ values: String...) throws -> HTTPFields {
        var fields = HTTPFields()
        let name = try #require(HTTPField.Name("X-Forwarded-For"))
        for value in values { fields.append(HTTPField(name: name, value: value)) }
        return fields
    }

    @Test func aStrangerIsBelievedNothing() throws {
        #expect(try Self.client(of: "192.0.2.7", Self.forwardedFor("198.51.100.1")) == "192.0.2.7")
    }

    @Test func theNearestThatIsNoProxyCounts() throws {
        // The first is what the client itself sent.
        let fields = try Self.forwardedFor("203.0.113.1, 198.51.100.1, 10.0.0.2")
        #expect(try Self.client(of: "10.0.0.1", fields) == "198.51.100.1")
        let lines = try Self.forwardedFor("203.0.113.1", "198.51.100.1", "10.0.0.2")
        #expect(try Self.client(of: "10.0.0.1", lines) == "198.51.100.1")
    }

    @Test(arguments: ["unknown", "_hidden", "", "example.org", "198.51.100.1.1"])
    func whatIsNoAddressEndsWhatIsKnown(_ text: String) throws {
        #expect(try Self.client(of: "10.0.0.1", Self.forwardedFor("203.0.113.1, \(text), 10.0.0.2")) == "10.0.0.2")
    }

    @Test(arguments: [
        ("198.51.100.1:4711", "198.51.100.1"), ("2001:db8::7", "2001:db8::7"), ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:80", "2001:db8::7"), ("::ffff:198.51.100.1", "198.51.100.1"),
    ])
    func addressesAreReadWithTheirPorts(_ text: String, _ expected: String) throws {
        #expect(try Self.client(of: "10.0.0.1", Self.forwardedFor(text)) == expected)
    }

    @Test func onlyTheFieldThatTheProxyWritesIsRead() throws {
        let name = try #require(HTTPField.Name("Forwarded"))
        var fields = try Self.forwardedFor("198.51.100.1")
        fields[name] = #"for=203.0.113.1, For="[2001:db8::7]:4711";proto=https;by=10.0.0.1"#
        #expect(try Self.client(of: "10.0.0.1", fields) == "198.51.100.1")
        #expect(try Self.client(of: "10.0.0.1", fields, .forwarded) == "2001:db8::7")
        fields[name] = #"for=198.51.100.9;by=x, proto=http; for=10.0.0.3"#
        #expect(try Self.client(of: "10.0.0.1", fields, .forwarded) == "198.51.100.9")
    }
}
