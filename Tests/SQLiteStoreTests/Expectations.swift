import Testing

// Functions, as Swift 6.3.1 mixes closures inside the arguments of `#expect` up with others of the same function: the
// wrong one is called, without a warning.

/// Expects the two to be equal.
func expect<Value: Equatable>(
    _ actual: Value?, is expected: Value?, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(actual == expected, sourceLocation: sourceLocation)
}

/// Expects `body` to throw an error of this type.
func expectFailure<Failure: Error>(
    _ type: Failure.Type, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    } catch {
        #expect(error is Failure, sourceLocation: sourceLocation)
    }
}
