import CKring

/// Something that the library refused.
public struct KringError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One of kring.h's `KRING_ERROR_` values. They are frozen.
    public let code: Int32
    /// A sentence for the log: what was expected, what came, what to do.
    public let message: String

    public var description: String { message }

    /// The call has ended, or the endpoint is closed.
    public var isEnded: Bool { code == KRING_ERROR_ENDED }

    /// There is nothing of that name or identity.
    public var isNotFound: Bool { code == KRING_ERROR_NOT_FOUND }
}

/// Turns a result of the C interface into an error.
func check(_ code: Int32) throws {
    guard code != KRING_OK else { return }
    throw KringError(code: code, message: String(cString: kring_last_error()))
}

/// What a function writes into a buffer of whatever length.
func text(_ fill: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>?) -> Int32) throws -> String {
    var capacity = Int(KRING_TICKET_SIZE)
    while true {
        var length = 0
        var buffer = [CChar](repeating: 0, count: capacity)
        let code = fill(&buffer, capacity, &length)
        if code != KRING_ERROR_BUFFER {
            try check(code)
            return String(decoding: buffer.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
        capacity = length + 1
    }
}

/// A text that stands in a struct of the C interface.
func string<Characters>(_ characters: Characters) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

/// Bytes that stand in a struct of the C interface.
func bytes<Octets>(_ octets: Octets) -> [UInt8] {
    withUnsafeBytes(of: octets) { Array($0) }
}

/// The size that each struct of the C interface begins with.
func size<Struct>(of _: Struct.Type) -> UInt32 {
    UInt32(MemoryLayout<Struct>.size)
}

/// A text or nothing, for the length of a call.
func with<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) throws -> Result) rethrows -> Result {
    guard let text else { return try body(nil) }
    return try text.withCString(body)
}
