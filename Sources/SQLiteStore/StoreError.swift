import GRDB
import Hub

/// The store cannot do its work: it could not be opened, was closed, or its disk refuses. For operators; the gateway
/// tells clients no more than 503.
package struct StoreError: UnavailabilityError, Hashable, CustomStringConvertible {
    /// What went wrong, for programs.
    package enum Code: String, Sendable, CaseIterable {
        /// Another process serves this data directory.
        case alreadyServed
        /// The directory or a file in it cannot be made or written.
        case unwritable
        /// A later version of Comblang made this database.
        case newerVersion
        /// The file is something else.
        case notADatabase
        case corrupt
        /// ``SQLiteStore/close()`` was called.
        case closed
        /// More writes wait than ``WriteQueue/waitingMax``, or another process holds the database's lock.
        case busy
        /// The disk is full, or the bound of the database's size is reached.
        case full
        /// The disk failed.
        case io
    }

    package let code: Code
    /// One line for a person.
    package let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { self.message }

    static let closed = StoreError(.closed, "The database is closed.")
}

/// A statement that the database refused: a row that breaks a constraint, or a defect of ours. The gateway answers 500.
package struct StatementError: Error, Hashable, CustomStringConvertible {
    /// Whether a uniqueness, reference or value rule of the schema was broken.
    package let isConstraint: Bool
    package let message: String

    package var description: String { self.message }
}

extension DatabaseError {
    /// This error in our terms, without SQL or values: those may hold what clients wrote.
    var asStoreError: any Error {
        let text = self.message ?? "error \(self.extendedResultCode.rawValue)"
        return switch self.resultCode {
        case .SQLITE_FULL: StoreError(.full, "The disk is full: \(text).")
        case .SQLITE_IOERR, .SQLITE_NOMEM, .SQLITE_PROTOCOL: StoreError(.io, "The disk failed: \(text).")
        case .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
            StoreError(.unwritable, "The database cannot be written: \(text).")
        case .SQLITE_NOTADB: StoreError(.notADatabase, "The file is not a database: \(text).")
        case .SQLITE_CORRUPT: StoreError(.corrupt, "The database is damaged: \(text).")
        case .SQLITE_BUSY, .SQLITE_LOCKED: StoreError(.busy, "The database is in use: \(text).")
        case .SQLITE_MISUSE where text == "Connection is closed": StoreError.closed
        case .SQLITE_CONSTRAINT: StatementError(isConstraint: true, message: text)
        default: StatementError(isConstraint: false, message: text)
        }
    }
}

/// Errors of the database in our terms, all others as they are.
func translated(_ error: any Error) -> any Error {
    (error as? DatabaseError)?.asStoreError ?? error
}
