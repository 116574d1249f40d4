//! The messages inside the Noise channel: what a call is about, and who does what.
//!
//! Guarantee: decoding is bounded (16 tracks, 16 codecs, names of 64 characters), passes over what it does not know,
//! and no message can open a device: there is none that asks for it.

use crate::crypto::Provider;
use crate::handshake::HandshakeError;
use crate::keys::{MAX_TRACKS, REPORT_TRACK, SenderKey};
use crate::media::MediaKind;
use crate::wire::{self, Fields, Malformed};
use std::fmt;
use zeroize::Zeroizing;

/// The longest name, in characters.
pub const MAX_NAME: usize = 64;
/// The longest codec name, in bytes.
pub const MAX_CODEC_NAME: usize = 16;
const MAX_CODECS: usize = 16;

/// The codecs that every implementation of this version can receive.
pub const MANDATORY_CODECS: [&str; 2] = ["opus", "h264"];

/// What a track shows or sounds of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrackSource {
    /// A voice.
    Microphone,
    /// A camera's pictures.
    Camera,
    /// A screen or window.
    Screen,
}

impl TrackSource {
    /// Sound or pictures.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            TrackSource::Microphone => MediaKind::Audio,
            TrackSource::Camera | TrackSource::Screen => MediaKind::Video,
        }
    }
}

/// Whether a track is being sent, as its sender says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrackState {
    /// Frames are sent.
    Live,
    /// Switched off by its user: a muted microphone, a camera that is off. No frames come.
    Muted,
    /// It has ended, like a file that is over.
    Ended,
}

/// A track as its sender announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackInfo {
    /// 0 to 14, chosen by the sender.
    pub id: u8,
    /// What it shows or sounds of.
    pub source: TrackSource,
    /// Its codec: "opus", "h264", or what both apps know.
    pub codec: String,
    /// Width and height in pixels, for pictures: the full size, which frames may go below.
    pub size: Option<(u16, u16)>,
    /// Pictures per second × 1000.
    pub frame_rate_milli: u32,
    /// Whether it is sent now.
    pub state: TrackState,
}

/// What one side sends and can receive: the caller's comes with `confirm`, the callee's with the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// How the user wants to be called; not verified by anyone, at most [`MAX_NAME`] characters.
    pub name: String,
    /// The codecs that this side decodes, the preferred first.
    pub receive: Vec<String>,
    /// The tracks that this side sends.
    pub tracks: Vec<TrackInfo>,
}

impl Offer {
    /// As bytes for [`Dial::handle`](crate::handshake::Dial::handle).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.name.is_empty() {
            wire::put(1, clean_name(&self.name).as_bytes(), &mut out);
        }
        for codec in self.receive.iter().take(MAX_CODECS) {
            wire::put(2, codec.as_bytes(), &mut out);
        }
        for track in self.tracks.iter().take(REPORT_TRACK.into()) {
            wire::put(3, &track.encode(), &mut out);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Offer, Malformed> {
        let mut offer = Offer::default();
        for field in Fields(bytes) {
            match field? {
                (1, value) => offer.name = clean_name(std::str::from_utf8(value).map_err(|_| Malformed)?),
                (2, value) if offer.receive.len() < MAX_CODECS => offer.receive.push(codec(value)?),
                (3, value) => {
                    let track = TrackInfo::decode(value)?;
                    // A source that this version does not know is passed over.
                    if let Some(track) = track.filter(|t| offer.tracks.iter().all(|o| o.id != t.id)) {
                        offer.tracks.push(track);
                    }
                }
                _ => {}
            }
        }
        Ok(offer)
    }

    /// The codec to send `kind` with to someone whose offer this is: the first of `own` that it receives.
    #[must_use]
    pub fn choose_codec<'a>(&self, own: &'a [String]) -> Option<&'a str> {
        own.iter().find(|c| self.receive.contains(c)).map(String::as_str)
    }
}

/// Names come from the other side and end on terminals: no control characters, no overlong ones.
fn clean_name(name: &str) -> String {
    // Unicode's Cc, its line and paragraph separators, and all of Bidi_Control.
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    name.chars().filter(|c| !odd(*c)).take(MAX_NAME).collect()
}

fn codec(value: &[u8]) -> Result<String, Malformed> {
    let fine = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    if value.is_empty() || value.len() > MAX_CODEC_NAME || !value.iter().all(fine) {
        return Err(Malformed);
    }
    String::from_utf8(value.to_vec()).map_err(|_| Malformed)
}

impl TrackState {
    const fn code(self) -> u64 {
        match self {
            TrackState::Live => 0,
            TrackState::Muted => 1,
            TrackState::Ended => 2,
        }
    }

    fn from_code(code: u64) -> Result<TrackState, Malformed> {
        Ok(match code {
            0 => TrackState::Live,
            1 => TrackState::Muted,
            2 => TrackState::Ended,
            _ => return Err(Malformed),
        })
    }
}

impl TrackInfo {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_number(1, self.id.into(), &mut out);
        let source = match self.source {
            TrackSource::Microphone => 0,
            TrackSource::Camera => 1,
            TrackSource::Screen => 2,
        };
        wire::put_number(2, source, &mut out);
        wire::put(3, self.codec.as_bytes(), &mut out);
        if let Some((width, height)) = self.size {
            wire::put_number(4, width.into(), &mut out);
            wire::put_number(5, height.into(), &mut out);
            wire::put_number(6, self.frame_rate_milli.into(), &mut out);
        }
        wire::put_number(7, self.state.code(), &mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Option<TrackInfo>, Malformed> {
        let (mut id, mut source, mut name, mut width, mut height, mut rate) = (None, None, None, 0, 0, 0);
        let mut state = TrackState::Live;
        for field in Fields(bytes) {
            match field? {
                (1, v) => id = Some(track_id(v)?),
                (2, v) => source = Some(wire::number(v)?),
                (3, v) => name = Some(codec(v)?),
                (4, v) => width = u16::try_from(wire::number(v)?).map_err(|_| Malformed)?,
                (5, v) => height = u16::try_from(wire::number(v)?).map_err(|_| Malformed)?,
                (6, v) => rate = u32::try_from(wire::number(v)?).map_err(|_| Malformed)?,
                (7, v) => state = TrackState::from_code(wire::number(v)?)?,
                _ => {}
            }
        }
        let source = match source.ok_or(Malformed)? {
            0 => TrackSource::Microphone,
            1 => TrackSource::Camera,
            2 => TrackSource::Screen,
            _ => return Ok(None),
        };
        let size = match source.kind() {
            MediaKind::Audio => None,
            MediaKind::Video => {
                let fine = |n: u16| (2..=8192).contains(&n) && n.is_multiple_of(2);
                if !fine(width) || !fine(height) {
                    return Err(Malformed);
                }
                Some((width, height))
            }
        };
        let codec = name.ok_or(Malformed)?;
        let id = id.ok_or(Malformed)?;
        // Sound has no pictures per second, whatever was said.
        let frame_rate_milli = if size.is_some() { rate } else { 0 };
        Ok(Some(TrackInfo { id, source, codec, size, frame_rate_milli, state }))
    }
}

fn track_id(value: &[u8]) -> Result<u8, Malformed> {
    let id = u8::try_from(wire::number(value)?).map_err(|_| Malformed)?;
    if id < MAX_TRACKS && id != REPORT_TRACK { Ok(id) } else { Err(Malformed) }
}

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

impl Message {
    /// Whether the channel has to be rekeyed after it.
    pub(crate) fn carries_secret(&self) -> bool {
        matches!(self, Message::SenderKey(_))
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
            T_SENDER_KEY => {
                let n = numbers()?;
                let (mut secret, mut signature) = (None, None);
                for field in Fields(value) {
                    match field? {
                        (4, v) => secret = Some(Zeroizing::new(v.try_into().map_err(|_| Malformed)?)),
                        (5, v) => signature = Some(v.try_into().map_err(|_| Malformed)?),
                        _ => {}
                    }
                }
                Message::SenderKey(SenderKey {
                    epoch: n[1].ok_or(Malformed)?,
                    rotation: n[2].and_then(|n| n.try_into().ok()).ok_or(Malformed)?,
                    leaf: n[3].and_then(|n| n.try_into().ok()).ok_or(Malformed)?,
                    secret: secret.ok_or(Malformed)?,
                    signature: signature.ok_or(Malformed)?,
                })
            }
            _ => return Ok(None),
        }))
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;

    fn offer() -> Offer {
        let audio = TrackInfo {
            id: 0,
            source: TrackSource::Microphone,
            codec: "opus".into(),
            size: None,
            frame_rate_milli: 0,
            state: TrackState::Muted,
        };
        let video = TrackInfo {
            id: 1,
            source: TrackSource::Camera,
            codec: "h264".into(),
            size: Some((640, 360)),
            frame_rate_milli: 29_970,
            state: TrackState::Live,
        };
        Offer { name: "Anna".into(), receive: vec!["opus".into(), "h264".into()], tracks: vec![audio, video] }
    }

    #[test]
    fn an_offer_survives_the_wire() {
        assert_eq!(Offer::decode(&offer().encode()), Ok(offer()));
    }

    #[test]
    fn a_name_cannot_write_on_the_terminal() {
        let tricky = Offer { name: format!("Eve\u{1b}[2J\n\u{202e}{}", "x".repeat(100)), ..Offer::default() };
        let name = Offer::decode(&tricky.encode()).unwrap().name;
        assert!(name.starts_with("Eve[2Jxxx") && name.chars().count() == MAX_NAME, "{name:?}");
        let mut raw = Vec::new();
        wire::put(1, b"a\x1b]0;b", &mut raw);
        assert_eq!(Offer::decode(&raw).unwrap().name, "a]0;b");
        // Direction and line characters outside the usual ranges.
        raw.clear();
        wire::put(1, "E\u{61c}v\u{2028}e\u{2029}".as_bytes(), &mut raw);
        assert_eq!(Offer::decode(&raw).unwrap().name, "Eve");
    }

    #[test]
    fn sound_has_no_picture_rate_whatever_it_says() {
        let mut track = offer().tracks[0].encode();
        wire::put_number(6, 30_000, &mut track);
        let mut raw = Vec::new();
        wire::put(3, &track, &mut raw);
        assert_eq!(Offer::decode(&raw).unwrap().tracks, offer().tracks[..1]);
    }

    #[test]
    fn an_unknown_source_is_passed_over_and_an_impossible_size_refused() {
        let mut raw = Vec::new();
        let mut track = Vec::new();
        wire::put_number(1, 3, &mut track);
        wire::put_number(2, 77, &mut track);
        wire::put(3, b"depth", &mut track);
        wire::put(3, &track, &mut raw);
        assert_eq!(Offer::decode(&raw).unwrap().tracks, []);
        for size in [(0, 360), (640, 0), (641, 360), (9000, 360)] {
            let mut bad = offer();
            bad.tracks[1].size = Some(size);
            assert_eq!(Offer::decode(&bad.encode()), Err(Malformed), "{size:?}");
        }
        let mut bad = offer();
        bad.tracks[1].id = REPORT_TRACK;
        assert_eq!(Offer::decode(&bad.encode()), Err(Malformed));
    }

    #[test]
    fn two_messages_in_one_frame_are_refused() {
        let mut bytes = Message::Ringing.encode(&AwsLc).unwrap().to_vec();
        bytes.extend_from_slice(&Message::Hangup(Reason::HungUp).encode(&AwsLc).unwrap());
        assert!(Message::decode(&bytes).is_err());
    }

    #[test]
    fn the_sender_chooses_its_first_codec_that_the_other_receives() {
        let own = ["av1".to_owned(), "h264".to_owned()];
        assert_eq!(offer().choose_codec(&own), Some("h264"));
        assert_eq!(offer().choose_codec(&own[..1]), None);
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
            let _ = Offer::decode(&bytes);
        }
    }
}
