//! Datagrams: one hop's header, the frame header, and a sealed frame or an equal part of one.
//!
//! Guarantee: [`parse`] panics on no input and allocates nothing, and a frame that [`Packetiser`] cut comes
//! back from its datagrams in any order. The hop header is rewritten on every hop and not authenticated:
//! believe nothing from it that could harm.

use thiserror::Error;

use super::{FrameHeader, FrameHeaderError, MAX_PROTECTED, parity};
use crate::time::Time;
use crate::varint;

/// The most bytes of a sealed frame in one datagram, unless a [`Packetiser`] is told otherwise.
pub const MAX_FRAGMENT: usize = 1120;

/// The most fragments of a frame.
pub const MAX_FRAGMENTS: u16 = 1024;

/// The most bytes of a sealed frame: 1 MiB.
pub const MAX_FRAME: usize = 1 << 20;

/// The highest stream: 11 bits, `track:4 << 7 | leaf:7`.
pub const MAX_STREAM: u16 = (1 << 11) - 1;

/// Bytes of the hop header of a frame in a single datagram. Fragments take up to eight more.
pub const HOP_HEADER_LEN: usize = 6;

/// The most bytes in front of the payload, frame header included.
pub const MAX_HEADERS: usize = HOP_HEADER_LEN + 8 + FrameHeader::MAX_LEN;

const KIND_MEDIA: u8 = 0;
const KIND_PADDING: u8 = 1;
const FRAGMENTED: u8 = 1 << 5;
const REPEATED: u8 = 1 << 4;
const GREASE: u8 = 0x0f;

/// When a datagram left its hop: 24 bits in units of 2⁻¹⁸ s (about 3.8 µs), wrapping every 64 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SendTime(u32);

impl SendTime {
    const WRAP_MICROS: u64 = 64_000_000;

    /// The send time of a datagram that leaves at `now`.
    #[must_use]
    pub const fn at(now: Time) -> SendTime {
        SendTime((((now.as_micros() % Self::WRAP_MICROS) << 18) / 1_000_000) as u32)
    }

    /// The 24 bits as they are sent.
    #[must_use]
    pub const fn as_units(self) -> u32 {
        self.0
    }

    /// From the number on the wire; the upper 8 bits are ignored.
    #[must_use]
    pub const fn from_units(units: u32) -> SendTime {
        SendTime(units & 0xff_ffff)
    }

    /// Microseconds from `earlier` to this, −32 s to 32 s: the nearer way round the wrap.
    #[must_use]
    pub const fn micros_since(self, earlier: SendTime) -> i64 {
        let apart = (self.0.wrapping_sub(earlier.0) << 8) as i32 >> 8;
        apart as i64 * 1_000_000 / (1 << 18)
    }
}

/// Which part of a frame a datagram carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Whose frame: the low 11 bits of its SFrame key id, 0 to [`MAX_STREAM`].
    pub stream: u16,
    /// Which part: 0 to `count` − 1 of the frame itself, from `count` to 2·`count` − 1 parity over these.
    pub index: u16,
    /// How many parts the frame has, 2 to [`MAX_FRAGMENTS`]; at most [`MAX_PROTECTED`] if this is parity.
    pub count: u16,
    /// In parity only: how many bytes the frame's last part has, at least 1.
    pub last: Option<u16>,
}

impl Fragment {
    /// Whether it is parity over the frame's parts.
    #[must_use]
    pub const fn is_parity(&self) -> bool {
        self.index >= self.count
    }
}

/// What one hop adds to a datagram; not authenticated end to end.
///
/// ```text
/// kind:2 = 0 | fragmented:1 | repeated:1 | grease:4, transport sequence (2 B), send time (3 B),
/// if fragmented: stream, index, count (varints), and if index ≥ count: length of the last part (varint)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HopHeader {
    /// Counts the datagrams of one hop in the order they were sent, wrapping.
    pub transport_sequence: u16,
    /// When the datagram was sent, on the clock of the hop's sender.
    pub send_time: SendTime,
    /// The same was sent before: a copy, or sent again because it was lost.
    pub repeated: bool,
    /// `None` if the datagram holds a whole frame.
    pub fragment: Option<Fragment>,
}

/// A media datagram taken apart; the payload is borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What this hop said.
    pub hop: HopHeader,
    /// The frame's header; authentic only once the frame has been opened.
    pub header: FrameHeader,
    /// The sealed frame (SFrame ciphertext with its own header) or its part; never empty.
    pub payload: &'a [u8],
}

/// Why a datagram is not a media packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// The datagram ends before its payload.
    #[error("the packet is cut short")]
    Short,
    /// A kind that this build does not know: count it and go on.
    #[error("packet kind {0} is unknown")]
    UnknownKind(u8),
    /// Stream, index or count is not a varint in its shortest form, or out of range.
    #[error("the fragment fields are malformed or out of range")]
    Fragment,
    /// The frame header cannot be read.
    #[error(transparent)]
    Header(#[from] FrameHeaderError),
}

/// Takes a media datagram apart.
///
/// The GREASE bits are ignored.
///
/// # Errors
/// See [`PacketError`]; nothing that it reports needs an answer.
pub fn parse(datagram: &[u8]) -> Result<Packet<'_>, PacketError> {
    let (&[first, s0, s1, t0, t1, t2], mut rest) =
        datagram.split_first_chunk::<HOP_HEADER_LEN>().ok_or(PacketError::Short)?;
    if first >> 6 != KIND_MEDIA {
        return Err(PacketError::UnknownKind(first >> 6));
    }
    let fragment = if first & FRAGMENTED != 0 {
        Some(parse_fragment(&mut rest).ok_or(PacketError::Fragment)?)
    } else {
        None
    };
    let header = FrameHeader::decode(&mut rest)?;
    if rest.is_empty() {
        return Err(PacketError::Short);
    }
    let hop = HopHeader {
        transport_sequence: u16::from_be_bytes([s0, s1]),
        send_time: SendTime(u32::from_be_bytes([0, t0, t1, t2])),
        repeated: first & REPEATED != 0,
        fragment,
    };
    Ok(Packet { hop, header, payload: rest })
}

fn parse_fragment(input: &mut &[u8]) -> Option<Fragment> {
    let mut next = |range: std::ops::RangeInclusive<u16>| {
        let value = u16::try_from(varint::read(input)?).ok()?;
        range.contains(&value).then_some(value)
    };
    let stream = next(0..=MAX_STREAM)?;
    let index = next(0..=2 * MAX_FRAGMENTS - 1)?;
    let count = next(2..=MAX_FRAGMENTS)?;
    if index < count {
        return Some(Fragment { stream, index, count, last: None });
    }
    let last = next(1..=u16::MAX)?;
    (index < 2 * count && count <= MAX_PROTECTED).then_some(Fragment {
        stream,
        index,
        count,
        last: Some(last),
    })
}

/// A datagram of `len` bytes (at least a hop header's) that carries nothing: probes for bandwidth are made of it.
#[must_use]
pub fn padding(len: usize) -> Datagram {
    let mut bytes = vec![0; len.max(HOP_HEADER_LEN)];
    bytes[0] = KIND_PADDING << 6;
    Datagram { bytes }
}

/// The hop header of a datagram that carries nothing; `None` for any other.
#[must_use]
pub fn parse_padding(datagram: &[u8]) -> Option<HopHeader> {
    let &[first, s0, s1, t0, t1, t2] = datagram.first_chunk::<HOP_HEADER_LEN>()?;
    (first >> 6 == KIND_PADDING).then(|| HopHeader {
        transport_sequence: u16::from_be_bytes([s0, s1]),
        send_time: SendTime(u32::from_be_bytes([0, t0, t1, t2])),
        repeated: false,
        fragment: None,
    })
}

/// A datagram ready to go but for its transport sequence and send time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The whole datagram.
    pub bytes: Vec<u8>,
}

impl Datagram {
    /// Writes the transport sequence and the send time; see [`stamp`].
    pub fn stamp(&mut self, transport_sequence: u16, now: Time) {
        stamp(&mut self.bytes, transport_sequence, now);
    }

    /// Says that the same was sent before.
    pub fn mark_repeated(&mut self) {
        if let Some(first) = self.bytes.first_mut() {
            *first |= REPEATED;
        }
    }
}

/// Writes a datagram's transport sequence and send time in place, at the moment it is handed to the socket.
///
/// Bytes too short for a hop header are left alone.
pub fn stamp(datagram: &mut [u8], transport_sequence: u16, now: Time) {
    if let Some(hop) = datagram.first_chunk_mut::<HOP_HEADER_LEN>() {
        hop[1..3].copy_from_slice(&transport_sequence.to_be_bytes());
        hop[3..].copy_from_slice(&SendTime::at(now).0.to_be_bytes()[1..]);
    }
}

/// Cuts sealed frames into datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packetiser {
    max_fragment: usize,
}

impl Default for Packetiser {
    fn default() -> Packetiser {
        Packetiser::new(MAX_FRAGMENT)
    }
}

impl Packetiser {
    /// A packetiser whose datagrams carry at most `max_fragment` bytes of a sealed frame (an even number, at least
    /// two; an odd one is taken down to it), and so are at most `max_fragment` + [`MAX_HEADERS`] long. Default [`MAX_FRAGMENT`].
    #[must_use]
    pub const fn new(max_fragment: usize) -> Packetiser {
        Packetiser { max_fragment: if max_fragment < 2 { 2 } else { max_fragment & !1 } }
    }

    /// Cuts one sealed frame into as few datagrams as will do, of equal parts of an even length (the last may be
    /// shorter).
    ///
    /// `stream` is the low 11 bits of the frame's SFrame key id; it is sent with fragments only. The low four
    /// bits of `grease` go into the bits that receivers ignore: draw them at random for each frame.
    ///
    /// # Errors
    /// If the frame is empty, above [`MAX_FRAME`] or [`MAX_FRAGMENTS`], or the stream above [`MAX_STREAM`].
    pub fn packetise(
        &self,
        header: &FrameHeader,
        stream: u16,
        sealed: &[u8],
        grease: u8,
    ) -> Result<Vec<Datagram>, PacketiseError> {
        if sealed.is_empty() {
            return Err(PacketiseError::Empty);
        }
        if stream > MAX_STREAM {
            return Err(PacketiseError::Stream(stream));
        }
        let (part, count) = self.cut(sealed)?;
        if count == 1 {
            return Ok(vec![datagram(None, header, sealed, grease)]);
        }
        let datagrams = sealed.chunks(part).zip(0..).map(|(part, index)| {
            let fragment = Fragment { stream, index, count, last: None };
            datagram(Some(fragment), header, part, grease)
        });
        Ok(datagrams.collect())
    }

    /// At most `wanted` datagrams of parity over the parts into which [`packetise`](Self::packetise) cuts the same
    /// frame: as many of either kind as the frame has parts make it whole.
    ///
    /// A frame of one part gets a copy of it. There is none for frames of more than [`MAX_PROTECTED`] parts.
    ///
    /// # Errors
    /// As [`packetise`](Self::packetise).
    pub fn protect(
        &self,
        header: &FrameHeader,
        stream: u16,
        sealed: &[u8],
        grease: u8,
        wanted: u16,
    ) -> Result<Vec<Datagram>, PacketiseError> {
        let (part, count) = self.cut(sealed)?;
        if wanted == 0 || count > MAX_PROTECTED {
            return Ok(Vec::new());
        }
        if count == 1 {
            let mut copy = self.packetise(header, stream, sealed, grease)?;
            copy.iter_mut().for_each(Datagram::mark_repeated);
            return Ok(copy);
        }
        let last = sealed.len() - part * usize::from(count - 1);
        let last = u16::try_from(last).map_err(|_| PacketiseError::TooLarge(sealed.len()))?;
        let parity = parity::encode(sealed, part, wanted.min(count).into());
        let datagrams = parity.iter().zip(count..).map(|(part, index)| {
            let fragment = Fragment { stream, index, count, last: Some(last) };
            datagram(Some(fragment), header, part, grease)
        });
        Ok(datagrams.collect())
    }

    /// How long each part is, and how many there are.
    fn cut(&self, sealed: &[u8]) -> Result<(usize, u16), PacketiseError> {
        let parts = sealed.len().div_ceil(self.max_fragment).max(1);
        let part = sealed.len().div_ceil(parts).max(1).next_multiple_of(2);
        let count = u16::try_from(sealed.len().div_ceil(part))
            .ok()
            .filter(|&count| count <= MAX_FRAGMENTS && sealed.len() <= MAX_FRAME)
            .ok_or(PacketiseError::TooLarge(sealed.len()))?;
        Ok((part, count))
    }
}

fn datagram(fragment: Option<Fragment>, header: &FrameHeader, part: &[u8], grease: u8) -> Datagram {
    let fields = fragment.map(|f| [Some(f.stream), Some(f.index), Some(f.count), f.last]);
    let fields = || fields.iter().flatten().flatten().copied().map(u64::from);
    let fields_len: usize = fields().map(varint::len).sum();
    let mut bytes = Vec::with_capacity(HOP_HEADER_LEN + fields_len + header.encoded_len() + part.len());
    let flag = if fragment.is_some() { FRAGMENTED } else { 0 };
    bytes.extend_from_slice(&[KIND_MEDIA << 6 | flag | grease & GREASE, 0, 0, 0, 0, 0]);
    for value in fields() {
        varint::write(value, &mut bytes);
    }
    header.encode(&mut bytes);
    bytes.extend_from_slice(part);
    Datagram { bytes }
}

/// Why a frame cannot be cut into datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketiseError {
    /// There is nothing to send.
    #[error("a sealed frame cannot be empty")]
    Empty,
    /// The frame is above [`MAX_FRAME`] bytes or would need more than [`MAX_FRAGMENTS`] fragments.
    #[error("a sealed frame of {0} bytes is too large")]
    TooLarge(usize),
    /// The stream is above [`MAX_STREAM`].
    #[error("stream {0} does not fit 11 bits")]
    Stream(u16),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: FrameHeader =
        FrameHeader { keyframe: true, discardable: false, temporal_layer: 0, spatial_layer: 0, frame_id: 7 };

    fn cut(len: usize) -> Vec<Datagram> {
        let sealed: Vec<u8> = (0..len).map(|i| i as u8).collect();
        Packetiser::default().packetise(&HEADER, 3 << 7 | 5, &sealed, 0xff).unwrap()
    }

    #[test]
    fn a_frame_in_one_packet_costs_six_bytes_of_hop_header() {
        let datagrams = cut(100);
        assert_eq!(datagrams.len(), 1);
        assert_eq!(datagrams[0].bytes.len(), 6 + HEADER.encoded_len() + 100);
        assert_eq!(datagrams[0].bytes.capacity(), datagrams[0].bytes.len());
        let packet = parse(&datagrams[0].bytes).unwrap();
        assert_eq!((packet.header, packet.hop.fragment), (HEADER, None));
    }

    #[test]
    fn a_large_frame_is_cut_in_equal_parts() {
        let datagrams = cut(MAX_FRAGMENT * 2 + 1);
        let sizes: Vec<_> = datagrams.iter().map(|d| parse(&d.bytes).unwrap().payload.len()).collect();
        assert_eq!(sizes, [748, 748, 745]);
        for (i, d) in datagrams.iter().enumerate() {
            let fragment = Fragment { stream: 3 << 7 | 5, index: i as u16, count: 3, last: None };
            assert_eq!(parse(&d.bytes).unwrap().hop.fragment, Some(fragment));
            assert_eq!(d.bytes.capacity(), d.bytes.len());
            assert!(d.bytes.len() <= MAX_FRAGMENT + MAX_HEADERS);
        }
    }

    #[test]
    fn a_stamp_sets_sequence_and_time_and_nothing_else() {
        let mut datagram = cut(10).remove(0);
        let before = datagram.clone();
        datagram.stamp(0xabcd, Time::from_millis(64_500));
        let packet = parse(&datagram.bytes).unwrap();
        assert_eq!(packet.hop.transport_sequence, 0xabcd);
        assert_eq!(packet.hop.send_time.as_units(), 1 << 17);
        assert_eq!(datagram.bytes[6..], before.bytes[6..]);
        stamp(&mut [1, 2, 3], 1, Time::ZERO);
    }

    #[test]
    fn send_times_subtract_across_the_wrap() {
        let (a, b) = (SendTime::at(Time::from_millis(63_999)), SendTime::at(Time::from_millis(64_001)));
        assert!((b.micros_since(a) - 2000).abs() <= 4);
        assert!((a.micros_since(b) + 2000).abs() <= 4);
        assert_eq!(SendTime::at(Time::from_micros(u64::MAX)).as_units() >> 24, 0);
    }

    #[test]
    fn the_grease_bits_are_ignored_but_unknown_kinds_are_not() {
        let mut datagram = cut(10).remove(0).bytes;
        let packet = parse(&datagram).unwrap().header;
        datagram[0] ^= 0x0f;
        assert_eq!(parse(&datagram).unwrap().header, packet);
        for kind in 1..4 {
            datagram[0] = kind << 6;
            assert_eq!(parse(&datagram), Err(PacketError::UnknownKind(kind)));
        }
    }

    #[test]
    fn fragments_out_of_range_are_refused() {
        let with = |fields: &[u64]| {
            let mut bytes = vec![FRAGMENTED, 0, 0, 0, 0, 0];
            fields.iter().for_each(|&v| varint::write(v, &mut bytes));
            HEADER.encode(&mut bytes);
            bytes.push(1);
            parse(&bytes).map(|p| p.hop.fragment.is_some())
        };
        assert_eq!(with(&[2047, 1023, 1024]), Ok(true));
        for bad in [[2048, 0, 2], [0, 0, 1], [0, 0, 0], [0, 0, 1025], [0, 1 << 40, 2]] {
            assert_eq!(with(&bad), Err(PacketError::Fragment), "{bad:?}");
        }
        assert_eq!(with(&[2047, 509, 255, 1]), Ok(true));
        for bad in [[0, 4, 2, 1], [0, 2, 2, 0], [0, 256, 256, 1], [0, 2, 2, 1 << 16]] {
            assert_eq!(with(&bad), Err(PacketError::Fragment), "{bad:?}");
        }
    }

    #[test]
    fn parity_follows_a_frames_parts_and_a_single_part_is_copied() {
        let sealed = [7; 3000];
        let parity = Packetiser::default().protect(&HEADER, 5, &sealed, 0, 2).unwrap();
        for (datagram, index) in parity.iter().zip(3..) {
            let packet = parse(&datagram.bytes).unwrap();
            let fragment = Fragment { stream: 5, index, count: 3, last: Some(1000) };
            assert_eq!((packet.hop.fragment, packet.hop.repeated), (Some(fragment), false));
            assert_eq!(packet.payload.len(), 1000);
            assert_eq!(datagram.bytes.capacity(), datagram.bytes.len());
        }
        assert_eq!(parity.len(), 2);
        let copy = Packetiser::default().protect(&HEADER, 5, &sealed[..9], 0, 2).unwrap();
        assert_eq!(copy.len(), 1);
        let packet = parse(&copy[0].bytes).unwrap();
        assert!(packet.hop.repeated && packet.payload == &sealed[..9]);
    }

    #[test]
    fn frames_that_cannot_be_sent_are_refused() {
        let p = Packetiser::default();
        assert_eq!(p.packetise(&HEADER, 0, &[], 0), Err(PacketiseError::Empty));
        assert_eq!(p.packetise(&HEADER, 2048, &[1], 0), Err(PacketiseError::Stream(2048)));
        let large = vec![0; MAX_FRAME + 1];
        assert_eq!(p.packetise(&HEADER, 0, &large, 0), Err(PacketiseError::TooLarge(large.len())));
        assert!(p.packetise(&HEADER, 0, &large[1..], 0).is_ok());
        assert!(Packetiser::new(0).packetise(&HEADER, 0, &large[..2049], 0).is_err());
    }

    proptest! {
        #[test]
        fn the_parts_of_a_frame_join_to_the_frame(len in 1..20_000usize, max in 1..1500usize, id: u32) {
            let sealed: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let header = FrameHeader { frame_id: id, ..HEADER };
            let max = Packetiser::new(max).max_fragment;
            let Ok(datagrams) = Packetiser::new(max).packetise(&header, 9, &sealed, 0) else {
                prop_assert!(len.div_ceil(max) > 1024);
                return Ok(());
            };
            let mut joined = Vec::new();
            for datagram in &datagrams {
                let packet = parse(&datagram.bytes).unwrap();
                prop_assert_eq!(packet.header, header);
                prop_assert!(packet.payload.len() <= max);
                let count = packet.hop.fragment.map_or(1, |f| f.count);
                prop_assert_eq!(usize::from(count), datagrams.len());
                joined.extend_from_slice(packet.payload);
            }
            prop_assert_eq!(joined, sealed);
        }

        #[test]
        fn any_bytes_parse_or_fail_quietly(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(packet) = parse(&bytes) {
                prop_assert!(!packet.payload.is_empty());
            }
        }
    }
}
