import Core
import Testing
import WebSocketWire

/// The room protocol's frames as DESIGN.md, section 5, writes them.
struct RoomFrameTests {
    private static let ani = RoomFrame.Person(userID: "usr_1", username: "Ani", color: "#aabbcc")

    @Test(arguments: [
        (#"{"type":"message","content":"hai"}"#, ClientFrame.message(content: "hai", metadata: nil)),
        (
            #"{"type":"message","content":"📞","metadata":{"action":"join_call"}}"#,
            .message(content: "📞", metadata: .object(["action": .string("join_call")]))
        ),
        (#"{"type":"message","content":"hai","metadata":null}"#, .message(content: "hai", metadata: nil)),
        (
            #"{"type":"signal","to":"usr_2","content":"{\"type\":\"reject\"}"}"#,
            .signal(to: "usr_2", content: #"{"type":"reject"}"#)
        ),
        (#"{"type":"typing"}"#, .typing), (#" { "type" : "ping" } "#, .ping),
        (#"{"type":"ping","nonce":[1,{"a":null}],"to":7}"#, .ping),
    ])
    func whatTheSeedSendsIsRead(_ text: String, _ frame: ClientFrame) throws {
        #expect(try ClientFrame(text) == frame)
        #expect(try ClientFrame(frame.text) == frame)
    }

    @Test(arguments: [
        ("", RoomFrameError.invalidJSON), ("{", .invalidJSON), ("[]", .invalidJSON), ("\"ping\"", .invalidJSON),
        ("null", .invalidJSON), (String(repeating: "[", count: 100_000), .invalidJSON),
        ("{}", .unknownType("")), (#"{"type":7}"#, .unknownType("")), (#"{"type":"welcome"}"#, .unknownType("welcome")),
        (#"{"type":"message"}"#, .invalidMember("content", expected: "must be a string")),
        (#"{"type":"message","content":7}"#, .invalidMember("content", expected: "must be a string")),
        (#"{"type":"signal","content":"{}"}"#, .invalidMember("to", expected: "must be a user's id")),
        (#"{"type":"signal","to":5,"content":"{}"}"#, .invalidMember("to", expected: "must be a user's id")),
        (#"{"type":"signal","to":"u","content":{}}"#, .invalidMember("content", expected: "must be a string")),
    ])
    func whatIsNoFrameIsSaidToBeNone(_ text: String, _ error: RoomFrameError) {
        #expect(throws: error) { try ClientFrame(text) }
    }

    @Test func idsAndNamesOfARemoteRoomAreCut() throws {
        let long = String(repeating: "é", count: Limits.remoteNameCharactersMax)
        for more in ["", "e", long] {
            let person = #""userId":"\#(long + more)","username":"\#(long + more)""#
            let frame = try RoomFrame(#"{"type":"join",\#(person)}"#)
            #expect(frame == .join(RoomFrame.Person(userID: long, username: long, color: ""), timestamp: nil))
            guard
                case .message(let message) = try RoomFrame(
                    #"{"type":"message","id":"\#(long + more)","content":"x",\#(person)}"#)
            else { return }
            #expect(message.id == long)
        }
    }

    @Test func anUnknownTypeIsRepeatedOnlyInPart() {
        let type = String(repeating: "x", count: 100_000)
        #expect(throws: RoomFrameError.unknownType(String(repeating: "x", count: 64))) {
            try ClientFrame(#"{"type":"\#(type)"}"#)
        }
    }

    @Test(arguments: [
        (
            RoomFrame.message(
                .init(id: "msg_1", person: ani, content: "hai\n", metadata: nil, timestamp: 1_700_000_000_123)),
            ##"{"color":"#aabbcc","content":"hai\n","id":"msg_1","metadata":null,"timestamp":1700000000123,"##
                + #""type":"message","userId":"usr_1","username":"Ani"}"#
        ),
        (
            .signal(from: ani, content: #"{"type":"offer"}"#, timestamp: 5),
            ##"{"color":"#aabbcc","content":"{\"type\":\"offer\"}","timestamp":5,"type":"signal","##
                + #""userId":"usr_1","username":"Ani"}"#
        ),
        (
            .join(ani, timestamp: 5),
            ##"{"color":"#aabbcc","timestamp":5,"type":"join","userId":"usr_1","username":"Ani"}"##
        ),
        (
            .leave(ani, timestamp: 5),
            ##"{"color":"#aabbcc","timestamp":5,"type":"leave","userId":"usr_1","username":"Ani"}"##
        ),
        (
            .typing(ani, timestamp: 5),
            ##"{"color":"#aabbcc","timestamp":5,"type":"typing","userId":"usr_1","username":"Ani"}"##
        ),
        (.pong, #"{"type":"pong"}"#),
        (.error(code: "not-found", message: "x"), #"{"code":"not-found","message":"x","type":"error"}"#),
        (
            .welcome(
                .init(
                    person: ani, users: [ani],
                    history: [.init(id: "m", person: ani, content: "hai", metadata: nil, timestamp: 5)],
                    cursor: "k3.7", resumeToken: "cbw_x")),
            ##"{"color":"#aabbcc","cursor":"k3.7","history":[{"color":"#aabbcc","content":"hai","id":"m","##
                + ##""metadata":null,"timestamp":5,"type":"message","userId":"usr_1","username":"Ani"}],"##
                + ##""resumeToken":"cbw_x","type":"welcome","userId":"usr_1","username":"Ani","##
                + ##""users":[{"color":"#aabbcc","userId":"usr_1","username":"Ani"}]}"##
        ),
    ])
    func whatARoomSaysIsWrittenAndReadAgain(_ frame: RoomFrame, _ text: String) throws {
        #expect(frame.text == text)
        #expect(try RoomFrame(text) == frame)
    }

    @Test(arguments: [
        // The seed's actor has no ids of messages; others number theirs, or count fractions of milliseconds.
        (
            #"{"type":"message","userId":"a","content":"x"}"#,
            RoomFrame.message(
                .init(
                    id: nil, person: .init(userID: "a", username: "a", color: ""), content: "x", metadata: nil,
                    timestamp: nil))
        ),
        (
            #"{"type":"message","id":12,"userId":3,"username":"Ani","content":"x","timestamp":5.75,"likes":1}"#,
            .message(
                .init(
                    id: "12", person: .init(userID: "3", username: "Ani", color: ""), content: "x", metadata: nil,
                    timestamp: 5))
        ),
        (
            #"{"type":"welcome","session":"s-1","users":[{"userId":"a"},7,{}],"history":"none"}"#,
            .welcome(
                .init(
                    person: nil, users: [.init(userID: "a", username: "a", color: "")], history: [], cursor: nil,
                    resumeToken: nil))
        ),
        (#"{"type":"error"}"#, .error(code: "", message: "")),
    ])
    func whatARoomOfAnotherMakeLeavesOutIsNotMissed(_ text: String, _ frame: RoomFrame) throws {
        #expect(try RoomFrame(text) == frame)
    }

    @Test(arguments: [
        ("nonsense", RoomFrameError.invalidJSON), (#"{"type":"reaction"}"#, .unknownType("reaction")),
        (
            #"{"type":"message","content":"x"}"#, .invalidMember("userId", expected: "must be a user's id")
        ),
        (
            #"{"type":"signal","userId":"a","content":{}}"#, .invalidMember("content", expected: "must be a string")
        ),
    ])
    func whatARoomCannotMeanIsAnError(_ text: String, _ error: RoomFrameError) {
        #expect(throws: error) { try RoomFrame(text) }
    }

    @Test func membersThatOnlyAnotherRoomHasCanBeAskedFor() throws {
        let members = try FrameMembers(#"{"type":"welcome","session":"s-1"}"#)
        #expect(members.identifier("session") == "s-1")
        guard case .welcome(let welcome) = try RoomFrame(members) else { throw RoomFrameError.invalidJSON }
        #expect(welcome.person == nil)
    }
}

/// What becomes of a client's frames, as transcripts.
struct RoomConnectionStateMachineTests {
    @Test func framesAreCarriedOutAndNothingIsAnsweredUnlessRefused() {
        var room = RoomConnectionStateMachine()
        #expect(
            room.textReceived(#"{"type":"message","content":"hai"}"#)
                == .carryOut(.say(content: "hai", metadata: nil)))
        #expect(room.textReceived(#"{"type":"typing"}"#) == .carryOut(.type))
        #expect(
            room.textReceived(#"{"type":"signal","to":"usr_1","content":"{}"}"#)
                == .carryOut(.signal(to: "usr_1", content: "{}")))
        #expect(room.frameDone(nil) == .ignore)
        let refusal = RoomFrame.error(code: "room-archived", message: "x")
        #expect(room.frameDone(refusal) == .answer(refusal))
        #expect(room.mayRead)
    }

    @Test func pingsAreAnsweredAtOnce() {
        var room = RoomConnectionStateMachine()
        #expect(room.textReceived(#"{"type":"ping"}"#) == .answer(.pong))
    }

    @Test func whatIsNoFrameIsAnsweredAndTheNextOneIsTaken() {
        var room = RoomConnectionStateMachine()
        #expect(
            room.textReceived("hai") == .answer(.error(code: "invalid-json", message: "a frame is a JSON object")))
        #expect(
            room.textReceived(#"{"type":"dance"}"#)
                == .answer(.error(code: "unknown-type", message: "there is no frame of type dance")))
        #expect(room.binaryReceived() == .answer(.error(code: "binary-frame", message: "frames are text")))
        #expect(room.textReceived(#"{"type":"typing"}"#) == .carryOut(.type))
    }

    @Test func aClientThatSendsFasterThanItIsServedIsNotReadFrom() {
        var room = RoomConnectionStateMachine()
        for _ in 1..<RoomConnectionStateMachine.pendingFramesMax { _ = room.textReceived(#"{"type":"typing"}"#) }
        #expect(room.mayRead)
        #expect(room.textReceived(#"{"type":"typing"}"#) == .carryOut(.type))
        #expect(!room.mayRead)
        #expect(room.frameDone(nil) == .ignore)
        #expect(room.mayRead)
    }

    @Test func whatOneReadBringsIsBounded() {
        var room = RoomConnectionStateMachine()
        for _ in 0..<RoomConnectionStateMachine.readFramesMax { _ = room.textReceived(#"{"type":"typing"}"#) }
        #expect(
            room.textReceived(#"{"type":"typing"}"#)
                == .close(WebSocketClose(.policyViolation, "too many frames at once")))
    }

    @Test func aClientThatAsksAndNeverReadsIsOwedOneAnswer() {
        var room = RoomConnectionStateMachine()
        #expect(room.writabilityChanged(to: false) == .ignore)
        #expect(!room.mayRead)
        for _ in 0..<1000 { #expect(room.textReceived(#"{"type":"ping"}"#) == .ignore) }
        #expect(room.writabilityChanged(to: true) == .answer(.pong))
        #expect(room.writabilityChanged(to: true) == .ignore)
        #expect(room.mayRead)
    }
}
