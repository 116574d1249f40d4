//! What happens in a call, as a struct.

use crate::error::Failure;
use crate::sized::versioned;
use crate::text::fixed;
use kring::{CodeFailure, End, EndedBy, Event, Path, TrackState};
use std::ffi::c_char;
use std::fmt::Write;

/// Something that this version of the library has no name for.
pub const KRING_EVENT_OTHER: u32 = 0;
/// The callee wants a passcode: kring_call_enter_passcode. Not told if there is one already.
pub const KRING_EVENT_PASSCODE_WANTED: u32 = 1;
/// Somebody at the other side has to let this one in.
pub const KRING_EVENT_WAITING: u32 = 2;
/// The callee's device rings.
pub const KRING_EVENT_RINGING: u32 = 3;
/// At a callee that answers the next caller whoever it is: somebody calls, devices are open, and what they take is on its way. Who it is
/// comes with KRING_EVENT_ANSWERED.
pub const KRING_EVENT_ANSWERED_AHEAD: u32 = 4;
/// The callee answered.
pub const KRING_EVENT_ANSWERED: u32 = 5;
/// Media flows. `text` is what protects it between the two devices, `detail` how media is sealed.
pub const KRING_EVENT_CONNECTED: u32 = 6;
/// The call's code is there: both people read it to each other, and if the two differ, somebody is in between. `text` holds its four
/// words, `detail` its five emoji; either will do.
pub const KRING_EVENT_CODE: u32 = 7;
/// This call has no code to compare; `state` is a KRING_CODE_FAILURE_ value, `text` says why.
pub const KRING_EVENT_CODE_FAILED: u32 = 8;
/// The other side is not who was expected. There is no media, and the call not answered, until a person has accepted it:
/// kring_call_peer, kring_call_accept_changed_key. `text` is the fingerprint that came, `detail` the one that was expected.
pub const KRING_EVENT_KEY_CHANGED: u32 = 9;
/// The peer's tracks are others now: kring_call_peer_tracks.
pub const KRING_EVENT_PEER_TRACKS: u32 = 10;
/// The peer switched its track `track` on or off: `state` is a KRING_TRACK_STATE_ value.
pub const KRING_EVENT_PEER_TRACK_STATE: u32 = 11;
/// The two sides can call each other again without a ticket: `text` is the contact's name, or "" for one who is none, who can be kept now
/// (kring_endpoint_keep).
pub const KRING_EVENT_ACQUAINTED: u32 = 12;
/// The peer records this call (`state` is 1), or has stopped (0). A modified program can record without saying so.
pub const KRING_EVENT_PEER_RECORDING: u32 = 13;
/// Nothing has been heard of the peer for 1.5 s; the call waits.
pub const KRING_EVENT_INTERRUPTED: u32 = 14;
/// The peer is heard again.
pub const KRING_EVENT_RESUMED: u32 = 15;
/// A source or sink of this side failed or ended; the call goes on without it. `detail` is "microphone", "camera", "screen", "speaker" or
/// "view", `text` says how it ended.
pub const KRING_EVENT_MEDIA_STOPPED: u32 = 16;
/// The call is over; no event follows. `end`, `by`, `code` and `text` say how.
pub const KRING_EVENT_ENDED: u32 = 17;
/// Packets go another way from now on: `state` is a KRING_PATH_ value. The call goes on meanwhile.
pub const KRING_EVENT_PATH: u32 = 18;

/// From address to address.
pub const KRING_PATH_DIRECT: u32 = 0;
/// Through a relay, which sees how much and when, but not what.
pub const KRING_PATH_RELAYED: u32 = 1;

/// The other side did not do its part in time. The call goes on without a code.
pub const KRING_CODE_FAILURE_NOT_IN_TIME: u32 = 1;
/// The other side tried to choose the code. The call ends.
pub const KRING_CODE_FAILURE_FORGED: u32 = 2;

/// The track is being sent.
pub const KRING_TRACK_STATE_LIVE: u32 = 0;
/// Its user has switched it off.
pub const KRING_TRACK_STATE_MUTED: u32 = 1;
/// It has ended, like a file that is over.
pub const KRING_TRACK_STATE_ENDED: u32 = 2;

/// For a reason that this version of the header has no name for: `code` is the protocol's.
pub const KRING_END_OTHER: u32 = 0;
/// Someone hung up.
pub const KRING_END_HUNG_UP: u32 = 1;
/// The callee declined.
pub const KRING_END_DECLINED: u32 = 2;
/// The callee is in another call.
pub const KRING_END_BUSY: u32 = 3;
/// A passcode was wrong, or somebody said no at the door.
pub const KRING_END_NOT_ADMITTED: u32 = 4;
/// Nobody answered in time.
pub const KRING_END_NOT_ANSWERED: u32 = 5;
/// A program is ending.
pub const KRING_END_GOING_AWAY: u32 = 6;
/// Nothing was heard of the peer for 30 s, or its connection broke.
pub const KRING_END_VANISHED: u32 = 7;
/// Both dialled each other, and the other of the two calls goes on.
pub const KRING_END_BOTH_DIALLED: u32 = 8;
/// No address answered; `text` says which were tried.
pub const KRING_END_UNREACHABLE: u32 = 9;
/// The other side does not accept this ticket, or does not have this side as a contact.
pub const KRING_END_REFUSED: u32 = 10;
/// The two clocks are more than ten minutes apart.
pub const KRING_END_CLOCK_OFF: u32 = 11;
/// The two have no codec or version in common.
pub const KRING_END_NOTHING_IN_COMMON: u32 = 12;
/// The handshake failed: the other side is not who the ticket names, or someone is in between.
pub const KRING_END_HANDSHAKE: u32 = 13;
/// One side broke the protocol; `by` is who noticed.
pub const KRING_END_PROTOCOL_ERROR: u32 = 14;

/// Nobody in particular.
pub const KRING_BY_NOBODY: u32 = 0;
/// This side.
pub const KRING_BY_LOCAL: u32 = 1;
/// The other side.
pub const KRING_BY_PEER: u32 = 2;
/// The network between the two.
pub const KRING_BY_NETWORK: u32 = 3;

/// What happened in a call. Which members mean something depends on `kind`; the others are 0 and "".
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_event {
    /// sizeof(kring_event), set before the call.
    pub struct_size: u32,
    /// A KRING_EVENT_ value; an unknown one is to be passed over.
    pub kind: u32,
    /// The peer's track.
    pub track: u32,
    /// A KRING_TRACK_STATE_, KRING_CODE_FAILURE_ or KRING_PATH_ value, or 0 and 1.
    pub state: u32,
    /// A KRING_END_ value; an unknown one is as KRING_END_OTHER.
    pub end: u32,
    /// A KRING_BY_ value.
    pub by: u32,
    /// The protocol's number of a reason without a name.
    pub code: u64,
    /// For people, or a name. Cut at 511 bytes.
    pub text: [c_char; 512],
    /// More of it.
    pub detail: [c_char; 128],
}

versioned!(kring_event, size_of::<kring_event>());

/// How a call ended.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_end {
    /// sizeof(kring_end), set before the call.
    pub struct_size: u32,
    /// A KRING_END_ value; an unknown one is as KRING_END_OTHER.
    pub end: u32,
    /// A KRING_BY_ value.
    pub by: u32,
    /// 0.
    pub reserved: u32,
    /// The protocol's number of a reason without a name.
    pub code: u64,
    /// For people. Cut at 511 bytes.
    pub text: [c_char; 512],
}

versioned!(kring_end, size_of::<kring_end>());

fn by(who: EndedBy) -> u32 {
    match who {
        EndedBy::Local => KRING_BY_LOCAL,
        EndedBy::Peer => KRING_BY_PEER,
        EndedBy::Network => KRING_BY_NETWORK,
    }
}

pub(crate) fn path(path: Path) -> u32 {
    match path {
        Path::Direct => KRING_PATH_DIRECT,
        Path::Relayed => KRING_PATH_RELAYED,
    }
}

pub(crate) fn track_state(state: TrackState) -> u32 {
    match state {
        TrackState::Muted => KRING_TRACK_STATE_MUTED,
        TrackState::Ended => KRING_TRACK_STATE_ENDED,
        // Live, and what a later version may know: something is to be expected of it.
        _ => KRING_TRACK_STATE_LIVE,
    }
}

impl kring_end {
    pub(crate) fn new(end: &End) -> kring_end {
        let (kind, who, code) = match end {
            End::HungUp { by: who } => (KRING_END_HUNG_UP, by(*who), 0),
            End::Declined { by: who } => (KRING_END_DECLINED, by(*who), 0),
            End::Busy => (KRING_END_BUSY, KRING_BY_PEER, 0),
            End::NotAdmitted => (KRING_END_NOT_ADMITTED, KRING_BY_NOBODY, 0),
            End::NotAnswered => (KRING_END_NOT_ANSWERED, KRING_BY_NOBODY, 0),
            End::GoingAway { by: who } => (KRING_END_GOING_AWAY, by(*who), 0),
            End::Vanished => (KRING_END_VANISHED, KRING_BY_NETWORK, 0),
            End::BothDialled => (KRING_END_BOTH_DIALLED, KRING_BY_NOBODY, 0),
            End::Unreachable(_) => (KRING_END_UNREACHABLE, KRING_BY_NETWORK, 0),
            End::Refused => (KRING_END_REFUSED, KRING_BY_PEER, 0),
            End::ClockOff => (KRING_END_CLOCK_OFF, KRING_BY_NOBODY, 0),
            End::NothingInCommon => (KRING_END_NOTHING_IN_COMMON, KRING_BY_NOBODY, 0),
            End::Handshake(_) => (KRING_END_HANDSHAKE, KRING_BY_NOBODY, 0),
            End::ProtocolError { by: who } => (KRING_END_PROTOCOL_ERROR, by(*who), 0),
            End::Other(code) => (KRING_END_OTHER, KRING_BY_NOBODY, *code),
            _ => (KRING_END_OTHER, KRING_BY_NOBODY, 0),
        };
        let text = fixed(&end.to_string());
        kring_end { struct_size: size_of::<kring_end>() as u32, end: kind, by: who, reserved: 0, code, text }
    }
}

impl kring_event {
    fn plain(kind: u32) -> kring_event {
        kring_event {
            struct_size: size_of::<kring_event>() as u32,
            kind,
            track: 0,
            state: 0,
            end: 0,
            by: 0,
            code: 0,
            text: [0; 512],
            detail: [0; 128],
        }
    }

    fn with(kind: u32, text: &str, detail: &str) -> kring_event {
        kring_event { text: fixed(text), detail: fixed(detail), ..kring_event::plain(kind) }
    }

    pub(crate) fn new(event: &Event) -> kring_event {
        let plain = kring_event::plain;
        match event {
            Event::PasscodeWanted => plain(KRING_EVENT_PASSCODE_WANTED),
            Event::Waiting => plain(KRING_EVENT_WAITING),
            Event::Ringing => plain(KRING_EVENT_RINGING),
            Event::AnsweredAhead => plain(KRING_EVENT_ANSWERED_AHEAD),
            Event::Answered => plain(KRING_EVENT_ANSWERED),
            Event::Connected(safety) => kring_event::with(KRING_EVENT_CONNECTED, safety.noise, safety.media),
            Event::Code(code) => kring_event::with(KRING_EVENT_CODE, &code.words().join(" "), &emoji(code)),
            Event::CodeFailed(failure) => {
                let state = match failure {
                    CodeFailure::Forged => KRING_CODE_FAILURE_FORGED,
                    _ => KRING_CODE_FAILURE_NOT_IN_TIME,
                };
                kring_event { state, ..kring_event::with(KRING_EVENT_CODE_FAILED, &failure.to_string(), "") }
            }
            Event::KeyChanged(peer) => {
                let (came, expected) = (peer.identity().fingerprint(), peer.pinned().fingerprint());
                kring_event::with(KRING_EVENT_KEY_CHANGED, &came.to_string(), &expected.to_string())
            }
            Event::PeerTracks(_) => plain(KRING_EVENT_PEER_TRACKS),
            Event::PeerTrackState { track, state } => kring_event {
                track: (*track).into(),
                state: track_state(*state),
                ..plain(KRING_EVENT_PEER_TRACK_STATE)
            },
            Event::Acquainted { contact } => {
                kring_event::with(KRING_EVENT_ACQUAINTED, contact.as_deref().unwrap_or_default(), "")
            }
            Event::PeerRecording(on) => {
                kring_event { state: (*on).into(), ..plain(KRING_EVENT_PEER_RECORDING) }
            }
            Event::Path(way) => kring_event { state: path(*way), ..plain(KRING_EVENT_PATH) },
            Event::Interrupted => plain(KRING_EVENT_INTERRUPTED),
            Event::Resumed => plain(KRING_EVENT_RESUMED),
            Event::MediaStopped { what, why } => kring_event::with(KRING_EVENT_MEDIA_STOPPED, why, what),
            Event::Ended(how) => {
                let kring_end { end, by, code, text, .. } = kring_end::new(how);
                kring_event { end, by, code, text, ..plain(KRING_EVENT_ENDED) }
            }
            _ => plain(KRING_EVENT_OTHER),
        }
    }
}

/// A code's five emoji, as one text.
pub(crate) fn emoji(code: &kring::Code) -> String {
    code.emoji().iter().enumerate().fold(String::new(), |mut text, (at, emoji)| {
        let gap = if at == 0 { "" } else { " " };
        let _ = write!(text, "{gap}{}", emoji.symbol);
        text
    })
}

/// How a call has ended, as a failure of what was waited for.
pub(crate) fn ended(end: &End) -> Failure {
    Failure::new(crate::error::KRING_ERROR_ENDED, end)
}
