//! Control messages by their numbers: docs/protocol.md, section 7.2.

use kring_core::fuzzing::raw::{put, put_number};

pub(crate) const RINGING: u64 = 1;
pub(crate) const ANSWER: u64 = 2;
pub(crate) const DECLINE: u64 = 3;
pub(crate) const HANG_UP: u64 = 4;
pub(crate) const SENDER_KEY: u64 = 5;
pub(crate) const TRACKS: u64 = 6;
pub(crate) const TRACK_STATE: u64 = 7;
pub(crate) const KEYFRAME_REQUEST: u64 = 8;
pub(crate) const RECORDING: u64 = 9;
pub(crate) const COMMITMENT: u64 = 10;
pub(crate) const NONCE: u64 = 11;
pub(crate) const REVEAL: u64 = 12;
pub(crate) const PASSCODE_WANTED: u64 = 13;
pub(crate) const CALLER_SHARE: u64 = 14;
pub(crate) const CALLEE_SHARE: u64 = 15;
pub(crate) const CALLER_TAG: u64 = 16;
pub(crate) const CALLEE_TAG: u64 = 17;
pub(crate) const WAIT: u64 = 18;
pub(crate) const CONTACT: u64 = 20;
pub(crate) const REACH: u64 = 21;
pub(crate) const RENEW: u64 = 30;
pub(crate) const RENEWED: u64 = 31;
pub(crate) const SWITCHED: u64 = 32;
pub(crate) const KEY_TAKEN: u64 = 34;
pub(crate) const WAYS: u64 = 40;
pub(crate) const SESSION: u64 = 41;
pub(crate) const RELAY: u64 = 42;

/// What ends a call that has gone wrong (7.2).
pub(crate) const PROTOCOL_ERROR: u64 = 6;

/// Whether version 1 knows that kind.
pub(crate) fn is_known(kind: u64) -> bool {
    matches!(kind, 1..=18 | 20 | 21 | 30..=32 | 34 | 40..=42)
}

/// Whether the direction is rekeyed after it (section 6).
pub(crate) fn carries_secret(kind: u64) -> bool {
    matches!(kind, SENDER_KEY | CONTACT | RENEW | WAYS)
}

/// What it is called.
pub(crate) fn name(kind: u64) -> String {
    let name = match kind {
        RINGING => "ringing",
        ANSWER => "answer",
        DECLINE => "decline",
        HANG_UP => "hang-up",
        SENDER_KEY => "sender key",
        TRACKS => "tracks",
        TRACK_STATE => "track state",
        KEYFRAME_REQUEST => "keyframe request",
        RECORDING => "recording",
        COMMITMENT => "code commitment",
        NONCE => "code nonce",
        REVEAL => "code reveal",
        PASSCODE_WANTED => "passcode wanted",
        CALLER_SHARE => "caller's share",
        CALLEE_SHARE => "callee's share",
        CALLER_TAG => "caller's tag",
        CALLEE_TAG => "callee's tag",
        WAIT => "wait",
        CONTACT => "contact",
        REACH => "reach",
        RENEW => "renew",
        RENEWED => "renewed",
        SWITCHED => "switched",
        KEY_TAKEN => "key taken",
        WAYS => "ways",
        SESSION => "session",
        RELAY => "relay",
        _ => return format!("message {kind}"),
    };
    name.to_owned()
}

/// A field.
pub(crate) fn field(kind: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(kind, value, &mut out);
    out
}

/// A field that holds a number.
pub(crate) fn numbered(kind: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(kind, value, &mut out);
    out
}

/// Fields that mean nothing to version 1, in front of what does and behind it: GREASE, and a kind that a later version may have.
pub(crate) fn among_unknown(known: &[u8]) -> Vec<u8> {
    [&field(31 * 200 + 33, b"grease")[..], known, &field(1_000_000, &[0xff; 70]), &field(33, b"")].concat()
}
