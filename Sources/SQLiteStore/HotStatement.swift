import Core

/// The statements of a post, which a transaction looks up once and not each time by their text.
enum HotStatement: Int, CaseIterable {
    case openSavepoint, releaseSavepoint, accessByID, accessByName, insertMessage, insertEvent, insertAudience, indexNew

    var sql: String { Self.texts[self.rawValue] }

    private static let texts = Self.allCases.map(\.text)

    private var text: String {
        switch self {
        case .openSavepoint: "SAVEPOINT job"
        case .releaseSavepoint: "RELEASE job"
        case .accessByID: Self.access("id")
        case .accessByName: Self.access("name")
        case .insertMessage: Message.table.insert
        case .insertEvent:
            """
            INSERT INTO event (seq, type, audiences, room, call, actor, at, data, message, signal) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            """
        case .insertAudience: "INSERT INTO eventAudience (audience, seq) VALUES (?1, ?2)"
        case .indexNew:
            """
            INSERT INTO messageFts (rowid, room, content) \
            SELECT seq, room, content FROM message WHERE seq > ?1 AND deletedAt IS NULL ORDER BY seq
            """
        }
    }

    private static func access(_ key: String) -> String {
        """
        SELECT \(Room.table.selection), member.role, member.joinedAt, member.joinedSeq, member.readSeq FROM room \
        LEFT JOIN member ON member.room = room.id AND member.user = ?2 WHERE room.\(key) = ?1
        """
    }
}
