import Core
import Testing

/// What a remote room makes us remember.
struct RecentIDsTests {
    @Test func eachIsNewOnceAndTheOldestAreForgottenByTheHalf() {
        var ids = RecentIDs(countMax: 3)
        let isNew = (1...6).map { ids.insert("\($0)") }
        #expect(isNew.allSatisfy { $0 })
        let isKnown = (1...6).map { ids.contains("\($0)") }
        #expect(isKnown.allSatisfy { $0 })
        let again = ids.insert("4")
        #expect(!again)
        let seventh = ids.insert("7")
        #expect(seventh && !ids.contains("1") && ids.contains("4"))
        ids.remove("4")
        #expect(!ids.contains("4"))
    }

    @Test func bytesAreBoundedAsWell() {
        var ids = RecentIDs(countMax: 1000, bytesMax: 10)
        let long = String(repeating: "a", count: 11)
        let isNew = [ids.insert(long), ids.insert(long)]
        #expect(isNew == [true, true], "too long to be remembered")
        for number in 0..<100 { _ = ids.insert("\(1000 + number)") }
        let kept = (0..<100).filter { ids.contains("\(1000 + $0)") }.count
        #expect((2...4).contains(kept))
    }
}
