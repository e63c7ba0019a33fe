import Foundation

/// A server process on this machine, as `/proc` tells of it.
struct ServerProcess: Sendable {
    let identifier: Int32

    /// CPU time of all its threads so far, in microseconds; `nil` if there is no such process.
    func cpuMicroseconds() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/\(self.identifier)/stat", encoding: .utf8),
            // The name may contain anything; behind its last parenthesis all is numbers.
            let nameEnd = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[nameEnd...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return nil }
        return (user + system) * 1e6 / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Proportional set size in KiB; `nil` if it may not be read.
    func memoryKibibytes() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/\(self.identifier)/smaps_rollup", encoding: .utf8) else {
            return nil
        }
        for line in text.split(separator: "\n") where line.hasPrefix("Pss:") {
            return Double(line.split(separator: " ")[1])
        }
        return nil
    }

    /// CPU time of this process so far, in microseconds.
    static func ownCPUMicroseconds() -> Double { Double(clock()) * 1e6 / Double(CLOCKS_PER_SEC) }
}
