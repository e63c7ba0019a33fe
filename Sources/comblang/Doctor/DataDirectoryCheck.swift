import Core
import Foundation
import Gateway
import SQLiteStore

/// Looks at a data directory that nobody serves, and changes nothing in it.
struct DataDirectoryCheck {
    /// Below this a busy server stops within minutes: its write-ahead log alone may hold as much.
    private static let freeBytesMin: Int64 = 64 * 1024 * 1024
    private static let freeBytesEnough: Int64 = 1024 * 1024 * 1024
    /// Checking a larger database takes so long that one would wonder.
    private static let quickBytesMax: Int64 = 256 * 1024 * 1024

    let path: String

    private func finding(_ status: Finding.Status, _ text: String, advice: String? = nil) -> Finding {
        Finding(.data, self.path, status, text, advice: advice)
    }

    func findings() -> [Finding] {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: self.path, isDirectory: &isDirectory) else {
            return [
                self.finding(
                    .warning, "there is no such directory yet",
                    advice: "`comblang serve` makes it; if it should be there, check dataDir")
            ]
        }
        guard isDirectory.boolValue else {
            return [self.finding(.failed, "this is a file, not a directory", advice: "choose another dataDir")]
        }
        guard access(self.path, R_OK | W_OK | X_OK) == 0 else {
            return [
                self.finding(
                    .failed, "this user may not read and write it", advice: "run as the user who serves it, or chown it"
                )
            ]
        }
        return self.permissions() + self.space() + self.database() + [self.tokenSecret()].compactMap(\.self)
    }

    /// Whoever can read these can sign in as anybody.
    private func permissions() -> [Finding] {
        let names = ["comblang.sqlite", "comblang.sqlite-wal", "comblang.sqlite-shm"]
        let secrets = [SecretFiles.tokenSecretName, SecretFiles.adminTokenName]
        let files = (names + secrets).map { "\(self.path)/\($0)" }
        let open = ([self.path] + files).filter { FileMode($0)?.isOpenToOthers ?? false }
        guard !open.isEmpty else { return [self.finding(.ok, "its files are for their owner only")] }
        // A directory that nobody else may enter protects what is in it.
        let isClosed = !(FileMode(self.path)?.isOpenToOthers ?? true)
        let isExposed = !isClosed && open.count > 1
        return open.map { file in
            let mode = FileMode(file).map(\.description) ?? ""
            return Finding(
                .data, file, isExposed ? .failed : .warning, "others on this machine may use it (mode \(mode))",
                advice: "chmod \(file == self.path ? "700" : "600") \(file)")
        }
    }

    private func space() -> [Finding] {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: self.path)
        guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.int64Value else { return [] }
        let size = Self.size(of: "\(self.path)/comblang.sqlite") ?? 0
        let words = "\(Self.megabytes(free)) are free on its disk, the database has \(Self.megabytes(size))"
        if free < Self.freeBytesMin {
            return [self.finding(.failed, words, advice: "make room: writes are refused when the disk is full")]
        }
        if free < max(Self.freeBytesEnough, size) {
            return [self.finding(.warning, words, advice: "make room: a backup needs as much again as the database")]
        }
        return [self.finding(.ok, words)]
    }

    private func database() -> [Finding] {
        let inspection: DatabaseInspection?
        if let size = Self.size(of: "\(self.path)/comblang.sqlite"), size > Self.quickBytesMax {
            Terminal.note("checking a database of \(Self.megabytes(size)), which takes a while")
        }
        do {
            inspection = try SQLiteStore.inspect(directory: self.path)
        } catch  where error.code == .alreadyServed {
            return [
                self.finding(
                    .skipped, "a server uses it, so its database is not looked at",
                    advice: "stop the server to have the database checked; a running one keeps it locked")
            ]
        } catch {
            let advice: String? =
                switch error.code {
                case .newerVersion: "run the version of comblang that made it, or a later one"
                case .corrupt, .notADatabase: "restore a backup; keep the damaged files"
                case .unwritable: "run as the user who serves it, or chown it"
                case .alreadyServed, .closed, .busy, .full, .io: nil
                }
            return [self.finding(.failed, Self.clause(error.message), advice: advice)]
        }
        guard let inspection else { return [self.finding(.ok, "there is no database in it yet")] }
        var findings = inspection.faults.map { fault in
            self.finding(
                .failed, "the database is damaged: \(fault)", advice: "restore a backup; keep the damaged files")
        }
        if findings.isEmpty { findings.append(self.finding(.ok, "the database is whole")) }
        if inspection.pendingMigrations.isEmpty {
            findings.append(self.finding(.ok, "its schema is up to date"))
        } else {
            let names = inspection.pendingMigrations.joined(separator: ", ")
            findings.append(
                self.finding(
                    .warning, "its schema is of an older version, without \(names)",
                    advice: "`comblang serve` brings it up to date, or `comblang migrate` without serving"))
        }
        return findings
    }

    private func tokenSecret() -> Finding? {
        let path = "\(self.path)/\(SecretFiles.tokenSecretName)"
        guard let size = Self.size(of: path), size < AccessTokens.secretBytesMin else { return nil }
        return Finding(
            .data, path, .failed, "it has \(size) bytes and should have \(AccessTokens.secretBytesMin): it is damaged",
            advice: "restore it, or delete it and all tokens become void")
    }

    private static func size(of path: String) -> Int64? {
        (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber)?.int64Value
    }

    private static func megabytes(_ bytes: Int64) -> String { "\(bytes / 1024 / 1024) MiB" }

    /// A sentence as a part of another one.
    private static func clause(_ sentence: String) -> String {
        ((sentence.first?.lowercased() ?? "") + sentence.dropFirst())
            .trimmingCharacters(in: CharacterSet(charactersIn: "."))
    }
}
