/// Ids seen lately; the older half is forgotten at once, so that it costs nothing for a single one.
package struct RecentIDs: Sendable {
    private let countMax: Int
    private let bytesMax: Int
    private var recent: Set<String> = []
    private var older: Set<String> = []
    private var recentBytes = 0

    /// - parameters:
    ///   - countMax: of each half.
    ///   - bytesMax: likewise; one that is longer is not remembered at all.
    package init(countMax: Int, bytesMax: Int = 4 * 1024 * 1024) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    /// Whether it is new.
    package mutating func insert(_ id: String) -> Bool {
        guard !self.contains(id) else { return false }
        let bytes = id.utf8.count
        guard bytes <= self.bytesMax else { return true }
        if self.recent.count >= self.countMax || self.recentBytes + bytes > self.bytesMax {
            (self.older, self.recent, self.recentBytes) = (self.recent, [], 0)
        }
        self.recent.insert(id)
        self.recentBytes += bytes
        return true
    }

    package func contains(_ id: String) -> Bool { self.recent.contains(id) || self.older.contains(id) }

    package mutating func remove(_ id: String) {
        if self.recent.remove(id) != nil { self.recentBytes -= id.utf8.count }
        self.older.remove(id)
    }
}
