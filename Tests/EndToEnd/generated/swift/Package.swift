// swift-tools-version:6.0
import PackageDescription

// The test copies this folder beside what was generated.
let package = Package(
    name: "Caller",
    dependencies: [.package(path: "../ComblangClient")],
    targets: [.executableTarget(name: "caller", dependencies: ["ComblangClient"])]
)
