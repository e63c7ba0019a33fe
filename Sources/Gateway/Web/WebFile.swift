import CWeb
import Core
import Crypto
package import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat

/// One file for browsers, embedded in the binary.
package struct WebFile: Sendable {
    /// Where it is served: `/client/app.js`.
    package let path: String
    package let mediaType: String
    package let bytes: Data
    /// Strong, of the bytes: the same file of another build has another one.
    package let entityTag: String

    package init(path: String, mediaType: String, bytes: Data) {
        self.path = path
        self.mediaType = mediaType
        self.bytes = bytes
        self.entityTag = "\"\(SHA256.hash(data: bytes).prefix(16).hexText)\""
    }

    /// The module, which pages of other origins import as well.
    private static let modulePath = "/client/comblang.js"

    /// All that are embedded, in the order of `Sources/CWeb/embed.c`.
    package static let all: [WebFile] = {
        var count = 0
        let files = comblang_web_files(&count)
        return UnsafeBufferPointer(start: files, count: count).compactMap { file in
            guard let path = file.path, let type = file.type, let bytes = file.bytes else { return nil }
            return WebFile(
                path: String(cString: path), mediaType: String(cString: type),
                bytes: Data(bytes: bytes, count: file.size))
        }
    }()

    /// The answer to a request for it: 304 without a body if the client has it already.
    ///
    /// Nothing is cached without asking: an update of the server must not meet a page of the former one.
    func response(to request: Request) -> Response {
        var headers = WebPage.headers
        headers[.eTag] = self.entityTag
        headers[.cacheControl] = "no-cache"
        headers[.crossOriginResourcePolicy] = self.path == Self.modulePath ? "cross-origin" : "same-origin"
        if request.headers[.ifNoneMatch].map(self.isNamed) == true {
            return Response(status: .notModified, headers: headers)
        }
        headers[.contentType] = self.mediaType
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(data: self.bytes)))
    }

    /// Whether `If-None-Match` names this version; a proxy that compresses makes the tag weak.
    private func isNamed(by field: String) -> Bool {
        field.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.contains { tag in
            tag == "*" || tag == self.entityTag || tag == "W/\(self.entityTag)"
        }
    }
}

/// What all pages of this server have in common.
enum WebPage {
    /// Everything is of this origin; nothing is inline, framed, or sent anywhere else.
    private static let contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    static let headers: HTTPFields = [
        .contentSecurityPolicy: Self.contentSecurityPolicy,
        .permissionsPolicy: "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
        .referrerPolicy: "no-referrer",
        .xContentTypeOptions: "nosniff",
    ]
}

extension HTTPField.Name {
    static let crossOriginResourcePolicy = known("Cross-Origin-Resource-Policy")
    static let permissionsPolicy = known("Permissions-Policy")
    static let referrerPolicy = known("Referrer-Policy")
}
