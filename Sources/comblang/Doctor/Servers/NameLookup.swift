import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The addresses of a name, as the system finds them.
enum NameLookup {
    /// A name with more is a name of a content network; the first ones tell enough.
    private static let addressesMax = 4

    /// In the system's order of preference; empty if the name has none.
    ///
    /// - throws: ``NameLookupFailure``.
    static func addresses(of host: String, port: Int) async throws -> [SocketAddress] {
        if let literal = try? SocketAddress(ipAddress: host, port: port) { return [literal] }
        // The system's lookup blocks, for as long as its own timeouts are.
        return try await NIOThreadPool.singleton.runIfActive { try self.lookUp(host, port: port) }
    }

    private static func lookUp(_ host: String, port: Int) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &first)
        guard code == 0 else { throw NameLookupFailure(description: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(first) }
        var found: [SocketAddress] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ai_next
            guard let bytes = entry.ai_addr, let address = Self.address(bytes, family: entry.ai_family, host: host),
                !found.contains(address)
            else { continue }
            found.append(address)
        }
        return Array(found.prefix(Self.addressesMax))
    }

    private static func address(
        _ bytes: UnsafeMutablePointer<sockaddr>, family: CInt, host: String
    ) -> SocketAddress? {
        switch family {
        case AF_INET:
            bytes.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { SocketAddress($0.pointee, host: host) }
        case AF_INET6:
            bytes.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { SocketAddress($0.pointee, host: host) }
        default: nil
        }
    }
}

/// Why a name has no address, in the system's words.
struct NameLookupFailure: Error, CustomStringConvertible {
    let description: String
}
