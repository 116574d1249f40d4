//! H.264's byte stream format (Annex B): finding NAL units and access units in bytes that may be anything.

/// NAL unit types, H.264 table 7-1.
pub(super) const SLICE: u8 = 1;
pub(super) const IDR_SLICE: u8 = 5;
pub(super) const SEQUENCE: u8 = 7;
pub(super) const PICTURE: u8 = 8;

/// One NAL unit: where its start code begins and ends, and its bytes after the start code.
#[derive(Clone, Copy)]
pub(super) struct Nal<'a> {
    start: usize,
    begin: usize,
    bytes: &'a [u8],
}

impl<'a> Nal<'a> {
    pub(super) fn kind(&self) -> u8 {
        self.bytes.first().map_or(0, |header| header & 0x1f)
    }

    /// Where in the stream its header is.
    pub(super) fn begin(&self) -> usize {
        self.begin
    }

    /// Its header and what follows.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Part of a picture, rather than parameters or remarks.
    pub(super) fn is_slice(&self) -> bool {
        (SLICE..=IDR_SLICE).contains(&self.kind())
    }

    pub(super) fn is_idr(&self) -> bool {
        self.kind() == IDR_SLICE
    }

    /// Other pictures may be predicted from it.
    pub(super) fn is_reference(&self) -> bool {
        self.bytes.first().is_some_and(|header| header & 0x60 != 0)
    }

    /// The first slice of its picture: `first_mb_in_slice`, an Exp-Golomb number, is zero, one bit `1`.
    fn starts_picture(&self) -> bool {
        matches!(self.kind(), SLICE | 2 | IDR_SLICE) && self.bytes.get(1).is_some_and(|byte| byte & 0x80 != 0)
    }

    /// Comes before the first slice of a picture, H.264 section 7.4.1.2.3.
    fn precedes_picture(&self) -> bool {
        matches!(self.kind(), 6..=9 | 14..=18)
    }
}

/// The NAL units in a byte stream. Bytes before the first start code are passed over.
pub(super) fn nals(stream: &[u8]) -> impl Iterator<Item = Nal<'_>> {
    let mut from = start_code(stream, 0);
    std::iter::from_fn(move || {
        let (start, begin) = from?;
        from = start_code(stream, begin);
        let end = from.map_or(stream.len(), |(next, _)| next);
        Some(Nal { start, begin, bytes: &stream[begin..end] })
    })
}

/// The next start code at or after `at`: where it begins, its leading zero included, and where it ends.
fn start_code(stream: &[u8], at: usize) -> Option<(usize, usize)> {
    let found = at + stream.get(at..)?.windows(3).position(|window| window == [0, 0, 1])?;
    let start = if found > at && stream[found - 1] == 0 { found - 1 } else { found };
    Some((start, found + 3))
}

/// Whether an access unit decodes without any before it: it has an IDR picture.
#[must_use]
pub fn is_keyframe(unit: &[u8]) -> bool {
    nals(unit).any(|nal| nal.is_idr())
}

/// Whether no later picture is predicted from that of an access unit.
#[must_use]
pub fn is_discardable(unit: &[u8]) -> bool {
    !nals(unit).any(|nal| nal.is_slice() && nal.is_reference())
}

/// Cuts an H.264 byte stream into access units, each of which is one picture with what belongs to it.
/// Bytes before the first start code are passed over.
#[must_use]
pub fn access_units(stream: &[u8]) -> AccessUnits<'_> {
    AccessUnits { rest: stream }
}

/// The access units of a byte stream, made by [`access_units`].
#[derive(Clone)]
pub struct AccessUnits<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for AccessUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut units = nals(self.rest);
        let first = units.next()?;
        let mut has_picture = first.is_slice();
        let mut end = self.rest.len();
        for nal in units {
            if has_picture && (nal.starts_picture() || nal.precedes_picture()) {
                end = nal.start;
                break;
            }
            has_picture |= nal.is_slice();
        }
        let unit = &self.rest[first.start..end];
        self.rest = &self.rest[end..];
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_units_keep_parameters_with_their_picture_and_slices_together() {
        let picture = |kind: u8, first: bool| vec![0, 0, 1, kind, if first { 0x88 } else { 0x44 }, 7];
        let parameters = vec![0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2];
        let first = [parameters.clone(), picture(0x65, true), picture(0x65, false)].concat();
        let second = [vec![0], picture(0x41, true)].concat();
        let third = [vec![0, 0, 1, 9, 0xf0], picture(0x01, true)].concat();
        let stream = [first.clone(), second.clone(), third.clone()].concat();
        assert_eq!(access_units(&stream).collect::<Vec<_>>(), [first, second, third]);
    }

    #[test]
    fn bytes_without_a_start_code_hold_nothing() {
        for stream in [&[][..], &[0], &[0, 0], &[1, 2, 3, 4, 0, 0]] {
            assert_eq!(access_units(stream).count(), 0);
        }
        assert_eq!(access_units(&[0, 0, 1]).collect::<Vec<_>>(), [[0, 0, 1]]);
    }
}
