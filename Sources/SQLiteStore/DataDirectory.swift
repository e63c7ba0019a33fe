import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The directory of one server's files, held by this process alone until ``unlock()`` or the end of this value.
///
/// The lock is the operating system's (`flock` on `comblang.lock`), so that it vanishes with the process, however
/// that ends. The file stays.
final class DataDirectory: Sendable {
    let path: String
    var databasePath: String { self.path + "/comblang.sqlite" }
    var copies: CopyDirectory { CopyDirectory(path: self.path + "/backups") }
    /// `nil` once unlocked.
    private let lockDescriptor: Mutex<Int32?>

    /// Makes the directory (0700) and an empty database file (0600) if they are missing.
    ///
    /// - throws: ``StoreError`` `alreadyServed` or `unwritable`.
    init(_ path: String) throws(StoreError) {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StoreError(.unwritable, "The data directory \(path) cannot be made.")
        }
        self.lockDescriptor = Mutex(try Self.lock(path, with: try Self.openPrivately(path + "/comblang.lock")))
        // SQLite would make the file readable for all; its -wal and -shm get the mode of the file.
        Self.closeDescriptor(try Self.openPrivately(path + "/comblang.sqlite"))
    }

    /// Locks a directory that is there, and makes and changes nothing. One that was never served has no lock to take.
    ///
    /// - throws: as above.
    init(lookingAt path: String) throws(StoreError) {
        self.path = path
        let file = path + "/comblang.lock"
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else {
                throw StoreError(.unwritable, "\(file) cannot be read: \(Self.text(of: errno)).")
            }
            self.lockDescriptor = Mutex(nil)
            return
        }
        self.lockDescriptor = Mutex(try Self.lock(path, with: descriptor))
    }

    /// Returns the descriptor, now with the lock.
    private static func lock(_ path: String, with descriptor: Int32) throws(StoreError) -> Int32 {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            Self.closeDescriptor(descriptor)
            guard reason == EWOULDBLOCK else {
                throw StoreError(.unwritable, "The data directory \(path) cannot be locked: \(Self.text(of: reason)).")
            }
            throw StoreError(.alreadyServed, "The data directory \(path) is in use by another comblang process.")
        }
        return descriptor
    }

    deinit { self.unlock() }

    /// Lets another process have the directory. Safe to repeat.
    func unlock() {
        self.lockDescriptor.withLock { descriptor in
            if let descriptor { Self.closeDescriptor(descriptor) }
            descriptor = nil
        }
    }

    private static func openPrivately(_ path: String) throws(StoreError) -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError(.unwritable, "\(path) cannot be written: \(Self.text(of: errno)).")
        }
        guard fchmod(descriptor, 0o600) == 0 else {
            let reason = errno
            Self.closeDescriptor(descriptor)
            throw StoreError(.unwritable, "\(path) cannot be made private: \(Self.text(of: reason)).")
        }
        return descriptor
    }

    /// The system's, where a method named `close` would hide it.
    private static func closeDescriptor(_ descriptor: Int32) { _ = close(descriptor) }

    private static func text(of code: Int32) -> String { String(cString: strerror(code)) }
}
