package import Core
package import Logging
import ServiceLifecycle

/// Makes the backups that were noted down, one after the other, and writes down how far they are.
package final class Backups: Service {
    private let store: any CopyingStore
    private let kept: Int
    private let time: any TimeSource
    private let startedAt: Timestamp
    private let logger: Logger
    private let requests: AsyncStream<BackupID>
    private let continuation: AsyncStream<BackupID>.Continuation

    /// How often a backup under way says how far it is.
    private static let reportInterval = Duration.seconds(1)

    /// - parameter kept: how many that are done stay, and as many that failed.
    package init(store: any CopyingStore, kept: Int, time: any TimeSource, logger: Logger) {
        self.store = store
        self.kept = kept
        self.time = time
        self.startedAt = time.now
        self.logger = logger
        // There is one that runs at a time; a request that is repeated asks for the same once more.
        (self.requests, self.continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(4))
    }

    /// Makes a backup that is noted down as running; one that is over is left alone.
    package func begin(_ id: BackupID) { self.continuation.yield(id) }

    /// Sees to what a crash left behind, then makes what is asked for until the graceful shutdown. A backup under way
    /// is then given up.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await self.settle()
            for await id in self.requests { await self.make(id) }
        }
    }

    private func make(_ id: BackupID) async {
        do {
            guard let backup = try await self.store.read({ try $0.backup(id) }), backup.state == .running else {
                return
            }
            await self.finish(backup, await self.copy(backup))
            try await self.prune()
        } catch {
            self.logger.error("backup not recorded", metadata: ["backup.id": "\(id)", "error": "\(error)"])
        }
    }

    private func copy(_ backup: Backup) async -> Result<Int64, any Error> {
        let (store, time) = (self.store, self.time)
        let reported = LastReport(time.now)
        do {
            return .success(
                try await store.copy(to: backup.file) { progress in
                    let now = time.now
                    guard await reported.isDue(at: now, every: Self.reportInterval) else { return }
                    var backup = backup
                    backup.progress = progress
                    try await store.write { [backup] in try $0.update(backup) }
                })
        } catch {
            return .failure(error)
        }
    }

    private func finish(_ backup: Backup, _ result: Result<Int64, any Error>) async {
        var backup = backup
        backup.finishedAt = self.time.now
        switch result {
        case .success(let bytes):
            backup.state = .done
            backup.bytes = bytes
            backup.progress = CopyProgress(pagesDone: 1, pagesTotal: 1)
            self.logger.info("backup done", metadata: ["backup.id": "\(backup.id)", "bytes": "\(bytes)"])
        case .failure(let error):
            backup.state = .failed
            backup.failure =
                error is CancellationError
                ? "The server stopped." : "The copy could not be written; the server's log has the reason."
            self.logger.error("backup failed", metadata: ["backup.id": "\(backup.id)", "error": "\(error)"])
        }
        do {
            try await self.store.write { [backup] in try $0.update(backup) }
        } catch {
            // The next start finds it as it is: the file decides.
            self.logger.error("backup not recorded", metadata: ["backup.id": "\(backup.id)", "error": "\(error)"])
        }
    }

    private func prune() async throws {
        let kept = self.kept
        for gone in try await self.store.write({ try $0.forgetBackups(beyond: kept) }) {
            self.store.deleteCopy(gone.file)
        }
    }

    /// What runs since before this process was another's work: done if its file is there, which only a whole copy is.
    /// One that was asked for before this came to run is still to be made.
    private func settle() async {
        do {
            for backup in try await self.store.read({ try $0.runningBackups() }) where backup.createdAt < self.startedAt
            {
                if let bytes = self.store.copySize(backup.file) {
                    await self.finish(backup, .success(bytes))
                } else {
                    self.store.deleteCopy(backup.file)
                    await self.finish(backup, .failure(CancellationError()))
                }
            }
        } catch {
            self.logger.error("backups not settled", metadata: ["error": "\(error)"])
        }
    }
}

/// When progress was last written down.
private actor LastReport {
    private var at: Timestamp

    init(_ at: Timestamp) { self.at = at }

    func isDue(at now: Timestamp, every interval: Duration) -> Bool {
        guard now.duration(since: self.at) >= interval else { return false }
        self.at = now
        return true
    }
}
