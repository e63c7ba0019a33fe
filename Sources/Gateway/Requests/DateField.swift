import Core
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The `Date` of answers (RFC 9110, 6.6.1), made once a second.
final class DateField: Sendable {
    private let last = Mutex<(second: Int64, text: String)>((.min, ""))

    func text(at now: Timestamp) -> String {
        let second = now.milliseconds / 1000
        return self.last.withLock { last in
            if last.second != second { last = (second, Self.format(second)) }
            return last.text
        }
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`. Foundation has no style for it; the process's locale is C, as none is set.
    private static func format(_ second: Int64) -> String {
        var seconds = time_t(second)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return String(unsafeUninitializedCapacity: 32) { buffer in
            buffer.withMemoryRebound(to: CChar.self) {
                strftime($0.baseAddress, 32, "%a, %d %b %Y %H:%M:%S GMT", &parts)
            }
        }
    }
}
