import Core
import Testing

struct IPAddressTests {
    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:DB8::7", "2001:db8::7"), ("::", "::"),
        ("fe80::1%eth0", "fe80::1"), ("255.255.255.255", "255.255.255.255"),
    ])
    func addressesAreReadAndWritten(_ text: String, _ expected: String) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test(arguments: [
        "", "localhost", "192.0.2", "192.0.2.256", "0300.1.1.1", "2130706433", "::g", "192.0.2.7:80", "[::1]",
    ])
    func otherTextsAreNoAddresses(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.1.2.3/8", "10.9.9.9", true),
        ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.8", false), ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "::1", false), ("::/0", "::1", true), ("2001:db8::/32", "2001:db8:1::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false), ("10.0.0.0/8", "::ffff:10.0.0.1", true),
    ])
    func blocksContainWhatTheyShould(_ block: String, _ address: String, _ expected: Bool) throws {
        let network = try #require(IPNetwork(block))
        #expect(network.contains(try #require(IPAddress(address))) == expected)
    }

    @Test(arguments: ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1", "all"])
    func otherTextsAreNoBlocks(_ text: String) { #expect(IPNetwork(text) == nil) }

    @Test(arguments: [
        "127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "255.255.255.255", "224.0.0.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "192.0.2.7",
    ])
    func placesInsideAreNotPublic(_ text: String) throws { #expect(!(try #require(IPAddress(text))).isPublic) }

    @Test(arguments: ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "1.1.1.1"])
    func placesInTheInternetArePublic(_ text: String) throws { #expect((try #require(IPAddress(text))).isPublic) }

    @Test(arguments: [
        ("[2001:db8::7]", "2001:db8::7"), ("192.0.2.7", "192.0.2.7"), ("example.org", "example.org"), ("[::1", "[::1"),
        ("", ""), ("[", "["), ("[]", ""),
    ])
    func aHostLosesTheBracketsOfAnIPv6Address(host: String, bare: String) { #expect(host.withoutBrackets == bare) }

    @Test func aNetworkOf64BitsIsOneClientAndAnIPv4AddressIs() throws {
        let client = { (text: String) throws in try #require(IPAddress(text)).client }
        #expect(try client("2001:db8:1:2:3:4:5:6") == client("2001:db8:1:2::9"))
        #expect(try client("2001:db8:1:2::") != client("2001:db8:1:3::"))
        #expect(try client("192.0.2.7") != client("192.0.2.8"))
    }
}
