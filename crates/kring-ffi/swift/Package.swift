// swift-tools-version: 6.0
// Kring for Swift, over the C interface (kring.h, libkring). docs/swift.md says how to build and link it.
import PackageDescription

let package = Package(
    name: "Kring",
    platforms: [.macOS(.v10_15), .iOS(.v13)],
    products: [.library(name: "Kring", targets: ["Kring"])],
    targets: [
        // The header and the library as the system has them; pkg-config says where.
        .systemLibrary(name: "CKring", pkgConfig: "kring"),
        .target(name: "Kring", dependencies: ["CKring"]),
        .testTarget(name: "KringTests", dependencies: ["Kring"]),
    ]
)
