// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "call",
    platforms: [.macOS(.v10_15)],
    dependencies: [.package(path: "../../../crates/kring-ffi/swift")],
    targets: [.executableTarget(name: "call", dependencies: [.product(name: "Kring", package: "swift")])]
)
