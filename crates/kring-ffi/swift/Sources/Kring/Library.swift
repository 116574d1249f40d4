import CKring

/// The library as a whole.
public enum Library {
    /// How much is logged.
    public enum LogLevel: UInt32, Sendable, Comparable {
        case off, error, warn, info, debug

        public static func < (one: LogLevel, other: LogLevel) -> Bool { one.rawValue < other.rawValue }
    }

    /// What a build has.
    public struct Features: OptionSet, Sendable {
        public let rawValue: UInt32

        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let opus = Features(rawValue: UInt32(KRING_FEATURE_OPUS))
        public static let h264 = Features(rawValue: UInt32(KRING_FEATURE_H264))
        public static let audioIO = Features(rawValue: UInt32(KRING_FEATURE_AUDIO_IO))
        public static let camera = Features(rawValue: UInt32(KRING_FEATURE_CAMERA))
        public static let osKeyStore = Features(rawValue: UInt32(KRING_FEATURE_OS_KEY_STORE))
    }

    /// Its version.
    public static var version: String { String(cString: kring_version()) }

    /// What this build has.
    public static var features: Features { Features(rawValue: kring_features()) }

    /// Begins to collect the randomness of the first key, in the background; a program that calls this when it starts dials some 30 ms quicker.
    public static func prepare() throws { try check(kring_prepare()) }

    /// Hands what the library logs, up to that level, to `take`: level, part of the library, sentence. The lines hold no secrets, but addresses and names of
    /// files. It is called on any thread and must not use this package.
    public static func log(_ level: LogLevel, _ take: @escaping @Sendable (LogLevel, String, String) -> Void) throws {
        let line: kring_log_fn = { data, level, target, message in
            guard let take = Box<@Sendable (LogLevel, String, String) -> Void>.of(data), let target, let message else {
                return
            }
            take(LogLevel(rawValue: level) ?? .debug, String(cString: target), String(cString: message))
        }
        try check(kring_log(level.rawValue, line, Box(take).retained(), release))
    }

    /// Ends the library's threads, for programs that want to see that nothing is left. All objects are to be let go of before.
    public static func shutdown(seconds: Double = 2) async throws {
        try await aside { try check(kring_shutdown(Int32(seconds * 1000))) }
    }
}

/// What a ticket says.
public struct Ticket: Sendable, Equatable {
    /// Names it in lists, says nothing about its secret.
    public let id: String
    /// Whom one reaches with it.
    public let fingerprint: String
    /// When it ends, in seconds since 1970.
    public let expires: UInt64
    /// How many addresses it holds.
    public let addresses: Int
    /// The relay at which they are reached as well.
    public let relay: String?

    /// Reads one.
    ///
    /// - Throws: If that is no ticket. One that has ended is one.
    public init(_ ticket: String) throws {
        var raw = kring_ticket()
        raw.struct_size = size(of: kring_ticket.self)
        try check(kring_ticket_read(ticket, &raw))
        (id, fingerprint) = (string(raw.id), string(raw.fingerprint))
        (expires, addresses) = (raw.expires, Int(raw.addresses))
        let relay = string(raw.relay)
        self.relay = relay.isEmpty ? nil : relay
    }

    /// A ticket's text as it is put into a QR code in alphanumeric mode.
    public static func qr(_ ticket: String) throws -> String {
        try text { kring_ticket_qr(ticket, $0, $1, $2) }
    }
}
