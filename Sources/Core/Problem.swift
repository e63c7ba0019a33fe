/// What went wrong, for strangers: RFC 9457 `application/problem+json`, and the slug of a WebSocket close.
///
/// The one catalogue: nothing else decides a status. A test compares it with `openapi/openapi.yaml`.
package struct Problem: Error, Hashable, Sendable {
    /// The kinds, by slug: `type` is `/problems/<slug>`.
    package enum Kind: String, CaseIterable, Sendable {
        case invalidRequest = "invalid-request"
        case invalidJSON = "invalid-json"
        case invalidCursor = "invalid-cursor"
        case unauthorized = "unauthorized"
        case forbidden = "forbidden"
        case accountSuspended = "account-suspended"
        case insufficientScope = "insufficient-scope"
        case registrationClosed = "registration-closed"
        case inviteRequired = "invite-required"
        case notAMember = "not-a-member"
        case notFound = "not-found"
        case methodNotAllowed = "method-not-allowed"
        case nameTaken = "name-taken"
        case lastOwner = "last-owner"
        case lastAdmin = "last-admin"
        case roomArchived = "room-archived"
        case notJoined = "not-joined"
        case joinedElsewhere = "joined-elsewhere"
        case callEnded = "call-ended"
        case callFull = "call-full"
        case illegalMove = "illegal-move"
        case glare = "glare"
        case callGlare = "call-glare"
        case staleOffer = "stale-offer"
        case candidateQueueFull = "candidate-queue-full"
        case backupRunning = "backup-running"
        case limitReached = "limit-reached"
        case cursorExpired = "cursor-expired"
        case bodyTooLarge = "body-too-large"
        case unsupportedMediaType = "unsupported-media-type"
        case validationFailed = "validation-failed"
        case upgradeRequired = "upgrade-required"
        case idempotencyKeyReused = "idempotency-key-reused"
        case tooManyStreams = "too-many-streams"
        case rateLimited = "rate-limited"
        case internalError = "internal-error"
        case unavailable = "unavailable"

        package var status: Int {
            switch self {
            case .invalidRequest, .invalidJSON, .invalidCursor: 400
            case .unauthorized: 401
            case .forbidden, .accountSuspended, .insufficientScope, .registrationClosed, .inviteRequired, .notAMember:
                403
            case .notFound: 404
            case .methodNotAllowed: 405
            case .nameTaken, .lastOwner, .lastAdmin, .roomArchived, .notJoined, .joinedElsewhere, .callEnded, .callFull,
                .illegalMove, .glare, .callGlare, .staleOffer, .candidateQueueFull, .backupRunning, .limitReached:
                409
            case .cursorExpired: 410
            case .bodyTooLarge: 413
            case .unsupportedMediaType: 415
            case .validationFailed, .idempotencyKeyReused: 422
            case .upgradeRequired: 426
            case .tooManyStreams, .rateLimited: 429
            case .internalError: 500
            case .unavailable: 503
            }
        }

        package var title: String {
            switch self {
            case .invalidRequest: "The request is malformed"
            case .invalidJSON: "The body is not valid JSON"
            case .invalidCursor: "The cursor is malformed"
            case .unauthorized: "Valid credentials are required"
            case .forbidden: "You may not do this"
            case .accountSuspended: "The account is suspended"
            case .insufficientScope: "The API key does not reach this far"
            case .registrationClosed: "Nobody can sign up here"
            case .inviteRequired: "Signing up takes an invite"
            case .notAMember: "You are not a member of this room"
            case .notFound: "There is no such thing here"
            case .methodNotAllowed: "The resource does not support this method"
            case .nameTaken: "The name is taken"
            case .lastOwner: "A room needs an owner"
            case .lastAdmin: "A server needs an admin"
            case .roomArchived: "The room is archived"
            case .notJoined: "Both sides must have joined the call"
            case .joinedElsewhere: "Another device of yours is in this call"
            case .callEnded: "The call has ended"
            case .callFull: "The call is full"
            case .illegalMove: "The call does not allow this now"
            case .glare: "The other side's offer is pending"
            case .callGlare: "They are calling you"
            case .staleOffer: "The offer is not pending any more"
            case .candidateQueueFull: "Too many candidates"
            case .backupRunning: "A backup is under way"
            case .limitReached: "A limit is reached"
            case .cursorExpired: "The log no longer reaches back to this cursor"
            case .bodyTooLarge: "The body is too large"
            case .unsupportedMediaType: "The body must be JSON"
            case .validationFailed: "A field is not valid"
            case .upgradeRequired: "This resource speaks WebSocket"
            case .idempotencyKeyReused: "The idempotency key was used for another request"
            case .tooManyStreams: "Too many open streams"
            case .rateLimited: "Too many requests"
            case .internalError: "The server failed"
            case .unavailable: "The server cannot take this now"
            }
        }

        /// For `/problems/<slug>`: when it happens and what to do about it, in a few sentences.
        package var explanation: String {
            switch self {
            case .invalidRequest:
                "The request line, a header or the query string cannot be read: invalid UTF-8, a NUL, a malformed percent-escape. Fix the client."
            case .invalidJSON:
                "The body is not a JSON object in UTF-8. Check quoting (in a shell, put the body in single quotes) and that the body was sent whole."
            case .invalidCursor:
                "A cursor has the form <epoch>.<seq>, as in Event-Cursor or an event's id. Send it back exactly as you received it."
            case .unauthorized:
                "The access token, API key, ticket or leave token is missing, malformed, expired or revoked. Refresh the token (POST /v1/tokens with grant refresh) or sign in again."
            case .forbidden: "You are known, but your role does not allow this. Ask an owner, moderator or admin."
            case .accountSuspended:
                "An admin suspended this account: its sessions ended, and it cannot sign in until an admin lets it in again."
            case .insufficientScope:
                "The API key lacks the scope that this takes, or it is something that no key may do (making keys, deleting the account). Make a key with the scope that detail names, or sign in."
            case .registrationClosed:
                "This server's admins make all accounts, and there are no guests. Ask one of them."
            case .inviteRequired:
                "Ask an admin for an invite (POST /v1/admin/invites) and send its code as invite. An invite is for so many people and expires."
            case .notAMember:
                "Only members may do this in a public room. Join it first: PUT /v1/rooms/{room}/members/me."
            case .notFound:
                "The thing does not exist, or it belongs to a private room that you are not in; the two look the same on purpose."
            case .methodNotAllowed: "The Allow header lists what the resource supports."
            case .nameTaken: "Usernames and room names are unique. Choose another one."
            case .lastOwner:
                "The last owner cannot leave or step down. Make another member owner first, or archive the room."
            case .lastAdmin:
                "The only admin cannot be suspended, step down or be deleted. Make another account admin first: PATCH /v1/admin/users/{user} {\"role\": \"admin\"}."
            case .roomArchived:
                "An archived room can be read but not written to. An owner can take it out of the archive: PATCH {\"archived\": false}."
            case .notJoined:
                "Signals pass only between participants who have joined. Join first, and wait for the other side's call.participant event."
            case .joinedElsewhere: "Send takeover: true to move the call to this device."
            case .callEnded: "The call is over; its record remains. Start another one."
            case .callFull: "The call has as many joined participants as this server allows."
            case .illegalMove:
                "The call is in a state in which this makes no sense. The body shows the call as it is now."
            case .glare:
                "Both sides made an offer. The polite side (the smaller user id) rolls its own back and answers the offer named in the body."
            case .callGlare:
                "You called somebody alone who is calling you alone in this room at this moment. The body has their call: join it."
            case .staleOffer:
                "The offer was superseded, rejected, answered or made to an earlier leg. Answer the newest offer you received."
            case .candidateQueueFull:
                "Too many candidates wait or were sent in this ICE generation. The batch was not taken."
            case .backupRunning: "One backup is made at a time. Wait until it is done: GET /v1/admin/backups."
            case .limitReached: "A bound of docs/limits.md would be passed."
            case .cursorExpired:
                "Events older than the retention are gone, or the log was restored from a backup. Reload snapshots (rooms, messages, calls), then follow from the cursor in the body."
            case .bodyTooLarge: "Bodies are at most 256 KiB."
            case .unsupportedMediaType: "Send Content-Type: application/json."
            case .validationFailed: "The body's errors member names each field and says what it must be."
            case .upgradeRequired:
                "Connect with a WebSocket client of version 13. Where a proxy takes the Upgrade header away, use SSE or long-poll: the same events, the same cursor."
            case .idempotencyKeyReused: "A key belongs to one request body. Use a new key for a new request."
            case .tooManyStreams: "A device may have 8 open streams, a user 32. Close one, or share one among tabs."
            case .rateLimited:
                "Requests are counted by user or address, and by kind; detail says which and how many. Wait as long as Retry-After says, and spread requests: the RateLimit header of every counted answer tells what is left. Hanging up is never refused while it changes something."
            case .internalError:
                "A defect or a full disk. The request had no effect; the log has details under the request id."
            case .unavailable:
                "The server is starting, draining or its disk refuses writes. Retry after the time in Retry-After."
            }
        }
    }

    /// One field that is wrong; `field` is a JSON path (`invite[2]`, `media.audio`), a query parameter or a header.
    package struct FieldError: Hashable, Sendable, Codable {
        package let field: String
        package let message: String
        package init(field: String, message: String) {
            self.field = field
            self.message = message
        }
    }

    package var kind: Kind
    /// This occurrence, safe for strangers; `nil` for none.
    package var detail: String?
    package var errors: [FieldError] = []
    /// Further members of the body that the contract lists: `call`, `cursor`, `offer`.
    package var members: [String: JSONValue] = [:]
    package var retryAfterSeconds: Int?
    /// Methods for `Allow`.
    package var allow: [String] = []

    package init(_ kind: Kind, _ detail: String? = nil, members: [String: JSONValue] = [:]) {
        self.kind = kind
        self.detail = detail
        self.members = members
        if kind.status == 429 || kind.status == 503 { self.retryAfterSeconds = 2 }
    }

    /// 422 with the field named.
    package static func invalid(_ field: String, _ message: String) -> Problem {
        var problem = Problem(.validationFailed, "\(field) \(message)")
        problem.errors = [FieldError(field: field, message: message)]
        return problem
    }

    package static let notFound = Problem(.notFound)
    package static let notAMember = Problem(.notAMember)
}
