import Core

/// `PUT /v1/calls/seen`.
struct CallsSeenRequest: Decodable, Sendable {
    let until: Timestamp
}
