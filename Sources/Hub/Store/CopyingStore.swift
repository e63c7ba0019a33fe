package import Core

/// A store that copies itself into files of its own while it serves.
package protocol CopyingStore: EventStore {
    /// Copies the whole store, with every write that was acknowledged before this call, in a state in which it was
    /// between two transactions. Writes go on meanwhile.
    ///
    /// - parameters:
    ///   - file: a name, without a directory.
    ///   - report: called after each step; the next one waits for it. What it throws ends the copy.
    /// - returns: the file's size in bytes. The file is whole and synced then; before, and when this throws, there is
    ///   none of that name.
    /// - throws: the store's error; `CancellationError`.
    func copy(
        to file: String, report: @escaping @Sendable (CopyProgress) async throws -> Void
    ) async throws -> Int64
    /// The size of a copy in bytes; `nil` if there is none.
    func copySize(_ file: String) -> Int64?
    /// Also what an interrupted copy left behind.
    func deleteCopy(_ file: String)
}
