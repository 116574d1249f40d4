//! The body of an audio frame: the codec's packet, whole copies of earlier ones, zeros up to a constant size.
//!
//! Guarantee: [`Bundle::parse`] panics on no input, takes at most [`MAX_COPIES`] copies, allocates for nothing else,
//! and takes nothing that [`Bundler`] would not have written.

use std::collections::VecDeque;
use std::time::Duration;

use thiserror::Error;

use super::super::frame::{DURATION_UNIT, SILENCE};
use crate::varint;

/// The most copies in one packet.
pub const MAX_COPIES: usize = 8;
/// The farthest that a copy may be behind its carrier, in frames.
pub const MAX_OFFSET: u8 = 16;
/// The most bytes that a body is padded or filled up to, so that it stays one datagram.
pub const MAX_BUNDLE: usize = 1000;

const MAX_UNITS: u8 = 0x3f;

/// Which earlier frames travel along, and how large the body becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    offsets: [u8; MAX_COPIES],
    count: u8,
    size: u16,
}

impl Copies {
    /// Copies of the frames `offsets` before each one (1 is the one right before it), the most useful first, in bodies
    /// of `size` bytes. What is beyond [`MAX_COPIES`], [`MAX_OFFSET`] or [`MAX_BUNDLE`] is left out; repeated ones
    /// and 0 are, too.
    #[must_use]
    pub fn new(offsets: &[u8], size: usize) -> Copies {
        let mut copies = Copies { size: size.min(MAX_BUNDLE) as u16, ..Copies::default() };
        for &offset in offsets {
            let known = copies.offsets().contains(&offset);
            if (1..=MAX_OFFSET).contains(&offset) && !known && usize::from(copies.count) < MAX_COPIES {
                copies.offsets[usize::from(copies.count)] = offset;
                copies.count += 1;
            }
        }
        copies
    }

    /// How far behind their carrier the copies are, in frames.
    #[must_use]
    pub fn offsets(&self) -> &[u8] {
        &self.offsets[..usize::from(self.count)]
    }

    /// How large every body becomes, in bytes, if its own packet leaves room for it.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// The size of a body with `copies` copies if every packet has `payload` bytes.
    #[must_use]
    pub const fn size_for(copies: usize, payload: usize) -> usize {
        // Count and length; then distance, capture, duration, level and length of each.
        3 + payload + copies * (9 + payload)
    }
}

/// One frame as it is handed in to be sent.
#[derive(Clone, Copy, Debug)]
pub struct SpokenFrame<'a> {
    /// Its id: one more for each.
    pub id: u32,
    /// When its first sample was captured: µs on the sender's clock.
    pub capture: u64,
    /// How much sound it holds.
    pub duration: Duration,
    /// Loudness in −dBov, 0 to 127.
    pub level: u8,
    /// The codec's packet.
    pub payload: &'a [u8],
}

#[derive(Clone, Debug)]
struct Kept {
    id: u32,
    capture: u64,
    units: u8,
    level: u8,
    payload: Vec<u8>,
}

/// Writes bodies, and remembers the frames that copies are made of.
#[derive(Clone, Debug, Default)]
pub struct Bundler {
    kept: VecDeque<Kept>,
}

impl Bundler {
    /// Appends the body of `frame` to `out`: exactly [`Copies::size`] bytes, unless the packet alone needs more.
    ///
    /// Copies that are not there yet, or do not fit, are left out; zeros stand for them.
    pub fn write(&mut self, frame: &SpokenFrame<'_>, copies: &Copies, out: &mut Vec<u8>) {
        let mut room = copies.size().saturating_sub(3 + frame.payload.len());
        let mut taken: Vec<(u8, u64, &Kept)> = Vec::with_capacity(copies.offsets().len());
        for &offset in copies.offsets() {
            let Some(id) = frame.id.checked_sub(offset.into()) else { continue };
            let Some(kept) = self.kept.iter().find(|kept| kept.id == id) else { continue };
            let Some(earlier) = frame.capture.checked_sub(kept.capture) else { continue };
            let len = kept.payload.len();
            let needed = 3 + varint::len(earlier) + varint::len(len as u64) + len;
            if earlier <= varint::MAX && needed <= room {
                room -= needed;
                taken.push((offset, earlier, kept));
            }
        }
        taken.sort_unstable_by_key(|(offset, ..)| *offset);
        let start = out.len();
        out.push(taken.len() as u8);
        varint::write(frame.payload.len() as u64, out);
        for (offset, earlier, kept) in &taken {
            out.push(*offset);
            varint::write(*earlier, out);
            out.extend_from_slice(&[kept.units, kept.level]);
            varint::write(kept.payload.len() as u64, out);
        }
        out.extend_from_slice(frame.payload);
        taken.iter().for_each(|(_, _, kept)| out.extend_from_slice(&kept.payload));
        out.resize(out.len().max(start + copies.size()), 0);
        self.keep(frame);
    }

    fn keep(&mut self, frame: &SpokenFrame<'_>) {
        if self.kept.len() >= usize::from(MAX_OFFSET) {
            self.kept.pop_front();
        }
        let units = frame.duration.as_micros() / DURATION_UNIT.as_micros();
        self.kept.push_back(Kept {
            id: frame.id,
            capture: frame.capture,
            units: u8::try_from(units).unwrap_or(MAX_UNITS).clamp(1, MAX_UNITS),
            level: frame.level.min(SILENCE),
            payload: frame.payload.to_vec(),
        });
    }
}

/// A frame that travelled as a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedFrame<'a> {
    /// How many frames it is behind its carrier, 1 to [`MAX_OFFSET`].
    pub offset: u8,
    /// How much earlier than its carrier it was captured, in µs.
    pub earlier: u64,
    /// How much sound it holds, 2.5 ms to 157.5 ms.
    pub duration: Duration,
    /// Loudness in −dBov, 0 to 127.
    pub level: u8,
    /// The codec's packet.
    pub payload: &'a [u8],
}

/// A body taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// The carrier's own codec packet.
    pub payload: &'a [u8],
    /// The copies that it brings, the nearest first.
    pub copies: Vec<CopiedFrame<'a>>,
}

impl<'a> Bundle<'a> {
    /// Takes a body apart.
    ///
    /// # Errors
    /// A [`BundleError`] that says what is wrong with it.
    pub fn parse(body: &'a [u8]) -> Result<Bundle<'a>, BundleError> {
        let (&count, mut rest) = body.split_first().ok_or(BundleError::Short)?;
        if usize::from(count) > MAX_COPIES {
            return Err(BundleError::TooManyCopies(count));
        }
        let own = number(&mut rest)?;
        let mut copies = Vec::with_capacity(count.into());
        let mut last = 0;
        for _ in 0..count {
            let (&offset, after) = rest.split_first().ok_or(BundleError::Short)?;
            rest = after;
            if offset <= last || offset > MAX_OFFSET {
                return Err(BundleError::Offset(offset));
            }
            last = offset;
            let earlier = number(&mut rest)?;
            let (&[units, level], after) = rest.split_first_chunk().ok_or(BundleError::Short)?;
            rest = after;
            if !(1..=MAX_UNITS).contains(&units) || level > SILENCE {
                return Err(BundleError::Value(if level > SILENCE { level } else { units }));
            }
            let duration = DURATION_UNIT * u32::from(units);
            copies.push((number(&mut rest)?, CopiedFrame { offset, earlier, duration, level, payload: &[] }));
        }
        let mut take = |len: u64| {
            let len = usize::try_from(len).ok().filter(|len| *len <= rest.len()).ok_or(BundleError::Short)?;
            let (taken, after) = rest.split_at(len);
            rest = after;
            Ok(taken)
        };
        let payload = take(own)?;
        let copies = copies
            .into_iter()
            .map(|(len, copy)| Ok(CopiedFrame { payload: take(len)?, ..copy }))
            .collect::<Result<_, BundleError>>()?;
        if rest.iter().any(|&byte| byte != 0) {
            return Err(BundleError::Padding);
        }
        Ok(Bundle { payload, copies })
    }
}

/// A varint, with an error that tells a body that is cut short from a malformed one.
fn number(rest: &mut &[u8]) -> Result<u64, BundleError> {
    let first = *rest.first().ok_or(BundleError::Short)?;
    if rest.len() < 1 << (first >> 6) {
        return Err(BundleError::Short);
    }
    varint::read(rest).ok_or(BundleError::NotShortest)
}

/// Why bytes are no [`Bundle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It ends before what it announces.
    #[error("the body of the audio frame is cut short")]
    Short,
    /// More copies than a packet may bring.
    #[error("expected at most {MAX_COPIES} copies in a packet, it announces {0}")]
    TooManyCopies(u8),
    /// A copy that is no earlier frame, too old, or out of order.
    #[error("expected copies of 1 to {MAX_OFFSET} frames ago, the nearest first, got {0}")]
    Offset(u8),
    /// A duration of none or a level of more than 127.
    #[error("expected a duration of 1 to 63 units and a level of at most 127, got {0}")]
    Value(u8),
    /// A number is not in its shortest form.
    #[error("expected a varint in its shortest form")]
    NotShortest,
    /// What follows is not all zero.
    #[error("expected zeros after the frames")]
    Padding,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn body(bundler: &mut Bundler, id: u32, payload: &[u8], copies: &Copies) -> Vec<u8> {
        let mut out = Vec::new();
        let capture = 1_000_000 + u64::from(id) * 20_000;
        bundler.write(&SpokenFrame { id, capture, duration: FRAME, level: 30, payload }, copies, &mut out);
        out
    }

    #[test]
    fn a_body_is_laid_out_as_written() {
        let mut bundler = Bundler::default();
        let copies = Copies::new(&[1], 20);
        assert_eq!(body(&mut bundler, 7, b"abc", &copies), [&[0, 3][..], b"abc", &[0; 15]].concat());
        // 20,000 µs earlier, 8 units of 2.5 ms, level 30.
        let expected = [&[1, 2, 1, 0x80, 0, 0x4e, 0x20, 8, 30, 3][..], b"de", b"abc", &[0; 5]].concat();
        let second = body(&mut bundler, 8, b"de", &copies);
        assert_eq!(second, expected);
        let bundle = Bundle::parse(&second).unwrap();
        assert_eq!(bundle.payload, b"de");
        let copy = CopiedFrame { offset: 1, earlier: 20_000, duration: FRAME, level: 30, payload: b"abc" };
        assert_eq!(bundle.copies, [copy]);
    }

    #[test]
    fn bodies_have_one_size_from_the_first_frame_on() {
        let mut bundler = Bundler::default();
        let copies = Copies::new(&[1, 2, 4], Copies::size_for(3, 60));
        for id in 0..20 {
            let body = body(&mut bundler, id, &[id as u8; 60], &copies);
            assert_eq!(body.len(), copies.size());
            let bundle = Bundle::parse(&body).unwrap();
            let offsets: Vec<u8> = bundle.copies.iter().map(|c| c.offset).collect();
            let expected: Vec<u8> = [1, 2, 4].into_iter().filter(|o| u32::from(*o) <= id).collect();
            assert_eq!(offsets, expected);
            assert!(bundle.copies.iter().all(|c| c.payload == [(id - u32::from(c.offset)) as u8; 60]));
        }
    }

    #[test]
    fn copies_that_do_not_fit_are_left_out_and_the_frame_itself_never() {
        let mut bundler = Bundler::default();
        let copies = Copies::new(&[1, 2], 60);
        body(&mut bundler, 0, &[1; 100], &copies);
        body(&mut bundler, 1, &[2; 20], &copies);
        let third = body(&mut bundler, 2, &[3; 20], &copies);
        assert_eq!(third.len(), 60);
        assert_eq!(Bundle::parse(&third).unwrap().copies.len(), 1);
        let large = body(&mut bundler, 3, &[4; 100], &copies);
        assert_eq!(Bundle::parse(&large).unwrap(), Bundle { payload: &[4; 100], copies: vec![] });
    }

    #[test]
    fn bad_bodies_say_what_is_wrong() {
        let parse = |bytes: &[u8]| Bundle::parse(bytes).unwrap_err();
        assert_eq!(parse(&[]), BundleError::Short);
        assert_eq!(parse(&[0]), BundleError::Short);
        assert_eq!(parse(&[0, 3, 1, 2]), BundleError::Short);
        assert_eq!(parse(&[9, 0]), BundleError::TooManyCopies(9));
        assert_eq!(parse(&[1, 0, 0, 1, 8, 30, 0]), BundleError::Offset(0));
        assert_eq!(parse(&[1, 0, 17, 1, 8, 30, 0]), BundleError::Offset(17));
        assert_eq!(parse(&[2, 0, 1, 1, 8, 30, 0, 1, 1, 8, 30, 0]), BundleError::Offset(1));
        assert_eq!(parse(&[1, 0, 1, 1, 0, 30, 0]), BundleError::Value(0));
        assert_eq!(parse(&[1, 0, 1, 1, 8, 128, 0]), BundleError::Value(128));
        assert_eq!(parse(&[1, 0, 1, 0x40, 1, 8, 30, 0]), BundleError::NotShortest);
        assert_eq!(parse(&[1, 0, 1, 1, 8, 30, 5, 0]), BundleError::Short);
        assert_eq!(parse(&[0, 1, 7, 0, 1]), BundleError::Padding);
        assert_eq!(parse(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), BundleError::Short);
    }

    #[test]
    fn offsets_are_cleaned_up() {
        let copies = Copies::new(&[0, 2, 2, 1, 40, 3, 4, 5, 6, 7, 8, 9], 5000);
        assert_eq!((copies.offsets(), copies.size()), (&[2, 1, 3, 4, 5, 6, 7, 8][..], MAX_BUNDLE));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_taken_apart_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(bundle) = Bundle::parse(&bytes) {
                let all = bundle.payload.len() + bundle.copies.iter().map(|c| c.payload.len()).sum::<usize>();
                prop_assert!(all < bytes.len() && bundle.copies.len() <= MAX_COPIES);
            }
        }
    }
}
