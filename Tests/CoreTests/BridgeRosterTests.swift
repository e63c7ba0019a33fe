import Core
import TestSupport
import Testing

struct BridgeRosterTests {
    @Test func thoseWhoSpeakComeBeforeThoseWhoRead() {
        let readers = (1...Limits.bridgeSessionsMax).map { UserID.fixture($0) }
        let (speaker, caller) = (UserID.fixture(9001), UserID.fixture(9000))
        let users = BridgeRoster.users(speaking: [speaker], calling: [caller, speaker], reading: readers)
        #expect(users.count == Limits.bridgeSessionsMax)
        #expect(users.prefix(3) == [speaker, caller, readers[0]])
        #expect(!users.contains(readers[Limits.bridgeSessionsMax - 1]))
    }
}
