import Foundation

/// What a client wants to be answered with: the field `Accept` (RFC 9110, 12.5.1).
///
/// Own code, as none of the packages reads quality values. Parameters of a media type are passed over, and so is a
/// range that cannot be read.
package struct AcceptField: Sendable {
    /// `nil`: no field, which takes anything.
    private let ranges: [MediaRange]?

    private struct MediaRange: Sendable {
        /// In lower case; `*/*` and `text/*` stand for others.
        var mediaType: String
        /// 0…1; 0 is none of these.
        var quality: Double

        /// `nil` for what is no range.
        init?(_ text: String) {
            let parts = text.split(separator: ";", omittingEmptySubsequences: false).map {
                $0.trimmingCharacters(in: .whitespaces).lowercased()
            }
            guard let mediaType = parts.first, mediaType.contains("/") else { return nil }
            self.mediaType = mediaType
            self.quality = 1
            guard let weight = parts.dropFirst().first(where: { $0.hasPrefix("q=") })?.dropFirst(2) else { return }
            let isNumber = (1...5).contains(weight.utf8.count) && weight.allSatisfy { "0123456789.".contains($0) }
            guard isNumber, let quality = Double(weight), quality <= 1 else { return nil }
            self.quality = quality
        }
    }

    /// - parameter text: the field's value, of several lines their values with commas between them; `nil`: no field.
    package init(_ text: String?) {
        self.ranges = text?.split(separator: ",").compactMap { MediaRange(String($0)) }
    }

    /// Whether the client would rather have the first media type than the second; in doubt it would not.
    ///
    /// - parameters: in lower case.
    package func prefers(_ mediaType: String, over other: String) -> Bool {
        self.quality(of: mediaType) > self.quality(of: other)
    }

    /// By the range that says most about it.
    private func quality(of mediaType: String) -> Double {
        guard let ranges else { return 1 }
        let family = mediaType.prefix { $0 != "/" } + "/*"
        for name in [mediaType, String(family), "*/*"] {
            if let found = ranges.filter({ $0.mediaType == name }).map(\.quality).max() { return found }
        }
        return 0
    }
}
