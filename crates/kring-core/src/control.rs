//! The messages inside the Noise channel: what a call is about, and who does what.
//!
//! Guarantee: decoding is bounded and passes over what it does not know, and no message can open a device: there is
//! none that asks for it.

use crate::contact::{ContactOffer, decode_reach, encode_reach};
use crate::crypto::{Provider, Secret32};
use crate::handshake::{HandshakeError, Renew, Renewed};
use crate::keys::{REPORT_TRACK, SenderKey};
use crate::mailbox::RelayHint;
use crate::offer::{Offer, TrackState};
use crate::passcode::DoorMessage;
use crate::verify::CodeMessage;
use crate::ways::{SessionName, Ways, decode_session, encode_session};
use crate::wire::{self, Fields, Malformed};
use std::fmt;
use std::net::SocketAddr;
use zeroize::Zeroizing;

/// Why a call ends or does not come about, as told to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Someone hung up.
    HungUp,
    /// The callee does not want to talk.
    Declined,
    /// The callee is in another call.
    Busy,
    /// Both dialled each other, and the other of the two calls goes on.
    BothDialled,
    /// Nobody answered in time.
    NotAnswered,
    /// The program is ending.
    GoingAway,
    /// The other side said something that makes no sense.
    ProtocolError,
    /// No codec in common.
    NoCommonCodec,
    /// Nothing was heard of the other side for too long.
    Vanished,
    /// The caller was not let in: a passcode, or a person, stands before.
    NotAdmitted,
    /// A reason that this version does not know.
    Other(u64),
}

impl Reason {
    /// The number on the wire, which also closes the QUIC connection.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Reason::HungUp => 0,
            Reason::Declined => 1,
            Reason::Busy => 2,
            Reason::BothDialled => 3,
            Reason::NotAnswered => 4,
            Reason::GoingAway => 5,
            Reason::ProtocolError => 6,
            Reason::NoCommonCodec => 7,
            Reason::Vanished => 8,
            Reason::NotAdmitted => 9,
            Reason::Other(code) => code,
        }
    }

    /// From the number on the wire.
    #[must_use]
    pub const fn from_code(code: u64) -> Reason {
        match code {
            0 => Reason::HungUp,
            1 => Reason::Declined,
            2 => Reason::Busy,
            3 => Reason::BothDialled,
            4 => Reason::NotAnswered,
            5 => Reason::GoingAway,
            6 => Reason::ProtocolError,
            7 => Reason::NoCommonCodec,
            8 => Reason::Vanished,
            9 => Reason::NotAdmitted,
            code => Reason::Other(code),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::HungUp => "hung up",
            Reason::Declined => "declined",
            Reason::Busy => "busy",
            Reason::BothDialled => "both dialled; the other call goes on",
            Reason::NotAnswered => "not answered",
            Reason::GoingAway => "the program ended",
            Reason::ProtocolError => "protocol error",
            Reason::NoCommonCodec => "no codec in common",
            Reason::Vanished => "connection lost",
            Reason::NotAdmitted => "not let in",
            Reason::Other(code) => return write!(f, "ended for reason {code}"),
        })
    }
}

/// One message of an established session.
pub(crate) enum Message {
    Ringing,
    Answer(Offer),
    Decline(Reason),
    Hangup(Reason),
    SenderKey(SenderKey),
    /// Replaces the sender's list of tracks.
    Tracks(Offer),
    TrackState {
        track: u8,
        state: TrackState,
    },
    KeyframeRequest {
        track: u8,
    },
    Recording(bool),
    /// The caller begins a new handshake inside the session.
    Renew(Renew),
    /// The callee answers it, and writes under the new keys from here on.
    Renewed(Renewed),
    /// The caller writes under the new keys from here on.
    Switched,
    /// The sender key of that rotation, not the first, is held here.
    KeyTaken {
        rotation: u8,
    },
    /// Of the exchange that gives the call its code.
    Code(CodeMessage),
    /// Before it rings.
    Door(DoorMessage),
    Contact(Box<ContactOffer>),
    Reach(Vec<SocketAddr>),
    Ways(Box<Ways>),
    /// Where the sender waits for the receiver besides.
    Relay(Box<RelayHint>),
    /// Which of the callee's sessions with a relay goes with this call.
    Session(SessionName),
}

const T_RINGING: u64 = 1;
const T_ANSWER: u64 = 2;
const T_DECLINE: u64 = 3;
const T_HANGUP: u64 = 4;
const T_SENDER_KEY: u64 = 5;
const T_TRACKS: u64 = 6;
const T_TRACK_STATE: u64 = 7;
const T_KEYFRAME_REQUEST: u64 = 8;
const T_RECORDING: u64 = 9;
const T_RENEW: u64 = 30;
const T_RENEWED: u64 = 31;
const T_SWITCHED: u64 = 32;
const T_KEY_TAKEN: u64 = 34;
// 10 to 12 are in `verify/exchange.rs`, 13 to 18 in `passcode/message.rs`.
const T_CONTACT: u64 = 20;
const T_REACH: u64 = 21;
const T_WAYS: u64 = 40;
const T_SESSION: u64 = 41;
const T_RELAY: u64 = 42;

impl Message {
    /// Whether the channel has to be rekeyed after it.
    pub(crate) fn carries_secret(&self) -> bool {
        matches!(self, Message::SenderKey(_) | Message::Renew(_) | Message::Contact(_) | Message::Ways(_))
    }

    /// One field, and sometimes a meaningless one beside it.
    pub(crate) fn encode(&self, provider: &dyn Provider) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
        let mut value = Zeroizing::new(Vec::new());
        let kind = match self {
            Message::Ringing => T_RINGING,
            Message::Answer(offer) => {
                value.extend_from_slice(&offer.encode());
                T_ANSWER
            }
            Message::Decline(reason) => {
                wire::put_number(1, reason.code(), &mut value);
                T_DECLINE
            }
            Message::Hangup(reason) => {
                wire::put_number(1, reason.code(), &mut value);
                T_HANGUP
            }
            Message::SenderKey(key) => {
                value.reserve(128);
                wire::put_number(1, key.epoch, &mut value);
                wire::put_number(2, key.rotation.into(), &mut value);
                wire::put_number(3, key.leaf.into(), &mut value);
                wire::put(4, &*key.secret, &mut value);
                wire::put(5, &key.signature, &mut value);
                T_SENDER_KEY
            }
            Message::Tracks(offer) => {
                value.extend_from_slice(&offer.encode());
                T_TRACKS
            }
            Message::TrackState { track, state } => {
                wire::put_number(1, (*track).into(), &mut value);
                wire::put_number(2, state.code(), &mut value);
                T_TRACK_STATE
            }
            Message::KeyframeRequest { track } => {
                wire::put_number(1, (*track).into(), &mut value);
                T_KEYFRAME_REQUEST
            }
            Message::Recording(on) => {
                wire::put_number(1, (*on).into(), &mut value);
                T_RECORDING
            }
            Message::Renew(renew) => {
                value.reserve(renew.message.len() + 64);
                wire::put_number(1, renew.counter, &mut value);
                wire::put(4, &*renew.seed, &mut value);
                wire::put(5, &renew.message, &mut value);
                T_RENEW
            }
            Message::Renewed(renewed) => {
                wire::put_number(1, renewed.counter, &mut value);
                wire::put(5, &renewed.message, &mut value);
                T_RENEWED
            }
            Message::Switched => T_SWITCHED,
            Message::KeyTaken { rotation } => {
                wire::put_number(1, (*rotation).into(), &mut value);
                T_KEY_TAKEN
            }
            Message::Code(message) => message.encode(&mut value),
            Message::Door(message) => message.encode(&mut value),
            Message::Contact(offer) => {
                offer.encode(&mut value);
                T_CONTACT
            }
            Message::Reach(addresses) => {
                encode_reach(addresses, &mut value);
                T_REACH
            }
            Message::Ways(ways) => {
                // Nothing of the password stays behind where it grows.
                value.reserve(64 + 32 * ways.candidates.len());
                ways.encode(&mut value);
                T_WAYS
            }
            Message::Relay(hint) => {
                hint.encode(&mut value);
                T_RELAY
            }
            Message::Session(name) => {
                encode_session(name, &mut value);
                T_SESSION
            }
        };
        let mut out = Zeroizing::new(Vec::with_capacity(value.len() + 32));
        wire::put(kind, &value, &mut out);
        wire::put_grease(provider, &mut out)?;
        Ok(out)
    }

    /// The message in a frame; `None` if it is of a kind that this version does not know.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Message>, Malformed> {
        let mut message = None;
        for field in Fields(bytes) {
            let (kind, value) = field?;
            let known = Message::decode_one(kind, value)?;
            if message.is_some() && known.is_some() {
                return Err(Malformed);
            }
            message = message.or(known);
        }
        Ok(message)
    }

    fn decode_one(kind: u64, value: &[u8]) -> Result<Option<Message>, Malformed> {
        // The numbers of a message, by field; unknown fields are passed over.
        let numbers = || -> Result<[Option<u64>; 4], Malformed> {
            let mut numbers = [None; 4];
            for field in Fields(value) {
                if let (kind @ 1..=3, value) = field? {
                    numbers[kind as usize] = Some(wire::number(value)?);
                }
            }
            Ok(numbers)
        };
        let track = |n: Option<u64>| {
            n.and_then(|n| u8::try_from(n).ok()).filter(|id| *id < REPORT_TRACK).ok_or(Malformed)
        };
        Ok(Some(match kind {
            T_RINGING => Message::Ringing,
            T_ANSWER => Message::Answer(Offer::decode(value)?),
            T_DECLINE => Message::Decline(Reason::from_code(numbers()?[1].ok_or(Malformed)?)),
            T_HANGUP => Message::Hangup(Reason::from_code(numbers()?[1].ok_or(Malformed)?)),
            T_TRACKS => Message::Tracks(Offer::decode(value)?),
            T_TRACK_STATE => {
                let n = numbers()?;
                let state = TrackState::from_code(n[2].ok_or(Malformed)?)?;
                Message::TrackState { track: track(n[1])?, state }
            }
            T_KEYFRAME_REQUEST => Message::KeyframeRequest { track: track(numbers()?[1])? },
            T_RECORDING => Message::Recording(numbers()?[1].ok_or(Malformed)? != 0),
            T_CONTACT => Message::Contact(Box::new(ContactOffer::decode(value)?)),
            T_REACH => Message::Reach(decode_reach(value)?),
            T_WAYS => Message::Ways(Box::new(Ways::decode(value)?)),
            T_SESSION => Message::Session(decode_session(value)?),
            T_RELAY => Message::Relay(Box::new(RelayHint::decode(value)?)),
            T_SENDER_KEY => {
                let n = numbers()?;
                let (secret, signature) = secret_and_bytes(value)?;
                Message::SenderKey(SenderKey {
                    epoch: n[1].ok_or(Malformed)?,
                    rotation: n[2].and_then(|n| n.try_into().ok()).ok_or(Malformed)?,
                    leaf: n[3].and_then(|n| n.try_into().ok()).ok_or(Malformed)?,
                    secret: secret.ok_or(Malformed)?,
                    signature: signature.and_then(|s| s.try_into().ok()).ok_or(Malformed)?,
                })
            }
            T_RENEW => {
                let (seed, message) = secret_and_bytes(value)?;
                Message::Renew(Renew {
                    counter: numbers()?[1].ok_or(Malformed)?,
                    seed: seed.ok_or(Malformed)?,
                    message: message.ok_or(Malformed)?.to_vec(),
                })
            }
            T_RENEWED => {
                let (_, message) = secret_and_bytes(value)?;
                let message = message.ok_or(Malformed)?.to_vec();
                Message::Renewed(Renewed { counter: numbers()?[1].ok_or(Malformed)?, message })
            }
            T_SWITCHED => Message::Switched,
            T_KEY_TAKEN => Message::KeyTaken {
                rotation: numbers()?[1].and_then(|n| n.try_into().ok()).ok_or(Malformed)?,
            },
            _ => {
                let code = CodeMessage::decode(kind, value)?.map(Message::Code);
                let door = DoorMessage::decode(kind, value)?.map(Message::Door);
                return Ok(code.or(door));
            }
        }))
    }
}

/// Fields 4, a secret of 32 bytes, and 5.
fn secret_and_bytes(value: &[u8]) -> Result<(Option<Secret32>, Option<&[u8]>), Malformed> {
    let (mut secret, mut bytes) = (None, None);
    for field in Fields(value) {
        match field? {
            (4, v) => secret = Some(Zeroizing::new(v.try_into().map_err(|_| Malformed)?)),
            (5, v) => bytes = Some(v),
            _ => {}
        }
    }
    Ok((secret, bytes))
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;

    #[test]
    fn two_messages_in_one_frame_are_refused() {
        let mut bytes = Message::Ringing.encode(&AwsLc).unwrap().to_vec();
        bytes.extend_from_slice(&Message::Hangup(Reason::HungUp).encode(&AwsLc).unwrap());
        assert!(Message::decode(&bytes).is_err());
    }

    #[test]
    fn reasons_keep_their_numbers() {
        for code in 0..20 {
            assert_eq!(Reason::from_code(code).code(), code);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_or_fail_quietly(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = Message::decode(&bytes);
        }
    }
}
