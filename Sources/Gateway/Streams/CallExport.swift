import Core
import Hub
import Hummingbird
import NIOCore

/// Calls as a file that is written while it is read: a page at a time, newest first, as in the list.
struct CallExport: Sendable {
    /// How each call is written.
    enum Format: String, Sendable, CaseIterable { case csv, ndjson }

    /// Calls in one read, and in one write of some 50 KiB: all that is held at a time.
    private static let pageMax = 100

    let store: any EventStore
    let query: CallQuery
    let format: Format
    let channel: any Channel

    /// What comes while it streams is not in it: it goes from the newest one of now to the oldest.
    func response() -> Response {
        var headers: HTTPFields = [.cacheControl: "no-store"]
        switch self.format {
        case .csv: headers[.contentType] = "text/csv; charset=utf-8; header=present"
        case .ndjson: headers[.contentType] = "application/x-ndjson"
        }
        headers[.contentDisposition] = "attachment; filename=\"calls.\(self.format.rawValue)\""
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                if self.format == .csv {
                    try await self.write(ByteBuffer(string: CSV.line(CallRecordPayload.csvHeadings)), to: &writer)
                }
                var before: Int64?
                repeat {
                    let stretch = CallStretch(before: before, limit: Self.pageMax)
                    let page = try await self.store.read { store in
                        try store.callRecords(self.query, stretch).map { try store.payload(of: $0) }
                    }
                    guard !page.isEmpty else { break }
                    try await self.write(ByteBuffer(string: try page.map(self.text).joined()), to: &writer)
                    before = page.count < Self.pageMax ? nil : page.last?.record.position
                } while before != nil
                try await writer.finish(nil)
            })
    }

    private func text(_ call: CallRecordPayload) throws -> String {
        switch self.format {
        case .csv: CSV.line(call.csvFields)
        case .ndjson: try JSON.text(call) + "\n"
        }
    }

    /// Waits while the reader takes nothing, but not for ever: a connection that stands still is closed.
    private func write(_ bytes: ByteBuffer, to writer: inout any ResponseBodyWriter) async throws {
        let watch = self.channel.eventLoop.scheduleTask(in: .milliseconds(Limits.exportStallMax.milliseconds)) {
            self.channel.close(promise: nil)
        }
        defer { watch.cancel() }
        try await writer.write(bytes)
    }
}
