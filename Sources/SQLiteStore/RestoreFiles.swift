import Core
import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The files of a restore: a draft beside the database, then the exchange of the two.
struct RestoreFiles {
    let directory: DataDirectory
    let now: Timestamp

    var draft: String { self.directory.databasePath + ".restoring" }
    /// A name that is free.
    private var aside: String {
        let moment = self.now.rfc3339.filter { $0 != "-" && $0 != ":" }
        let name = self.directory.path + "/comblang-replaced-\(moment)"
        var (path, number) = (name + ".sqlite", 1)
        while FileManager.default.fileExists(atPath: path) {
            number += 1
            path = "\(name)-\(number).sqlite"
        }
        return path
    }

    private static let sidecars = ["-wal", "-shm", "-journal"]

    /// Copies the backup, and the log beside it, to the draft, readable for its owner alone.
    ///
    /// - throws: ``StoreError`` `unwritable`.
    func stage(_ file: String) throws(StoreError) {
        self.discard()
        guard FileManager.default.isReadableFile(atPath: file) else {
            throw StoreError(.unwritable, "\(file) cannot be read.")
        }
        do {
            for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: file + suffix) {
                try FileManager.default.copyItem(atPath: file + suffix, toPath: self.draft + suffix)
                guard chmod(self.draft + suffix, 0o600) == 0 else { throw CocoaError(.fileWriteNoPermission) }
            }
        } catch {
            throw StoreError(.unwritable, "\(file) cannot be copied to \(self.directory.path): is there room for it?")
        }
    }

    func discard() {
        for suffix in [""] + Self.sidecars { unlink(self.draft + suffix) }
    }

    /// Puts the draft in the database's place; at every moment there is one of the two, whole.
    ///
    /// - returns: where the former database is now; `nil` if it was empty.
    /// - throws: ``StoreError`` `io`.
    func exchange() throws(StoreError) -> String? {
        let path = self.directory.databasePath
        guard Self.size(self.draft + "-wal") == 0, CopyDirectory.sync(self.draft, O_RDWR) else {
            throw StoreError(.io, "The restored database cannot be brought to disk.")
        }
        let aside = self.aside
        let isEmpty = Self.size(path) == 0 && Self.size(path + "-wal") == 0
        if !isEmpty {
            do {
                // A log that is not empty belongs to a database that could not be opened.
                for suffix in ["", "-wal"] where Self.size(path + suffix) > 0 {
                    try Self.keep(path + suffix, as: aside + suffix)
                }
            } catch {
                throw StoreError(.io, "The former database cannot be kept as \(aside).")
            }
        }
        // Before the exchange: another database's log beside the new one would be taken for its own.
        for suffix in Self.sidecars { unlink(path + suffix) }
        guard CopyDirectory.sync(self.directory.path, O_RDONLY), rename(self.draft, path) == 0,
            CopyDirectory.sync(self.directory.path, O_RDONLY)
        else { throw StoreError(.io, "\(path) cannot be replaced.") }
        self.discard()
        return isEmpty ? nil : aside
    }

    /// A second name where the file system knows that, else a copy.
    private static func keep(_ path: String, as name: String) throws {
        do {
            try FileManager.default.linkItem(atPath: path, toPath: name)
        } catch {
            try FileManager.default.copyItem(atPath: path, toPath: name)
        }
    }

    private static func size(_ path: String) -> Int64 {
        var status = stat()
        return stat(path, &status) == 0 ? Int64(status.st_size) : 0
    }
}
