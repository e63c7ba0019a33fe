import ArgumentParser
import AsyncHTTPClient
import Core
import Foundation
import NIOCore
import NIOHTTP1

extension CallsCommand {
    /// `comblang calls export`: all records as CSV or NDJSON, as they come.
    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write calls as CSV or NDJSON, newest first.",
            discussion: "A file is complete or not there: it gets its name when all of it was received.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var filter: Filter

        @Option(help: "csv or ndjson.")
        var format = "csv"

        @Option(name: .shortAndLong, help: "The file to write. (default: standard output)")
        var output: String?

        func run() async throws {
            let client = try self.connection.client()
            let request = client.request(
                .GET, CallsCommand.path + "/export", query: try self.filter.query() + [("format", self.format)])
            guard let output else {
                return try await Self.copy(request, client, lines: { _ in }) { data throws(CommandFailure) in
                    try Terminal.write(data)
                }
            }
            let partial = output + ".partial"
            guard FileManager.default.createFile(atPath: partial, contents: nil),
                let file = FileHandle(forWritingAtPath: partial)
            else { throw CommandFailure("cannot write \(partial)") }
            do {
                var count = 0
                try await Self.copy(request, client, lines: { count = $0 }) { data throws(CommandFailure) in
                    do { try file.write(contentsOf: data) } catch { throw CommandFailure("cannot write \(partial)") }
                }
                try file.close()
                guard rename(partial, output) == 0 else { throw CommandFailure("cannot write \(output)") }
                Terminal.note("\(output): \(self.format == "csv" ? max(0, count - 1) : count) calls")
            } catch {
                try? FileManager.default.removeItem(atPath: partial)
                throw error
            }
        }

        /// Writes each piece as it comes; `lines` is told how many there were in the end.
        private static func copy(
            _ request: HTTPClientRequest, _ client: APIClient, lines: (Int) -> Void,
            write: (Data) throws(CommandFailure) -> Void
        ) async throws {
            let progress = ProgressLine()
            defer { progress.clear() }
            do {
                try await HTTPClient.withHTTPClient(configuration: client.configuration) { http in
                    let response = try await http.execute(request, timeout: .hours(24))
                    guard response.status.code == 200 else {
                        let body = try await response.body.collect(upTo: APIClient.answerBytesMax)
                        throw APIClient.failure(status: Int(response.status.code), body: Data(body.readableBytesView))
                    }
                    var (lineCount, byteCount) = (0, 0)
                    for try await bytes in response.body {
                        try write(Data(bytes.readableBytesView))
                        lineCount += bytes.readableBytesView.count { $0 == UInt8(ascii: "\n") }
                        byteCount += bytes.readableBytes
                        progress.show("\(lineCount) lines, \(byteCount / 1024 / 1024) MiB")
                    }
                    lines(lineCount)
                }
            } catch let failure as CommandFailure {
                throw failure
            } catch {
                throw client.unreachable(error)
            }
        }
    }
}
