import Foundation
import NIOCore
import NIOSSL

/// Why a server was not reached, or did not answer.
enum STUNFault: Error, Hashable, Sendable {
    /// Nothing came in time.
    case noAnswer
    /// The machine is there, and nothing listens at the port.
    case refused
    /// There is no way to the address from here.
    case unreachable
    /// TLS could not be agreed on; in the library's words.
    case tls(String)
    /// The server hung up.
    case closed
    /// Something else, in the system's words.
    case other(String)

    init(_ error: any Error) {
        switch error {
        case let fault as STUNFault: self = fault
        case let error as IOError: self.init(code: error.errnoCode)
        case ChannelError.connectTimeout: self = .noAnswer
        case is ChannelError: self = .closed
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: self = .tls(Self.tlsWords("\(error)"))
        default: self = .other("\(error)")
        }
    }

    /// The library's words are those of OpenSSL; the usual cases in better ones.
    private static func tlsWords(_ text: String) -> String {
        let known = [
            ("CERTIFICATE_VERIFY_FAILED", "its certificate is expired, or of an authority that is not trusted here"),
            ("failedToValidateHostname", "its certificate is for another name"),
            ("WRONG_VERSION_NUMBER", "this port does not speak it"),
            ("eofDuringHandshake", "it hung up during the handshake"),
            ("uncleanShutdown", "it hung up during the handshake"),
        ]
        return known.first { text.contains($0.0) }?.1 ?? String(text.prefix(200))
    }

    private init(code: CInt) {
        switch code {
        case ECONNREFUSED: self = .refused
        case ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT, ENETDOWN: self = .unreachable
        case ETIMEDOUT: self = .noAnswer
        case ECONNRESET, EPIPE: self = .closed
        default: self = .other(String(cString: strerror(code)))
        }
    }
}
