// swift-tools-version: 6.2
import PackageDescription

var settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
// `make check`; not always, so that a later compiler's new warnings do not keep anybody from building.
if Context.environment["COMBLANG_WARNINGS_AS_ERRORS"] != nil { settings.append(.treatAllWarnings(as: .error)) }
// The optimizer of Swift 6.3.1 crashes on `#expect` around closures, or makes one call another; this is faster, too.
let testSettings = settings + [.unsafeFlags(["-Onone"])]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioFoundationCompat = Target.Dependency.product(name: "NIOFoundationCompat", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioHTTPTypesHTTP1 = Target.Dependency.product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdHTTP2 = Target.Dependency.product(name: "HummingbirdHTTP2", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(name: "HummingbirdTesting", package: "hummingbird")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHTTPTypesHTTP2 = Target.Dependency.product(name: "NIOHTTPTypesHTTP2", package: "swift-nio-extras")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")

let package = Package(
    name: "comblang",
    products: [
        .executable(name: "comblang", targets: ["comblang"])
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.38.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        .target(
            name: "CMigrations", path: "migrations",
            exclude: [
                "0001_initial.sql",
                "0002_calls.sql",
                "0003_ice_quality.sql",
                "0004_records.sql",
                "0005_admin.sql",
                "0006_room_actor.sql",
                "0007_bridge.sql",
                "0008_api_keys.sql",
                "0009_webhooks.sql",
                "0010_bridge_outbox_count.sql",
                "0011_sealed_answers.sql",
            ],
            publicHeadersPath: "include"),
        .target(
            name: "COpenAPI", path: "openapi",
            exclude: ["openapi.yaml"], publicHeadersPath: "include"),
        .target(name: "CWeb", exclude: ["client", "docs"]),
        .target(name: "CWALBuffer"),
        .target(name: "CMemory"),
        .target(name: "Core", swiftSettings: settings),
        .target(
            name: "Hub",
            dependencies: [
                "Core", nioCore, logging, serviceLifecycle,
                .product(name: "DequeModule", package: "swift-collections"),
            ], swiftSettings: settings),
        .target(
            name: "SQLiteStore",
            dependencies: [
                "Core", "Hub", "CMigrations", "CWALBuffer", logging,
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: settings),
        .target(
            name: "WebSocketWire", dependencies: ["Core", nioCore, nioHTTP1, nioWebSocket, crypto],
            swiftSettings: settings),
        .target(name: "STUNWire", dependencies: [crypto], swiftSettings: settings),
        .target(
            name: "Gateway",
            dependencies: [
                "Core", "Hub", "WebSocketWire", "COpenAPI", "CWeb", hummingbird, hummingbirdCore, hummingbirdHTTP2,
                httpTypes, nioHTTPTypes, nioHTTPTypesHTTP1, nioHTTPTypesHTTP2, nioSSL, nioTLS, nioHTTP2, nioCore,
                nioFoundationCompat, nioPosix, nioHTTP1, nioWebSocket, crypto, cryptoExtras, jwtKit, logging,
                serviceLifecycle,
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings),
        .target(
            name: "Webhooks",
            dependencies: [
                "Core", "Hub", asyncHTTPClient, crypto, nioCore, nioHTTP1, nioPosix, logging, serviceLifecycle,
            ],
            swiftSettings: settings),
        .target(
            name: "Bridge",
            dependencies: [
                "Core", "Hub", "WebSocketWire", nioCore, nioPosix, nioHTTP1, nioWebSocket, nioSSL, logging,
                serviceLifecycle,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "comblang",
            dependencies: [
                "Bridge", "CMemory", "Core", "Hub", "SQLiteStore", "STUNWire", "Gateway", "Webhooks", hummingbird,
                asyncHTTPClient, nioCore, nioPosix, nioHTTP1, nioSSL, nioTLS,
                logging, serviceLifecycle,
                hummingbirdCore,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),

        .executableTarget(
            name: "websocket-echo", dependencies: ["WebSocketWire", nioCore, nioPosix, nioHTTP1],
            path: "Tests/WebSocketEcho", swiftSettings: settings),
        .target(
            name: "TestSupport", dependencies: ["Core", "Hub", logging, nioCore], path: "Tests/TestSupport",
            swiftSettings: settings),
        .testTarget(name: "CoreTests", dependencies: ["Core", "Hub", "TestSupport"], swiftSettings: testSettings),
        .testTarget(
            name: "HubTests", dependencies: ["Core", "Hub", "TestSupport", logging, nioCore, nioEmbedded],
            swiftSettings: testSettings),
        .testTarget(
            name: "SQLiteStoreTests",
            dependencies: [
                "Core", "Hub", "SQLiteStore", "TestSupport", "CMigrations",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: testSettings),
        .testTarget(
            name: "WebSocketWireTests",
            dependencies: ["Core", "WebSocketWire", "TestSupport", nioCore, nioEmbedded, nioHTTP1, nioWebSocket],
            swiftSettings: testSettings),
        .testTarget(
            name: "BridgeTests",
            dependencies: [
                "Core", "Hub", "Bridge", "WebSocketWire", "TestSupport", nioCore, nioPosix, nioSSL, logging,
            ],
            swiftSettings: testSettings),
        .testTarget(name: "STUNWireTests", dependencies: ["STUNWire", crypto], swiftSettings: testSettings),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Core", "Hub", "SQLiteStore", "Gateway", "TestSupport", "COpenAPI", hummingbird, hummingbirdTesting,
                asyncHTTPClient, crypto, httpTypes, logging, nioCore, nioEmbedded, nioPosix, nioHTTP1, nioWebSocket,
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: testSettings),
    ],
    cLanguageStandard: .c2x
)
