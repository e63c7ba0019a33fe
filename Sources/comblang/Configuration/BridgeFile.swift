import Core
import Foundation

/// The bridges of an operator's file: a JSON array, apart from the other settings because it holds secrets.
///
/// `[{"name": "durable", "room": "lobby", "url": "wss://…", "remoteRoom": "…"?, "headers": {…}?, "userIdMember": "…"?,
/// "certificateAuthorityFile": "…"?, "paused": false?}]`
enum BridgeFile {
    private struct Item: Decodable {
        let name: String
        let room: String
        let url: String
        let remoteRoom: String?
        let headers: [String: String]?
        let userIdMember: String?
        let certificateAuthorityFile: String?
        let paused: Bool?
    }

    /// - throws: ``CommandFailure`` naming the file and, where one is at fault, the bridge. Never a header's value.
    static func read(_ path: String) throws(CommandFailure) -> [NewBridge] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure("bad setting: bridges: cannot read \(path)")
        }
        guard let items = try? JSONDecoder().decode([Item].self, from: data) else {
            throw CommandFailure(
                "bad setting: bridges: \(path) must be an array of objects with name, room and url; see docs/bridge.md")
        }
        var bridges: [NewBridge] = []
        for item in items {
            guard !bridges.contains(where: { $0.name == item.name }) else {
                throw CommandFailure("bad setting: bridges: \(path) has two of the name \(item.name)")
            }
            bridges.append(try self.bridge(item))
        }
        return bridges
    }

    private static func bridge(_ item: Item) throws(CommandFailure) -> NewBridge {
        var authority: String?
        if let file = item.certificateAuthorityFile {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw CommandFailure("bad setting: bridges: \(item.name): cannot read \(file)")
            }
            authority = String(decoding: data, as: UTF8.self)
        }
        let target = BridgeTarget(
            url: item.url, remoteRoom: item.remoteRoom ?? item.room, headers: item.headers ?? [:],
            userIDMember: item.userIdMember ?? BridgeTarget.userIDMemberDefault, certificateAuthority: authority)
        do throws(Problem) {
            try target.check()
        } catch {
            throw CommandFailure("bad setting: bridges: \(item.name): \(error.summary)")
        }
        return NewBridge(
            name: item.name, room: RoomReference(item.room), target: target, isPaused: item.paused ?? false,
            isFromFile: true)
    }
}

extension Problem {
    /// In one line, for a terminal.
    var summary: String { self.detail ?? self.kind.title }
}
