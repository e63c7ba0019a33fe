extension FieldRules {
    /// Why somebody declines, leaves or ends: free text for the record and the other side.
    static func reason(_ text: String?) throws(Problem) {
        guard let text else { return }
        guard text.unicodeScalars.count <= Limits.reasonCharactersMax else {
            throw .invalid("reason", "must have at most \(Limits.reasonCharactersMax) characters")
        }
    }

    static func ringTimeout(_ seconds: Int) throws(Problem) {
        let range = Limits.ringTimeoutSecondsMin...Limits.ringTimeoutSecondsMax
        guard range.contains(seconds) else {
            throw .invalid("ringTimeoutSeconds", "must be \(range.lowerBound) to \(range.upperBound)")
        }
    }
}
