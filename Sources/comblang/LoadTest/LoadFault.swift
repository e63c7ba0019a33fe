/// Why a connection of the load test is given up; counted under its text.
struct LoadFault: Error, Hashable, Sendable {
    let text: String
    init(_ text: String) { self.text = text }
}
