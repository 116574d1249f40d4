//! What one side sends and can receive: its name, codecs and tracks.
//!
//! Guarantee: decoding is bounded (15 tracks, 16 codecs, names of 64 characters) and passes over what it does not know.

use crate::keys::{MAX_TRACKS, REPORT_TRACK};
use crate::media::MediaKind;
use crate::wire::{self, Fields, Malformed};

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
#[non_exhaustive]
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

impl TrackInfo {
    /// A live track without size and rate; set the rest on it.
    #[must_use]
    pub fn new(id: u8, source: TrackSource, codec: impl Into<String>) -> TrackInfo {
        TrackInfo {
            id,
            source,
            codec: codec.into(),
            size: None,
            frame_rate_milli: 0,
            state: TrackState::Live,
        }
    }
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
/// Whether `c` steers a terminal or turns the direction of writing: Unicode's Cc, its line and paragraph separators, and
/// all of Bidi_Control.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn clean_name(name: &str) -> String {
    name.chars().filter(|c| !steers(*c)).take(MAX_NAME).collect()
}

fn codec(value: &[u8]) -> Result<String, Malformed> {
    let fine = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    if value.is_empty() || value.len() > MAX_CODEC_NAME || !value.iter().all(fine) {
        return Err(Malformed);
    }
    String::from_utf8(value.to_vec()).map_err(|_| Malformed)
}

impl TrackState {
    pub(crate) const fn code(self) -> u64 {
        match self {
            TrackState::Live => 0,
            TrackState::Muted => 1,
            TrackState::Ended => 2,
        }
    }

    pub(crate) fn from_code(code: u64) -> Result<TrackState, Malformed> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_sender_chooses_its_first_codec_that_the_other_receives() {
        let own = ["av1".to_owned(), "h264".to_owned()];
        assert_eq!(offer().choose_codec(&own), Some("h264"));
        assert_eq!(offer().choose_codec(&own[..1]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_or_fail_quietly(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = Offer::decode(&bytes);
        }
    }
}
