/// Who gets a session in the remote room: there are only so many.
package enum BridgeRoster {
    /// Those who have something to say first, then those in calls, then those who read; each once, within a group in
    /// the order of their ids, so that the same people keep theirs.
    package static func users(
        speaking: some Sequence<UserID>, calling: some Sequence<UserID>, reading: some Sequence<UserID>,
        limit: Int = Limits.bridgeSessionsMax
    ) -> [UserID] {
        var users: [UserID] = []
        var seen: Set<UserID> = []
        for user in speaking.sorted() + calling.sorted() + reading.sorted() where seen.insert(user).inserted {
            users.append(user)
        }
        return Array(users.prefix(limit))
    }
}
