import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The directory `backups` (0700) of a data directory: whole copies (0600) under their names, drafts beside them.
struct CopyDirectory: Sendable {
    let path: String

    private func file(_ name: String) -> String { self.path + "/" + name }
    private func draft(_ name: String) -> String { self.path + "/" + name + ".draft" }

    /// Makes an empty private file that is to become the copy `name`. Returns its path.
    ///
    /// - throws: ``StoreError`` `unwritable`.
    func makeDraft(of name: String) throws(StoreError) -> String {
        do {
            try FileManager.default.createDirectory(
                atPath: self.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StoreError(.unwritable, "The directory \(self.path) cannot be made.")
        }
        guard !FileManager.default.fileExists(atPath: self.file(name)) else {
            throw StoreError(.unwritable, "There is a file \(self.file(name)) already.")
        }
        let draft = self.draft(name)
        unlink(draft)
        let descriptor = open(draft, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreError(.unwritable, "\(draft) cannot be written.") }
        close(descriptor)
        return draft
    }

    /// Gives a draft its name once it is on disk. Returns its size.
    ///
    /// - throws: ``StoreError`` `io`.
    func publish(_ draft: String, as name: String) throws(StoreError) -> Int64 {
        guard Self.sync(draft, O_RDWR), rename(draft, self.file(name)) == 0, Self.sync(self.path, O_RDONLY),
            let size = self.size(of: name)
        else { throw StoreError(.io, "\(draft) cannot be brought to disk.") }
        return size
    }

    func size(of name: String) -> Int64? {
        var status = stat()
        return stat(self.file(name), &status) == 0 ? Int64(status.st_size) : nil
    }

    /// The copy of this name, and its draft.
    func delete(_ name: String) {
        unlink(self.file(name))
        unlink(self.draft(name))
    }

    /// Brings a file or a directory to disk.
    static func sync(_ path: String, _ flags: Int32) -> Bool {
        let descriptor = open(path, flags | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return fsync(descriptor) == 0
    }
}
