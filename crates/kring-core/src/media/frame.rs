//! What travels with every frame: a header in the clear and an info under the seal.
//!
//! Guarantee: `decode` takes nothing that `encode` would not have written (but for one reserved bit of the
//! audio level), so both have one encoding and a header that was taken apart can be put together again as
//! the very bytes that SFrame authenticated.

use std::time::Duration;

use thiserror::Error;

use crate::varint;

/// The highest temporal or spatial layer.
pub const MAX_LAYER: u8 = 3;

/// The unit of an audio frame's duration: 2.5 ms, Opus's shortest frame.
pub const DURATION_UNIT: Duration = Duration::from_micros(2500);

/// The audio level of silence: 127 dB below overload (RFC 6464).
pub const SILENCE: u8 = 127;

/// How many bits of a capture time are sent; they wrap after about 12.7 days.
pub const CAPTURE_BITS: u32 = 40;

const CAPTURE_MASK: u64 = (1 << CAPTURE_BITS) - 1;
const MAX_UNITS: u8 = 0x3f;

/// SFrame's metadata: authenticated end to end, readable by a forwarder, the same on every hop.
///
/// ```text
/// version:2 = 0 | keyframe:1 | discardable:1 | temporal layer:2 | spatial layer:2, then frame id (varint)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    /// The frame can be decoded without any frame before it. Always so for audio and reports.
    pub keyframe: bool,
    /// No later frame refers to this one, so it may go missing without harm to others.
    pub discardable: bool,
    /// Temporal layer, 0 (base) to [`MAX_LAYER`]; a larger value is sent as [`MAX_LAYER`].
    pub temporal_layer: u8,
    /// Spatial layer, 0 (base) to [`MAX_LAYER`]; a larger value is sent as [`MAX_LAYER`].
    pub spatial_layer: u8,
    /// Counts the frames that one sender sent on one track: one more for each.
    pub frame_id: u32,
}

impl FrameHeader {
    /// The most bytes that a header takes.
    pub const MAX_LEN: usize = 9;

    /// How many bytes [`encode`](Self::encode) appends.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        1 + varint::len(self.frame_id as u64)
    }

    /// Appends the header to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.keyframe) << 5
                | u8::from(self.discardable) << 4
                | self.temporal_layer.min(MAX_LAYER) << 2
                | self.spatial_layer.min(MAX_LAYER),
        );
        varint::write(u64::from(self.frame_id), out);
    }

    /// Takes a header off the front of `input`, which is left alone on an error.
    ///
    /// # Errors
    /// If the header is cut short, of another version, or its frame id is above `u32::MAX` or not in its
    /// shortest form.
    pub fn decode(input: &mut &[u8]) -> Result<FrameHeader, FrameHeaderError> {
        let (&first, mut rest) = input.split_first().ok_or(FrameHeaderError::Short)?;
        if first >> 6 != 0 {
            return Err(FrameHeaderError::Version(first >> 6));
        }
        let tag = *rest.first().ok_or(FrameHeaderError::Short)?;
        if rest.len() < 1 << (tag >> 6) {
            return Err(FrameHeaderError::Short);
        }
        let id = varint::read(&mut rest).ok_or(FrameHeaderError::NotShortest)?;
        let frame_id = u32::try_from(id).map_err(|_| FrameHeaderError::FrameIdTooLarge(id))?;
        *input = rest;
        Ok(FrameHeader {
            keyframe: first & 0x20 != 0,
            discardable: first & 0x10 != 0,
            temporal_layer: first >> 2 & 3,
            spatial_layer: first & 3,
            frame_id,
        })
    }
}

/// Why bytes are no [`FrameHeader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameHeaderError {
    /// The input ends inside the header.
    #[error("the frame header is cut short")]
    Short,
    /// A version that this build does not know.
    #[error("frame header version {0}, expected 0")]
    Version(u8),
    /// The frame id does not fit 32 bits.
    #[error("frame id {0} is above 2^32 - 1")]
    FrameIdTooLarge(u64),
    /// The frame id is not in its shortest form.
    #[error("the frame id is not a varint in its shortest form")]
    NotShortest,
}

/// What a track carries; known from its announcement, not from its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// A camera's or a screen's pictures.
    Video,
}

/// What is sealed in front of every frame's codec payload, for the receiver alone.
///
/// ```text
/// capture time (5 B, µs mod 2^40), layout:2 = 0 | value:6, then for audio: reserved:1 = 0 | level:7
/// ```
///
/// The value is the duration in units of [`DURATION_UNIT`] for audio and `skippable` for video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameInfo {
    /// Of one audio packet.
    Audio {
        /// When its first sample was captured: µs on the sender's clock. Only the low [`CAPTURE_BITS`] are
        /// sent; see [`unwrap_capture`].
        capture: u64,
        /// How much sound it holds: 2.5 ms to 157.5 ms, sent in whole units of [`DURATION_UNIT`] (rounded
        /// down, at least one).
        duration: Duration,
        /// Loudness in −dBov: 0 is overload, [`SILENCE`] is silence (RFC 6464); larger is sent as silence.
        level: u8,
    },
    /// Of one picture.
    Video {
        /// When it was captured: µs on the sender's clock. Only the low [`CAPTURE_BITS`] are sent.
        capture: u64,
        /// How many frames right before this one (by frame id) it does not build on, 0 to 63. The one before those is its
        /// reference, and a receiver that has decoded that may go on; nothing is said by it of a keyframe.
        skippable: u8,
    },
}

impl FrameInfo {
    /// The most bytes that an info takes.
    pub const MAX_LEN: usize = 7;

    /// What kind of frame this belongs to.
    #[must_use]
    pub const fn kind(&self) -> MediaKind {
        match self {
            FrameInfo::Audio { .. } => MediaKind::Audio,
            FrameInfo::Video { .. } => MediaKind::Video,
        }
    }

    /// The capture time in µs: whole if it was built here, its low [`CAPTURE_BITS`] if it was decoded.
    #[must_use]
    pub const fn capture(&self) -> u64 {
        match *self {
            FrameInfo::Audio { capture, .. } | FrameInfo::Video { capture, .. } => capture,
        }
    }

    /// Appends the info to `out`; the codec's payload follows it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.capture() & CAPTURE_MASK).to_be_bytes()[3..]);
        match *self {
            FrameInfo::Audio { duration, level, .. } => {
                let units = duration.as_micros() / DURATION_UNIT.as_micros();
                out.push(u8::try_from(units).unwrap_or(MAX_UNITS).clamp(1, MAX_UNITS));
                out.push(level.min(SILENCE));
            }
            FrameInfo::Video { skippable, .. } => out.push(skippable.min(MAX_UNITS)),
        }
    }

    /// Takes the info of a frame of `kind` off the front of an opened frame, leaving the codec's payload.
    /// `input` is left alone on an error.
    ///
    /// # Errors
    /// If it is cut short, of a layout that this build does not know, or audio without a duration.
    pub fn decode(kind: MediaKind, input: &mut &[u8]) -> Result<FrameInfo, FrameInfoError> {
        let (head, rest) = input.split_first_chunk::<6>().ok_or(FrameInfoError::Short)?;
        let capture = head[..5].iter().fold(0, |all, &b| all << 8 | u64::from(b));
        let (layout, value) = (head[5] >> 6, head[5] & MAX_UNITS);
        if layout != 0 {
            return Err(FrameInfoError::UnknownLayout(layout));
        }
        let (info, rest) = match kind {
            MediaKind::Audio => {
                let (&level, rest) = rest.split_first().ok_or(FrameInfoError::Short)?;
                if value == 0 {
                    return Err(FrameInfoError::NoDuration);
                }
                let duration = DURATION_UNIT * u32::from(value);
                (FrameInfo::Audio { capture, duration, level: level & 0x7f }, rest)
            }
            MediaKind::Video => (FrameInfo::Video { capture, skippable: value }, rest),
        };
        *input = rest;
        Ok(info)
    }
}

/// Why an opened frame has no [`FrameInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameInfoError {
    /// The input ends inside the info.
    #[error("the frame info is cut short")]
    Short,
    /// A payload layout (redundancy, padding) that this build does not know.
    #[error("frame layout {0}, expected 0")]
    UnknownLayout(u8),
    /// An audio frame that says it lasts no time.
    #[error("an audio frame of no duration")]
    NoDuration,
}

/// The capture time nearest to `reference` (both µs on the sender's clock) whose low [`CAPTURE_BITS`] are
/// those of `low40`.
///
/// `reference` is an earlier frame's unwrapped time, or anything (say 0) for the first. Times that differ by
/// less than 6 days unwrap rightly.
#[must_use]
pub const fn unwrap_capture(reference: u64, low40: u64) -> u64 {
    let ahead = low40.wrapping_sub(reference) & CAPTURE_MASK;
    let behind = (1 << CAPTURE_BITS) - ahead;
    let (up, down) = (reference.checked_add(ahead), reference.checked_sub(behind));
    match (up, down) {
        (Some(up), Some(down)) => {
            if ahead <= behind {
                up
            } else {
                down
            }
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => reference,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(bytes: &[u8]) -> Result<FrameHeader, FrameHeaderError> {
        FrameHeader::decode(&mut &bytes[..])
    }

    #[test]
    fn the_header_is_laid_out_as_written() {
        let h = FrameHeader {
            keyframe: true,
            discardable: false,
            temporal_layer: 2,
            spatial_layer: 1,
            frame_id: 15_293,
        };
        let mut out = Vec::new();
        h.encode(&mut out);
        assert_eq!(out, [0b0010_1001, 0x7b, 0xbd]);
        assert_eq!(header(&out), Ok(h));
    }

    #[test]
    fn bad_headers_say_what_is_wrong() {
        assert_eq!(header(&[]), Err(FrameHeaderError::Short));
        assert_eq!(header(&[0]), Err(FrameHeaderError::Short));
        assert_eq!(header(&[0, 0x7b]), Err(FrameHeaderError::Short));
        assert_eq!(header(&[0x40, 1]), Err(FrameHeaderError::Version(1)));
        assert_eq!(header(&[0, 0x40, 1]), Err(FrameHeaderError::NotShortest));
        assert_eq!(header(&[0, 0xc0, 0, 0, 1, 0, 0, 0, 0]), Err(FrameHeaderError::FrameIdTooLarge(1 << 32)));
    }

    #[test]
    fn audio_and_video_infos_are_laid_out_as_written() {
        let mut out = Vec::new();
        let duration = Duration::from_millis(20);
        FrameInfo::Audio { capture: 0xff01_0203_0405, duration, level: 40 }.encode(&mut out);
        assert_eq!(out, [1, 2, 3, 4, 5, 8, 40]);
        out.clear();
        FrameInfo::Video { capture: 7, skippable: 1 }.encode(&mut out);
        assert_eq!(out, [0, 0, 0, 0, 7, 1]);
    }

    #[test]
    fn the_codec_payload_is_left_behind_the_info() {
        let mut input = &[0, 0, 0, 0, 9, 8, 0x80 | 3, 0xaa][..];
        let info = FrameInfo::decode(MediaKind::Audio, &mut input);
        let duration = Duration::from_millis(20);
        assert_eq!(info, Ok(FrameInfo::Audio { capture: 9, duration, level: 3 }));
        assert_eq!(input, [0xaa]);
    }

    #[test]
    fn bad_infos_say_what_is_wrong() {
        let audio = |b: &[u8]| FrameInfo::decode(MediaKind::Audio, &mut &b[..]);
        assert_eq!(audio(&[0; 5]), Err(FrameInfoError::Short));
        assert_eq!(audio(&[0, 0, 0, 0, 0, 8]), Err(FrameInfoError::Short));
        assert_eq!(audio(&[0; 7]), Err(FrameInfoError::NoDuration));
        assert_eq!(audio(&[0, 0, 0, 0, 0, 0x48, 0]), Err(FrameInfoError::UnknownLayout(1)));
    }

    #[test]
    fn capture_times_unwrap_to_the_nearest() {
        const WRAP: u64 = 1 << 40;
        assert_eq!(unwrap_capture(0, 5), 5);
        assert_eq!(unwrap_capture(WRAP - 10, 5), WRAP + 5);
        assert_eq!(unwrap_capture(WRAP + 5, WRAP - 10), WRAP - 10);
        assert_eq!(unwrap_capture(3, WRAP - 1), WRAP - 1, "nothing lies before zero");
        assert_eq!(unwrap_capture(u64::MAX, 0), u64::MAX - (WRAP - 1), "nothing lies after the end");
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut rest = &bytes[..];
            if let Ok(h) = FrameHeader::decode(&mut rest) {
                let mut out = Vec::new();
                h.encode(&mut out);
                prop_assert_eq!(out.len(), h.encoded_len());
                prop_assert!(out.len() <= FrameHeader::MAX_LEN);
                prop_assert_eq!(&out[..], &bytes[..bytes.len() - rest.len()]);
            } else {
                prop_assert_eq!(rest.len(), bytes.len());
            }
            let mut rest = &bytes[..];
            if let Ok(info) = FrameInfo::decode(MediaKind::Video, &mut rest) {
                let mut out = Vec::new();
                info.encode(&mut out);
                prop_assert_eq!(&out[..], &bytes[..bytes.len() - rest.len()]);
            }
        }

        #[test]
        fn a_capture_time_near_its_reference_is_found(reference in 0..u64::MAX / 2, apart in -(1i64 << 39) + 1..1 << 39) {
            let Some(capture) = reference.checked_add_signed(apart) else { return Ok(()) };
            prop_assert_eq!(unwrap_capture(reference, capture & CAPTURE_MASK), capture);
        }
    }
}
