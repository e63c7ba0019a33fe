extension String {
    /// So many characters of `[0-9a-z]`.
    package init(randomBase36 count: Int, from generator: inout some RandomNumberGenerator) {
        let digits = Array("0123456789abcdefghijklmnopqrstuvwxyz")
        self.init((0..<count).compactMap { _ in digits.randomElement(using: &generator) })
    }
}
