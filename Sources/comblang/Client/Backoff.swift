/// How long to wait before trying again: doubles from half a second to 15 seconds, less a random part of up to half,
/// so that clients cut off together do not return together.
struct Backoff {
    private var attempts = 0

    mutating func reset() { self.attempts = 0 }

    mutating func next() -> Duration {
        let ceiling = min(15.0, 0.5 * Double(1 << min(self.attempts, 10)))
        self.attempts += 1
        return .milliseconds(Int(1000 * ceiling * Double.random(in: 0.5...1)))
    }
}
