//! What is said at the door, before anything rings: kinds 13 to 18 of docs/protocol.md, section 7.2.
//!
//! Guarantee: decoding takes exact lengths only.

use crate::wire::{self, Fields, Malformed};

const T_PASSCODE_WANTED: u64 = 13;
const T_CALLER_SHARE: u64 = 14;
const T_CALLEE_SHARE: u64 = 15;
const T_CALLER_TAG: u64 = 16;
const T_CALLEE_TAG: u64 = 17;
const T_WAIT: u64 = 18;

/// One message at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoorMessage {
    /// Callee: this ticket takes a passcode.
    PasscodeWanted,
    CallerShare([u8; 32]),
    CalleeShare([u8; 32]),
    CallerTag([u8; 64]),
    CalleeTag([u8; 64]),
    /// Callee: wait until somebody lets you in.
    Wait,
}

impl DoorMessage {
    /// Appends the value; gives the kind.
    pub(crate) fn encode(&self, value: &mut Vec<u8>) -> u64 {
        match self {
            DoorMessage::PasscodeWanted => return T_PASSCODE_WANTED,
            DoorMessage::Wait => return T_WAIT,
            DoorMessage::CallerShare(bytes) | DoorMessage::CalleeShare(bytes) => wire::put(1, bytes, value),
            DoorMessage::CallerTag(bytes) | DoorMessage::CalleeTag(bytes) => wire::put(1, bytes, value),
        }
        match self {
            DoorMessage::CallerShare(_) => T_CALLER_SHARE,
            DoorMessage::CalleeShare(_) => T_CALLEE_SHARE,
            DoorMessage::CallerTag(_) => T_CALLER_TAG,
            _ => T_CALLEE_TAG,
        }
    }

    /// The message of that kind; `None` if it is none of these.
    pub(crate) fn decode(kind: u64, value: &[u8]) -> Result<Option<DoorMessage>, Malformed> {
        Ok(Some(match kind {
            T_PASSCODE_WANTED => DoorMessage::PasscodeWanted,
            T_CALLER_SHARE => DoorMessage::CallerShare(bytes(value)?),
            T_CALLEE_SHARE => DoorMessage::CalleeShare(bytes(value)?),
            T_CALLER_TAG => DoorMessage::CallerTag(bytes(value)?),
            T_CALLEE_TAG => DoorMessage::CalleeTag(bytes(value)?),
            T_WAIT => DoorMessage::Wait,
            _ => return Ok(None),
        }))
    }
}

/// Field 1, of exactly that length.
fn bytes<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    let mut bytes = None;
    for field in Fields(value) {
        if let (1, value) = field? {
            bytes = Some(value.try_into().map_err(|_| Malformed)?);
        }
    }
    bytes.ok_or(Malformed)
}
