import Foundation
import Synchronization

/// How far long work is: one line on stderr that is written over, when that is a terminal; else nothing.
final class ProgressLine: Sendable {
    private struct State {
        var shownAt: ContinuousClock.Instant?
        var isShown = false
    }

    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let startedAt = ContinuousClock.now
    private let state = Mutex(State())

    /// Shows it, unless the work began or something was shown less than a fifth of a second ago.
    func show(_ text: @autoclosure () -> String) {
        guard self.isTerminal else { return }
        let now = ContinuousClock.now
        let isDue = self.state.withLock { state in
            guard now - (state.shownAt ?? self.startedAt) > .milliseconds(200) else { return false }
            (state.shownAt, state.isShown) = (now, true)
            return true
        }
        if isDue { self.write("\r\u{1B}[K\(text())") }
    }

    /// Takes the line away.
    func clear() {
        let wasShown = self.state.withLock { state in
            defer { state.isShown = false }
            return state.isShown
        }
        if wasShown { self.write("\r\u{1B}[K") }
    }

    private func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
}
