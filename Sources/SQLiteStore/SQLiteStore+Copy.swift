package import Core
import Foundation
import Hub

extension SQLiteStore: CopyingStore {
    package func copy(
        to file: String, report: @escaping @Sendable (CopyProgress) async throws -> Void
    ) async throws -> Int64 {
        let files = self.directory.copies
        let draft = try files.makeDraft(of: file)
        do {
            // Let go before the file gets its name.
            try await self.copy(into: draft, report: report)
            return try files.publish(draft, as: file)
        } catch {
            files.delete(file)
            throw translated(error)
        }
    }

    private func copy(
        into path: String, report: @escaping @Sendable (CopyProgress) async throws -> Void
    ) async throws {
        let copy = try DatabaseCopy(to: path)
        do {
            var isDone = false
            while !isDone {
                let start = ContinuousClock.now
                let step = try await self.between { try copy.step($0) }
                isDone = step.isDone
                try await report(step.progress)
                // Half of the time is the writes'.
                if !isDone { try await Task.sleep(for: max(.milliseconds(1), .now - start)) }
            }
        } catch {
            // It fails only for a database that is closed, which has no copies under way.
            try? await self.between { _ in copy.finish() }
            throw error
        }
    }

    package func copySize(_ file: String) -> Int64? { self.directory.copies.size(of: file) }

    package func deleteCopy(_ file: String) { self.directory.copies.delete(file) }
}
