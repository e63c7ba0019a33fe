import Core
import GRDB
import GRDBSQLite
import Synchronization

/// Decides when the write-ahead log goes into the database file, so that it stays bounded whoever reads.
///
/// SQLite's own rule (`wal_autocheckpoint`) begins the log anew only when a commit finds nobody reading from it. While
/// reads overlap without a pause that never happens: the log grows, and each commit tries again. So past twice the
/// length at which that is first tried, reads are held back for the moment that it takes. Only a read that lasts
/// longer than ``pauseMax`` lets the log grow beyond.
final class Checkpoints: Sendable {
    /// Frames, of a page each, at which the log is first moved: 16 MiB. More would move less twice, and recover longer.
    static let frameCountMin = 4000
    /// Frames between two attempts.
    private static let attemptDistance = 1000
    /// Frames at which reads are held back.
    private static let pausingFrameCount = 2 * Checkpoints.frameCountMin
    /// How long writes wait for the reads that are under way.
    private static let pauseMax = Duration.milliseconds(50)

    /// Frames in the log since it was last begun anew.
    private let frameCount = Atomic<Int>(0)
    private let attemptedFrameCount = Atomic<Int>(0)
    private let pool: DatabasePool
    private let reads: ReadQueue

    init(_ pool: DatabasePool, _ reads: ReadQueue) {
        (self.pool, self.reads) = (pool, reads)
    }

    /// Lets the writing connection tell how long the log is after each commit. Instead of SQLite's own rule: a
    /// connection has one or the other. This object must outlive the connection's last commit.
    func watch(_ db: Database) {
        sqlite3_wal_hook(
            db.sqliteConnection,
            { context, _, _, frameCount in
                guard let context else { return SQLITE_OK }
                Unmanaged<Checkpoints>.fromOpaque(context).takeUnretainedValue().noteCommit(Int(frameCount))
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func noteCommit(_ frameCount: Int) {
        let isNew = self.frameCount.exchange(frameCount, ordering: .relaxed) > frameCount
        if isNew { self.attemptedFrameCount.store(0, ordering: .relaxed) }
    }

    /// Moves the log if it is time to. Called between two transactions, on the writer's thread.
    ///
    /// - throws: `DatabaseError`; nothing is lost then, and the next commits try again.
    func runIfDue() throws {
        let frameCount = self.frameCount.load(ordering: .relaxed)
        let attempted = self.attemptedFrameCount.load(ordering: .relaxed)
        guard frameCount >= max(Self.frameCountMin, attempted + Self.attemptDistance) else { return }
        self.attemptedFrameCount.store(frameCount, ordering: .relaxed)
        let mustPause = frameCount >= Self.pausingFrameCount
        let isPaused = mustPause && self.reads.pause(atMost: Self.pauseMax)
        defer { if mustPause { self.reads.resume() } }
        _ = try self.pool.writeWithoutTransaction { try $0.checkpoint(isPaused ? .restart : .passive) }
    }
}
