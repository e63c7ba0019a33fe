import Gateway
import ServiceLifecycle
import UnixSignals

/// Has the certificate looked at again when an operator says so (SIGHUP), and now and then without: what renews it may
/// not know how to.
struct CertificateWatch: Service {
    let certificates: TLSCertificates
    let interval: Duration

    func run() async throws {
        let hangUps = await UnixSignalsSequence(trapping: [.sighup])
        await cancelWhenGracefulShutdown {
            await withTaskGroup { group in
                group.addTask {
                    for await _ in hangUps { self.certificates.reload() }
                }
                group.addTask {
                    while !Task.isCancelled {
                        try? await Task.sleep(for: self.interval)
                        guard !Task.isCancelled else { return }
                        self.certificates.reload()
                    }
                }
            }
        }
    }
}
