import CKring

/// What happened in a call. More kinds will come: switch with a default.
public enum Event: Sendable, Equatable {
    /// The callee wants a passcode: ``Call/enter(passcode:)``.
    case passcodeWanted
    /// Somebody at the other side has to let this one in.
    case waiting
    /// The callee's device rings.
    case ringing
    /// Somebody calls one who answers whoever it is; who it is comes with ``answered``.
    case answeredAhead
    /// The callee answered.
    case answered
    /// Media flows, protected by this between the two devices, and so end to end.
    case connected(handshake: String, media: String)
    /// The call's code, as words and as emoji: both people read one of them to each other.
    case code(words: String, emoji: String)
    /// This call has no code to compare.
    case codeFailed(why: String)
    /// Not who was expected: no media until ``Call/accept(changedKey:)``. Fingerprints.
    case keyChanged(came: String, expected: String)
    /// The other side's tracks are others now.
    case peerTracks
    /// The other side switched a track on or off.
    case peerTrackState(track: UInt32, state: TrackState)
    /// The two can call each other again; with whom is no contact yet if they are kept: ``Endpoint/keep(_:as:)``.
    case acquainted(contact: String?)
    /// The other side records, or has stopped.
    case peerRecording(Bool)
    /// Packets go another way from now on; the call goes on meanwhile.
    case path(Path)
    /// Nothing is heard of the other side; the call waits.
    case interrupted
    /// It is heard again.
    case resumed
    /// A source or sink of this side failed or ended; the call goes on.
    case mediaStopped(what: String, why: String)
    /// The call is over.
    case ended(End)
    /// Something that this version does not know.
    case other(UInt32)

    init(_ event: kring_event) {
        let (text, detail) = (string(event.text), string(event.detail))
        self =
            switch Int32(event.kind) {
            case KRING_EVENT_PASSCODE_WANTED: .passcodeWanted
            case KRING_EVENT_WAITING: .waiting
            case KRING_EVENT_RINGING: .ringing
            case KRING_EVENT_ANSWERED_AHEAD: .answeredAhead
            case KRING_EVENT_ANSWERED: .answered
            case KRING_EVENT_CONNECTED: .connected(handshake: text, media: detail)
            case KRING_EVENT_CODE: .code(words: text, emoji: detail)
            case KRING_EVENT_CODE_FAILED: .codeFailed(why: text)
            case KRING_EVENT_KEY_CHANGED: .keyChanged(came: text, expected: detail)
            case KRING_EVENT_PEER_TRACKS: .peerTracks
            case KRING_EVENT_PEER_TRACK_STATE: .peerTrackState(track: event.track, state: TrackState(event.state))
            case KRING_EVENT_ACQUAINTED: .acquainted(contact: text.isEmpty ? nil : text)
            case KRING_EVENT_PEER_RECORDING: .peerRecording(event.state != 0)
            case KRING_EVENT_PATH: .path(Path(event.state))
            case KRING_EVENT_INTERRUPTED: .interrupted
            case KRING_EVENT_RESUMED: .resumed
            case KRING_EVENT_MEDIA_STOPPED: .mediaStopped(what: detail, why: text)
            case KRING_EVENT_ENDED: .ended(End(end: event.end, by: event.by, text: text))
            default: .other(event.kind)
            }
    }
}

/// How packets get to the other side.
public enum Path: Sendable, Equatable {
    /// From address to address.
    case direct
    /// Through a relay, which sees how much and when, but not what.
    case relayed
    /// A way that this version does not know.
    case other(UInt32)

    init(_ raw: UInt32) {
        self =
            switch Int32(raw) {
            case KRING_PATH_DIRECT: .direct
            case KRING_PATH_RELAYED: .relayed
            default: .other(raw)
            }
    }
}

/// How a call ended, or why it did not come about.
public struct End: Sendable, Equatable, CustomStringConvertible {
    /// What ended it. More will come.
    public enum Reason: Sendable, Equatable {
        case hungUp, declined, busy, notAdmitted, notAnswered, goingAway, vanished, bothDialled, unreachable, refused
        case clockOff, nothingInCommon, handshake, protocolError
        /// A reason that this version does not know.
        case other
    }

    /// Who ended it.
    public enum By: Sendable, Equatable {
        case nobody, thisSide, otherSide, network
    }

    public let reason: Reason
    public let by: By
    /// A sentence for people.
    public let description: String

    init(end: UInt32, by: UInt32, text: String) {
        description = text
        reason =
            switch Int32(end) {
            case KRING_END_HUNG_UP: .hungUp
            case KRING_END_DECLINED: .declined
            case KRING_END_BUSY: .busy
            case KRING_END_NOT_ADMITTED: .notAdmitted
            case KRING_END_NOT_ANSWERED: .notAnswered
            case KRING_END_GOING_AWAY: .goingAway
            case KRING_END_VANISHED: .vanished
            case KRING_END_BOTH_DIALLED: .bothDialled
            case KRING_END_UNREACHABLE: .unreachable
            case KRING_END_REFUSED: .refused
            case KRING_END_CLOCK_OFF: .clockOff
            case KRING_END_NOTHING_IN_COMMON: .nothingInCommon
            case KRING_END_HANDSHAKE: .handshake
            case KRING_END_PROTOCOL_ERROR: .protocolError
            default: .other
            }
        self.by =
            switch Int32(by) {
            case KRING_BY_LOCAL: .thisSide
            case KRING_BY_PEER: .otherSide
            case KRING_BY_NETWORK: .network
            default: .nobody
            }
    }
}
