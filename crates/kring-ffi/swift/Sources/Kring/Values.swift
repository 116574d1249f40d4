import CKring

/// A person's leave to open devices, given for one call.
public struct Consent: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// To the microphone.
    public static let microphone = Consent(rawValue: UInt32(KRING_CONSENT_MICROPHONE))
    /// To the camera.
    public static let camera = Consent(rawValue: UInt32(KRING_CONSENT_CAMERA))
    /// To the screen.
    public static let screen = Consent(rawValue: UInt32(KRING_CONSENT_SCREEN))
}

/// The public half of somebody's key.
public struct Identity: Sendable, Hashable, CustomStringConvertible {
    /// 32 bytes.
    public let bytes: [UInt8]
    /// The same in short, for people.
    public let fingerprint: String

    public var description: String { fingerprint }
}

/// What is known about whose identity it is.
public enum Trust: Sendable {
    /// Nobody has compared anything. There is media; show that it may be somebody else's.
    case unverified
    /// A person has compared the code or the safety number.
    case verified
    /// Not the identity that was expected. There is no media until a person accepts it.
    case keyChanged(expected: [UInt8], wasVerified: Bool)
}

/// Somebody who has proven an identity.
public struct Peer: Sendable {
    /// Who it is.
    public let identity: Identity
    /// How they call themselves; nobody has checked it.
    public let name: String
    /// What is known about whose identity it is.
    public let trust: Trust
    /// What this side calls them, if they are a contact and call.
    public let contact: String?
    /// Where they are.
    public let address: String

    init(_ fill: (UnsafeMutablePointer<kring_peer>) -> Int32) throws {
        var peer = kring_peer()
        peer.struct_size = size(of: kring_peer.self)
        try check(fill(&peer))
        identity = Identity(bytes: bytes(peer.identity), fingerprint: string(peer.fingerprint))
        name = string(peer.name)
        contact = peer.is_contact != 0 ? string(peer.contact) : nil
        address = string(peer.address)
        trust =
            switch Int32(peer.trust) {
            case KRING_TRUST_VERIFIED: .verified
            case KRING_TRUST_KEY_CHANGED:
                .keyChanged(expected: bytes(peer.expected), wasVerified: peer.was_verified != 0)
            default: .unverified
            }
    }
}

/// Whether a track is sent.
public enum TrackState: Sendable, Equatable {
    case live
    /// Its user has switched it off.
    case muted
    /// It is over, like a file.
    case ended
    /// A state that this version does not know.
    case other(UInt32)

    init(_ raw: UInt32) {
        self =
            switch Int32(raw) {
            case KRING_TRACK_STATE_LIVE: .live
            case KRING_TRACK_STATE_MUTED: .muted
            case KRING_TRACK_STATE_ENDED: .ended
            default: .other(raw)
            }
    }
}

/// A track as its sender announces it.
public struct Track: Sendable, Equatable {
    /// Its number.
    public let id: UInt32
    /// "opus", "h264", or what both programs know.
    public let codec: String
    /// Whether it is sent now.
    public let state: TrackState
    /// Pictures: full width and height in pixels; (0, 0) for sound.
    public let width, height: Int
    /// Pictures a second; 0 for sound.
    public let framesPerSecond: Double
}

/// A contact, without its secrets. Times are in seconds since 1970.
public struct Contact: Sendable {
    /// What this side calls them.
    public let name: String
    /// Who they are, in short.
    public let fingerprint: String
    /// Whether a person has made sure who they are.
    public let isVerified: Bool
    /// Whether they can be called without a ticket.
    public let isCallable: Bool
    /// Whether they are blocked.
    public let isBlocked: Bool
    /// When the last call with them was answered; `nil` for never.
    public let lastCall: UInt64?
}

/// What protects a call that is connected.
public struct Safety: Sendable, Equatable {
    /// Whether recorded content stays closed to a later quantum computer.
    public let isPostQuantum: Bool
    /// The Noise handshake between the two devices.
    public let handshake: String
    /// How media is sealed, end to end.
    public let media: String
    /// TLS key exchange and cipher suite of the hop.
    public let tlsGroup, tlsCipher: String
}

/// A ticket that was given out. Times are in seconds since 1970.
public struct IssuedTicket: Sendable, Equatable {
    /// Names it, says nothing about its secret.
    public let id: String
    /// When it was given out, and when it ends.
    public let issued, expires: UInt64
    /// Whether it is good for one call only.
    public let isForOneCall: Bool
    /// Whether a passcode goes with it.
    public let hasPasscode: Bool
}

/// How many handshakes came to what.
public struct Counters: Sendable, Equatable {
    /// First messages by no live ticket and no contact.
    public let unknownHint: UInt64
    /// Callers whom this side has blocked.
    public let blocked: UInt64
    /// First messages seen before.
    public let replayed: UInt64
    /// First messages from a clock that is off.
    public let clock: UInt64
    /// Messages that did not open, were malformed or proved nothing.
    public let invalid: UInt64
    /// Handshakes that came to a session.
    public let completed: UInt64
}

/// A device of this machine.
public struct Device: Sendable, Equatable {
    /// What it is for.
    public enum Use: Sendable {
        case microphone, speaker, camera
    }

    /// As people know it.
    public let name: String
    /// As the system knows it; serves wherever a device is named.
    public let id: String
    /// The one that is used when none is named.
    public let isDefault: Bool

    /// All devices of that use; none where the library was built without.
    public static func all(_ use: Use) async throws -> [Device] {
        try await aside {
            let raw =
                switch use {
                case .microphone: KRING_DEVICE_MICROPHONE
                case .speaker: KRING_DEVICE_SPEAKER
                case .camera: KRING_DEVICE_CAMERA
                }
            return try list({ kring_devices(UInt32(raw), $0) }) { handle, index in
                var device = kring_device()
                device.struct_size = size(of: kring_device.self)
                try check(kring_list_device(handle, index, &device))
                return Device(name: string(device.name), id: string(device.id), isDefault: device.is_default != 0)
            }
        }
    }
}

/// Reads a list of the C interface to its end and frees it.
func list<Item>(
    _ make: (UnsafeMutablePointer<kring_list>) -> Int32, _ item: (kring_list, Int) throws -> Item
) throws -> [Item] {
    var handle: kring_list = 0
    try check(make(&handle))
    defer { kring_list_free(handle) }
    var count = 0
    try check(kring_list_count(handle, &count))
    return try (0..<count).map { try item(handle, $0) }
}

func tracks(_ make: (UnsafeMutablePointer<kring_list>) -> Int32) throws -> [Track] {
    try list(make) { handle, index in
        var track = kring_track()
        track.struct_size = size(of: kring_track.self)
        try check(kring_list_track(handle, index, &track))
        return Track(
            id: track.id, codec: string(track.codec), state: TrackState(track.state), width: Int(track.width),
            height: Int(track.height), framesPerSecond: Double(track.frame_rate_milli) / 1000)
    }
}
