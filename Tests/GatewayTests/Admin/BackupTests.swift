import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import Logging
import SQLiteStore
import TestSupport
import Testing

/// Backups over HTTP: noted down, made one at a time, and the oldest deleted.
struct BackupTests {
    /// Asks until the backup is over.
    private static func settled(_ id: String, _ admin: Person) async throws -> JSONValue {
        while true {
            let backup = try await admin.get("/v1/admin/backups/\(id)").json
            if backup["state"] != "running" { return backup }
            await Task.yield()
        }
    }

    @Test func aBackupIsMadeAndItsFileIsPrivate() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            let made = try await root.post("/v1/admin/backups", key: "once")
            #expect(made.status == 201 && made.json["state"] == "running", "\(made.text)")
            #expect(made.headers[.location] == "/v1/admin/backups/\(made.id)")
            let done = try await Self.settled(made.id, root)
            #expect(done["state"] == "done" && done["failure"] == .null && done["progress"] == 1, "\(done)")
            let file = try #require(done["file"]?.stringValue)
            let path = server.directory + "/backups/" + file
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            #expect(done["bytes"]?.intValue == (attributes[.size] as? NSNumber)?.int64Value)
            // The same request again is the same backup, and makes no other.
            let again = try await root.post("/v1/admin/backups", key: "once")
            #expect(again.status == 201 && again.id == made.id)
            let listed = try await root.get("/v1/admin/backups")
            #expect(listed.json["items"]?.items.map { $0["id"] } == [.string(made.id)])
            #expect(try FileManager.default.contentsOfDirectory(atPath: server.directory + "/backups") == [file])
            let audited = try await root.get("/v1/admin/audit?action=backups.create")
            #expect(audited.json["items"]?.items.map { $0["resource"] } == [.string(made.id)])
        }
    }

    @Test func onlyOneIsMadeAtATime() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            let id = BackupID(ULID(at: server.clock.now, random: 1))
            let running = Backup(
                id: id, state: .running, file: "x", createdBy: UserID(known: root.id), createdAt: server.clock.now)
            try await server.store.write { try $0.insert(running) }
            let refused = try await root.post("/v1/admin/backups")
            #expect(refused.status == 409 && refused.slug == "backup-running")
            try await server.store.write { try $0.delete(running) }
            #expect(try await root.post("/v1/admin/backups").status == 201)
        }
    }

    @Test func olderBackupsGiveWayToNewerOnes() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            var files: [String] = []
            for _ in 0..<4 {
                server.clock.advance(by: .seconds(1))
                let made = try await root.post("/v1/admin/backups")
                files.append(try #require(try await Self.settled(made.id, root)["file"]?.stringValue))
            }
            let keptCount = TestServer.backupsKept
            let kept = { try await root.get("/v1/admin/backups").json["items"]?.items.count }
            // The last one's successor sees to it; ask until it has.
            while try await kept() != keptCount { await Task.yield() }
            let present = try FileManager.default.contentsOfDirectory(atPath: server.directory + "/backups")
            #expect(present.sorted() == files.suffix(keptCount))
        }
    }

    @Test func whatACrashLeftIsSettledByItsFile() async throws {
        let directory = try TemporaryDirectory()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let store = try SQLiteStore.open(directory: directory.path, logger: logger)
        let clock = ManualClock()
        let size = try await store.copy(to: "whole.sqlite") { _ in }
        try await store.write { store in
            try store.insert(User.fixture())
            for (number, file) in ["whole.sqlite", "half.sqlite"].enumerated() {
                try store.insert(
                    Backup(
                        id: .fixture(number), state: .running, file: file, createdBy: User.fixture().id,
                        createdAt: .fixture))
            }
        }
        try Data().write(to: URL(filePath: directory.path + "/backups/half.sqlite.draft"))
        // Another process's; what was asked of this one is still to be made.
        clock.advance(by: .seconds(1))
        let backups = Backups(store: store, kept: 2, time: clock, logger: logger)
        let running = Task { try await backups.run() }
        while try await !store.read({ try $0.runningBackups() }).isEmpty { await Task.yield() }
        running.cancel()
        _ = await running.result
        let found = try await store.read { try $0.backups(before: nil, limit: 9) }
        #expect(found.map(\.state) == [.failed, .done])
        #expect(found.last?.bytes == size)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/backups") == ["whole.sqlite"])
        await store.close()
    }
}
