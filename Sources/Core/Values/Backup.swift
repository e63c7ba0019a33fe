/// How far a copy is.
package struct CopyProgress: Hashable, Sendable {
    package var pagesDone: Int
    /// Grows while the database does; 0 before the first page.
    package var pagesTotal: Int

    package init(pagesDone: Int = 0, pagesTotal: Int = 0) {
        self.pagesDone = pagesDone
        self.pagesTotal = pagesTotal
    }

    /// 0…1.
    package var share: Double {
        self.pagesTotal == 0 ? 0 : Double(self.pagesDone) / Double(self.pagesTotal)
    }
}

/// A copy of the whole database, made while the server serves.
package struct Backup: Hashable, Sendable {
    /// `failed` has no file.
    package enum State: String, Codable, Sendable, CaseIterable { case running, done, failed }

    package var id: BackupID
    package var state: State
    /// Its name in the directory `backups`.
    package var file: String
    package var createdBy: UserID
    package var createdAt: Timestamp
    package var finishedAt: Timestamp?
    /// The file's size, once it is whole.
    package var bytes: Int64?
    package var progress: CopyProgress
    /// One line for admins.
    package var failure: String?

    package init(
        id: BackupID, state: State, file: String, createdBy: UserID, createdAt: Timestamp,
        finishedAt: Timestamp? = nil, bytes: Int64? = nil, progress: CopyProgress = CopyProgress(),
        failure: String? = nil
    ) {
        self.id = id
        self.state = state
        self.file = file
        self.createdBy = createdBy
        self.createdAt = createdAt
        self.finishedAt = finishedAt
        self.bytes = bytes
        self.progress = progress
        self.failure = failure
    }

    /// `comblang-20261122T132437.123Z-7f3k.sqlite`: sorts by time, and two of one moment differ.
    package static func fileName(_ id: BackupID, at time: Timestamp) -> String {
        let moment = time.rfc3339.filter { $0 != "-" && $0 != ":" }
        return "comblang-\(moment)-\(id.text.suffix(4).lowercased()).sqlite"
    }
}
