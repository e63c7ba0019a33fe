import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Writes that wait together share a transaction and nothing else.
@Suite struct GroupCommitTests {
    private func run(pageCountMax: Int? = nil, _ body: (SQLiteStore) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet, pageCountMax: pageCountMax)
        try await body(store)
        await store.close()
    }

    @Test func writesThatWaitTogetherShareOneTransaction() async throws {
        try await self.run { store in
            try await withThrowingTaskGroup { group in
                for number in 0..<1000 {
                    group.addTask { _ = try await store.write { try $0.append(.chat("\(number)")) } }
                }
                try await group.waitForAll()
            }
            expect(try await store.read { try everything($0).count }, is: 1000)
            #expect(store.transactionCount < 500, "\(store.transactionCount) transactions for 1000 writes")
        }
    }

    @Test func constraintsAreToldApartFromAnUnavailableStore() async throws {
        try await self.run { store in
            try await store.write { try $0.insert(User.alice) }
            do {
                try await store.write { try $0.insert(User.alice) }
                Issue.record("inserted twice")
            } catch let error as StatementError {
                #expect(error.isConstraint)
                #expect(!error.message.contains("alice"), "no values in messages")
            }
        }
    }

    @Test func aFullDiskFailsWritesAsFullAndReadsGoOn() async throws {
        try await self.run(pageCountMax: 150) { store in
            let large = String(repeating: "x", count: 20_000)
            var written = 0
            var code: StoreError.Code?
            for _ in 0..<200 where code == nil {
                do {
                    _ = try await store.write { try $0.append(.chat(large)) }
                    written += 1
                } catch let error as StoreError {
                    code = error.code
                }
            }
            #expect(code == .full)
            expect(try await store.read { try everything($0).count }, is: written)
            // With room again, writing goes on, and no seq is given twice.
            expect(try await store.write { try $0.trimEvents(through: .max, limit: 1000) }, is: written)
            expect(try await store.write { try $0.append(.chat("small")) }, is: Int64(written) + 1)
        }
    }
}
