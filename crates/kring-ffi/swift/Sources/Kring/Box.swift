import CKring

/// Something of Swift's that the library holds on to until it drops it.
final class Box<Content: Sendable>: Sendable {
    let content: Content

    init(_ content: Content) { self.content = content }

    func retained() -> UnsafeMutableRawPointer { Unmanaged.passRetained(self as AnyObject).toOpaque() }

    static func of(_ data: UnsafeMutableRawPointer?) -> Content? {
        guard let data else { return nil }
        return (Unmanaged<AnyObject>.fromOpaque(data).takeUnretainedValue() as? Box<Content>)?.content
    }
}

/// What the library calls when it lets go of a ``Box``.
let release: @convention(c) (UnsafeMutableRawPointer?) -> Void = { data in
    if let data { Unmanaged<AnyObject>.fromOpaque(data).release() }
}

/// Runs a program's own function for the library, which no error may reach: one that throws stops its source or sink.
func guarded(_ body: () throws -> Bool) -> Int32 {
    do {
        return try body() ? KRING_OK : KRING_ERROR_ENDED
    } catch {
        return KRING_ERROR_ARGUMENT
    }
}
