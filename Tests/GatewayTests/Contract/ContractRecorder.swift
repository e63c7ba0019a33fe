import Core
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing

/// Sends requests, holds each answer against the contract and remembers which answers were seen.
final class ContractRecorder {
    let contract: Contract
    private let client: any TestClientProtocol
    /// By operation id.
    private(set) var seen: [String: Set<Int>] = [:]

    init(_ contract: Contract, _ client: any TestClientProtocol) {
        self.contract = contract
        self.client = client
    }

    /// - parameter path: with its query.
    /// - returns: the answer, which was as the contract says or is reported as an issue.
    @discardableResult
    func send(
        _ method: HTTPRequest.Method, _ path: String, token: String? = nil, headers: HTTPFields = [:],
        body: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> ContractAnswer {
        var headers = headers
        if let token { headers[.authorization] = "Bearer \(token)" }
        if body != nil, headers[.contentType] == nil { headers[.contentType] = "application/json" }
        let response = try await self.client.executeRequest(
            uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
        let answer = ContractAnswer(
            status: response.status.code,
            headers: Dictionary(
                response.headers.map { ($0.name.canonicalName, $0.value) }, uniquingKeysWith: { first, _ in first }),
            text: String(buffer: response.body))
        let plainPath = String(path.prefix { $0 != "?" })
        let operation = try #require(
            self.contract.operation(method.rawValue, plainPath), "\(method) \(path)", sourceLocation: sourceLocation)
        self.seen[operation.id, default: []].insert(answer.status)
        let differences = self.contract.differences(in: answer, to: operation)
        #expect(differences.isEmpty, "\(operation.id): \(differences)", sourceLocation: sourceLocation)
        return answer
    }

    /// As ``send(_:_:token:headers:body:sourceLocation:)``, for an operation by its name.
    @discardableResult
    func send(
        _ request: ContractRequest, _ place: ContractPlace, token: String? = nil, headers: HTTPFields = [:],
        query: String = "", body: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> ContractAnswer {
        let operation = try #require(
            self.contract.operations.first { $0.id == request.id }, "\(request.id)", sourceLocation: sourceLocation)
        let own = place.filling(request.query)
        let joined = [own, query].filter { !$0.isEmpty }.joined(separator: "&")
        var allHeaders = request.headers
        for field in headers { allHeaders[field.name] = field.value }
        let path = place.filling(operation.path) + (joined.isEmpty ? "" : "?\(joined)")
        return try await self.send(
            HTTPRequest.Method(operation.method) ?? .get, path, token: token, headers: allHeaders,
            body: body ?? request.body.map { place.filling($0) }, sourceLocation: sourceLocation)
    }

    /// What the contract says may be answered and was not, as `operation status`; `rare` is left out.
    func unseen(rare: Set<Int>) -> [String] {
        self.contract.operations.flatMap { operation in
            operation.statuses.subtracting(self.seen[operation.id] ?? []).subtracting(rare).sorted()
                .map { "\(operation.id) \($0)" }
        }
    }
}

/// What stands for the parameters of a path, and for the names in a body.
struct ContractPlace {
    var room = "room_00000000000000000000000000"
    var user = "usr_00000000000000000000000000"
    var message = "msg_00000000000000000000000000"
    var call = "call_00000000000000000000000000"
    var connection = "con_000000-1"
    var backup = "bak_00000000000000000000000000"
    var slug = "no-such-problem"
    var bridge = "no-such-bridge"

    /// Replaces `{room}` and the like.
    func filling(_ template: String) -> String {
        template.replacing("{room}", with: self.room).replacing("{user}", with: self.user)
            .replacing("{message}", with: self.message).replacing("{call}", with: self.call)
            .replacing("{slug}", with: self.slug).replacing("{backup}", with: self.backup)
            .replacing("{connection}", with: self.connection).replacing("{bridge}", with: self.bridge)
    }
}

/// One operation with a request that is well-formed.
struct ContractRequest {
    let id: String
    /// Parameters without which the request would mean something else.
    var query = ""
    var headers: HTTPFields = [:]
    var body: String?
    /// A body of the right shape with a field out of its range; `nil` if it takes no body.
    var badBody: String?

    /// All that a signed-in user may ask for, but for the open operations and signing out.
    static let all: [ContractRequest] = [
        ContractRequest(id: "listUsers"),
        ContractRequest(id: "getUser"),
        ContractRequest(id: "updateUser", body: #"{"displayName":"Somebody"}"#, badBody: #"{"color":"red"}"#),
        ContractRequest(id: "createStreamTicket"),
        ContractRequest(id: "createRoom", body: #"{"title":"Another"}"#, badBody: #"{"visibility":"secret"}"#),
        ContractRequest(id: "listRooms"),
        ContractRequest(id: "getRoom"),
        ContractRequest(id: "updateRoom", body: #"{"title":"Changed"}"#, badBody: #"{"archived":"yes"}"#),
        ContractRequest(id: "listMembers"),
        ContractRequest(id: "putMember", body: #"{"role":"member"}"#, badBody: #"{"role":"king"}"#),
        ContractRequest(id: "deleteMember"),
        ContractRequest(id: "postMessage", body: #"{"content":"Halo"}"#, badBody: #"{"content":""}"#),
        ContractRequest(id: "listMessages"),
        ContractRequest(id: "getMessage"),
        ContractRequest(id: "editMessage", body: #"{"content":"Hai"}"#, badBody: #"{"content":""}"#),
        ContractRequest(id: "deleteMessage"),
        ContractRequest(id: "sendTyping"),
        ContractRequest(id: "markRead", body: #"{"message":"{message}"}"#, badBody: #"{"message":"first"}"#),
        ContractRequest(id: "pollEvents"),
        ContractRequest(id: "streamEvents"),
        ContractRequest(id: "pollRoomEvents"),
        ContractRequest(id: "streamRoomEvents"),
        ContractRequest(id: "pollCallEvents"),
        ContractRequest(id: "streamCallEvents"),
        ContractRequest(
            id: "openWebSocket", query: "call={call}",
            headers: [
                .upgrade: "websocket", .connection: "Upgrade", .secWebSocketVersion: "13",
                .secWebSocketKey: "dGhlIHNhbXBsZSBub25jZQ==",
            ]),
        ContractRequest(
            id: "openRoomSocket",
            headers: [
                .upgrade: "websocket", .connection: "Upgrade", .secWebSocketVersion: "13",
                .secWebSocketKey: "dGhlIHNhbXBsZSBub25jZQ==",
            ]),
        ContractRequest(
            id: "createCall", body: #"{"media":{"audio":true,"video":true}}"#,
            badBody: #"{"media":{"audio":true,"video":true},"ringTimeoutSeconds":5}"#),
        ContractRequest(id: "listCalls"),
        ContractRequest(id: "getCall"),
        ContractRequest(id: "joinCall", body: "{}", badBody: #"{"takeover":"yes"}"#),
        ContractRequest(id: "inviteToCall", body: #"{"users":["{user}"]}"#, badBody: #"{"users":[]}"#),
        ContractRequest(
            id: "sendSignal", body: #"{"to":"{user}","type":"renegotiate"}"#, badBody: #"{"to":"@x","type":"shout"}"#),
        ContractRequest(id: "rejectCall", body: "{}", badBody: #"{"reason":5}"#),
        ContractRequest(id: "leaveCall", body: "{}", badBody: #"{"reason":5}"#),
        ContractRequest(id: "endCall", body: "{}", badBody: #"{"reason":5}"#),
        ContractRequest(
            id: "updateParticipant", body: #"{"connection":"connected"}"#, badBody: #"{"connection":"maybe"}"#),
        ContractRequest(
            id: "reportQuality", body: #"{"rttMs":48.2,"localCandidateType":"relay"}"#, badBody: #"{"packetLoss":2}"#),
        ContractRequest(
            id: "markCallsSeen", body: #"{"until":"2026-11-22T13:26:02.551Z"}"#, badBody: #"{"until":"yesterday"}"#),
        ContractRequest(id: "getIceServers", query: "call={call}"),
        ContractRequest(id: "searchMessages", query: "q=halo"),
        ContractRequest(
            id: "changeUserRights", body: #"{"suspended":false}"#, badBody: #"{"role":"emperor"}"#),
        ContractRequest(id: "deleteUser"),
        ContractRequest(
            id: "createBridge", body: #"{"name":"far","room":"lobby","url":"ws://127.0.0.1:1/{room}","paused":true}"#,
            badBody: #"{"name":"far","room":"lobby","url":"http://127.0.0.1"}"#),
        ContractRequest(id: "listBridges"),
        ContractRequest(id: "getBridge"),
        ContractRequest(id: "pauseBridge", body: #"{"paused":true}"#, badBody: #"{"paused":1}"#),
        ContractRequest(id: "deleteBridge"),
    ]

    static func named(_ id: String) -> ContractRequest { self.all.first { $0.id == id } ?? ContractRequest(id: id) }
}
