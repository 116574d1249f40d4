//! Sealed frames put together again from one peer's fragments.
//!
//! Guarantee: bounded whatever arrives. Memory follows the bytes that came, not what their headers claim; a
//! fragment that contradicts its frame is dropped and never alters it; as many fragments as a frame has, of its own or
//! of parity, make it whole; each frame comes out at most once while it is remembered. Nothing is authenticated yet at this point: who can forge fragments can withhold
//! frames, but what comes out wrong will not open.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Fragment, FrameHeader, MAX_FRAME, MAX_PROTECTED, Packet, parity};
use crate::time::Time;

/// The most frames of a peer that are put together at once.
pub const MAX_IN_PROGRESS: usize = 64;
/// The most of them that belong to one stream, so that one cannot crowd out the others.
pub const MAX_IN_PROGRESS_PER_STREAM: usize = 32;
/// The most bytes of a peer's fragments that are held, bookkeeping included: 4 MiB.
pub const MAX_HELD: usize = 4 << 20;
/// How long a frame may take from its first fragment to its last.
pub const MAX_ASSEMBLY: Duration = Duration::from_secs(1);

/// How many finished or abandoned frames are remembered for each stream.
const REMEMBERED: usize = 128;
/// What a fragment is charged on top of its bytes: a place in the tree and an allocation, however small.
const OVERHEAD: usize = 128;
/// What a frame in progress is charged on top of its fragments.
const FRAME_OVERHEAD: usize = 512;
/// What the finished frames of one stream are charged, be they few or many.
const DONE_OVERHEAD: usize = REMEMBERED * 4 + 128;

/// A frame put together, ready to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedFrame<'a> {
    /// The frame's header, the data that is authenticated with it.
    pub header: FrameHeader,
    /// The low 11 bits of its key id as the hop header claims; `None` if it came in one packet.
    pub stream: Option<u16>,
    /// The SFrame ciphertext with its own header; borrowed from the datagram if it came in one.
    pub bytes: Cow<'a, [u8]>,
}

/// What a [`Reassembler`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReassemblyCounters {
    /// Frames that came in one packet.
    pub whole: u64,
    /// Frames put together from fragments.
    pub completed: u64,
    /// Of these, how many were made whole by parity.
    pub repaired: u64,
    /// Fragments that were kept.
    pub fragments: u64,
    /// Of these, how many were parity.
    pub parity: u64,
    /// Fragments that were there already, or that belong to a frame already finished or given up.
    pub duplicate: u64,
    /// Fragments that contradict their frame in count, header or length.
    pub inconsistent: u64,
    /// Fragments of frames that would exceed [`MAX_FRAME`], and whole frames that do.
    pub too_large: u64,
    /// Frames given up after [`MAX_ASSEMBLY`].
    pub expired: u64,
    /// Frames given up to make room.
    pub evicted: u64,
}

/// A frame that lacks fragments.
#[derive(Clone, Copy, Debug)]
pub struct Incomplete<'a> {
    /// The frame's header as its fragments claim.
    pub header: FrameHeader,
    /// The low 11 bits of its key id as its fragments claim.
    pub stream: u16,
    /// How many fragments it has in all.
    pub count: u16,
    /// When its first fragment came.
    pub first: Time,
    /// When its latest fragment came.
    pub latest: Time,
    parts: &'a BTreeMap<u16, Vec<u8>>,
}

impl Incomplete<'_> {
    /// The frame's own fragments that have not come, in order.
    pub fn missing(&self) -> impl Iterator<Item = u16> {
        (0..self.count).filter(|index| !self.parts.contains_key(index))
    }

    /// How many more fragments, of whatever kind, make it whole.
    #[must_use]
    pub fn lacks(&self) -> usize {
        usize::from(self.count) - self.parts.len()
    }
}

/// One frame in progress.
#[derive(Debug)]
struct Partial {
    header: FrameHeader,
    count: u16,
    first: Time,
    latest: Time,
    /// The length of every fragment but the last, once one is known.
    part: Option<usize>,
    /// The length of the last, once it or some parity is known.
    last: Option<usize>,
    /// By index; parity follows the frame's own.
    parts: BTreeMap<u16, Vec<u8>>,
    bytes: usize,
}

/// Why a fragment is not kept.
enum Refusal {
    Duplicate,
    Inconsistent,
    TooLarge,
}

impl Partial {
    fn new(now: Time, header: FrameHeader, count: u16) -> Partial {
        let parts = BTreeMap::new();
        Partial { header, count, first: now, latest: now, part: None, last: None, parts, bytes: 0 }
    }

    /// Whether a fragment fits with what is here.
    fn check(&self, header: &FrameHeader, fragment: &Fragment, len: usize) -> Result<(), Refusal> {
        if self.header != *header || self.count != fragment.count {
            return Err(Refusal::Inconsistent);
        }
        if self.parts.contains_key(&fragment.index) {
            return Err(Refusal::Duplicate);
        }
        let is_last = fragment.index == self.count - 1;
        let last = if is_last { Some(len) } else { fragment.last.map(usize::from).or(self.last) };
        let part = if is_last { self.part } else { Some(len) };
        let fits = (is_last || self.part.is_none_or(|part| part == len))
            && self.last.is_none_or(|known| last == Some(known))
            && (!fragment.is_parity() || len.is_multiple_of(2))
            && part.zip(last).is_none_or(|(part, last)| last <= part);
        if !fits {
            return Err(Refusal::Inconsistent);
        }
        // What the whole frame is at least, and what is held of it.
        let whole = part.map_or(len, |part| part * usize::from(self.count - 1) + last.unwrap_or(1));
        if whole > MAX_FRAME { Err(Refusal::TooLarge) } else { Ok(()) }
    }

    fn insert(&mut self, now: Time, fragment: &Fragment, payload: &[u8]) {
        if fragment.index == self.count - 1 {
            self.last = Some(payload.len());
        } else {
            self.part = Some(payload.len());
            self.last = self.last.or(fragment.last.map(usize::from));
        }
        self.latest = now;
        self.bytes += payload.len();
        self.parts.insert(fragment.index, payload.to_vec());
    }

    fn charge(&self) -> usize {
        FRAME_OVERHEAD + self.bytes + self.parts.len() * OVERHEAD
    }

    /// Whether it takes parity to make it whole.
    fn is_damaged(&self) -> bool {
        self.parts.last_key_value().is_some_and(|(&index, _)| index >= self.count)
    }

    /// The frame. With parity that contradicts it is some frame that will not open, or none.
    fn join(self) -> Option<Vec<u8>> {
        if self.is_damaged() {
            return parity::restore(self.count, self.part?, self.last?, &self.parts);
        }
        let mut bytes = Vec::with_capacity(self.bytes);
        self.parts.values().for_each(|part| bytes.extend_from_slice(part));
        Some(bytes)
    }
}

/// Puts one peer's frames together.
#[derive(Debug, Default)]
pub struct Reassembler {
    frames: BTreeMap<(u16, u32), Partial>,
    done: BTreeMap<u16, VecDeque<u32>>,
    held: usize,
    counters: ReassemblyCounters,
}

impl Reassembler {
    /// An empty one.
    #[must_use]
    pub fn new() -> Reassembler {
        Reassembler::default()
    }

    /// Takes a packet; gives back a frame if this completes it.
    ///
    /// A frame that came in one packet is passed on as it is, without a copy and without a look for
    /// duplicates: the replay window finds those once the frame has been opened.
    pub fn push<'a>(&mut self, now: Time, packet: &Packet<'a>) -> Option<SealedFrame<'a>> {
        self.expire(now);
        let header = packet.header;
        let Some(fragment) = packet.hop.fragment else {
            if packet.payload.len() > MAX_FRAME {
                self.counters.too_large += 1;
                return None;
            }
            self.counters.whole += 1;
            return Some(SealedFrame { header, stream: None, bytes: Cow::Borrowed(packet.payload) });
        };
        match self.accept(now, &header, &fragment, packet.payload) {
            Ok(bytes) => bytes.map(|bytes| SealedFrame {
                header,
                stream: Some(fragment.stream),
                bytes: Cow::Owned(bytes),
            }),
            Err(refusal) => {
                *match refusal {
                    Refusal::Duplicate => &mut self.counters.duplicate,
                    Refusal::Inconsistent => &mut self.counters.inconsistent,
                    Refusal::TooLarge => &mut self.counters.too_large,
                } += 1;
                None
            }
        }
    }

    fn accept(
        &mut self,
        now: Time,
        header: &FrameHeader,
        fragment: &Fragment,
        payload: &[u8],
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let key = (fragment.stream, header.frame_id);
        let known = fragment.last.is_some() == fragment.is_parity()
            && (!fragment.is_parity()
                || fragment.index < 2 * fragment.count && fragment.count <= MAX_PROTECTED);
        if payload.is_empty() || fragment.count < 2 || !known {
            return Err(Refusal::Inconsistent);
        }
        if self.done.get(&key.0).is_some_and(|done| done.contains(&key.1)) {
            return Err(Refusal::Duplicate);
        }
        match self.frames.get(&key) {
            Some(frame) => frame.check(header, fragment, payload.len())?,
            None => {
                let frame = Partial::new(now, *header, fragment.count);
                frame.check(header, fragment, payload.len())?;
                self.make_room_for_a_frame(fragment.stream);
                self.held += frame.charge();
                self.frames.insert(key, frame);
            }
        }
        // The memory of this frame's stream may be new with it.
        self.make_room_for_bytes(payload.len() + OVERHEAD + DONE_OVERHEAD, key);
        let Some(frame) = self.frames.get_mut(&key) else { return Ok(None) };
        frame.insert(now, fragment, payload);
        self.held += payload.len() + OVERHEAD;
        self.counters.fragments += 1;
        self.counters.parity += u64::from(fragment.is_parity());
        if frame.parts.len() < usize::from(frame.count) {
            return Ok(None);
        }
        self.counters.completed += 1;
        self.counters.repaired += u64::from(frame.is_damaged());
        Ok(self.remove(key).and_then(Partial::join))
    }

    /// Gives up the frames whose first fragment came more than [`MAX_ASSEMBLY`] ago.
    ///
    /// [`push`](Self::push) does this too; call it from time to time when nothing arrives.
    pub fn expire(&mut self, now: Time) {
        let old = |frame: &Partial| now.since(frame.first) > MAX_ASSEMBLY;
        let keys: Vec<_> = self.frames.iter().filter(|(_, f)| old(f)).map(|(&key, _)| key).collect();
        for key in keys {
            self.remove(key);
            self.counters.expired += 1;
        }
    }

    /// The frames that lack fragments, by stream and frame id: what a NACK would ask for.
    pub fn incomplete(&self) -> impl Iterator<Item = Incomplete<'_>> {
        self.frames.iter().map(|(&(stream, _), frame)| Incomplete {
            header: frame.header,
            stream,
            count: frame.count,
            first: frame.first,
            latest: frame.latest,
            parts: &frame.parts,
        })
    }

    /// How many bytes are held, bookkeeping and the memory of finished frames included; at most [`MAX_HELD`].
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// How many of them are of finished frames, which stay remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.done.len() * DONE_OVERHEAD
    }

    /// What has been seen so far.
    #[must_use]
    pub const fn counters(&self) -> ReassemblyCounters {
        self.counters
    }

    fn make_room_for_a_frame(&mut self, stream: u16) {
        if self.frames.range((stream, 0)..=(stream, u32::MAX)).count() >= MAX_IN_PROGRESS_PER_STREAM {
            self.evict_oldest(|key| key.0 == stream);
        }
        if self.frames.len() >= MAX_IN_PROGRESS {
            self.evict_oldest(|_| true);
        }
    }

    fn make_room_for_bytes(&mut self, more: usize, spare: (u16, u32)) {
        while self.held + more > MAX_HELD && self.evict_oldest(|key| key != spare) {}
    }

    /// Gives up the oldest of the frames whose key will do; `false` if there is none.
    fn evict_oldest(&mut self, eligible: impl Fn((u16, u32)) -> bool) -> bool {
        let oldest = self.frames.iter().filter(|(key, _)| eligible(**key)).min_by_key(|(_, f)| f.first);
        let Some((&key, _)) = oldest else { return false };
        self.remove(key);
        self.counters.evicted += 1;
        true
    }

    /// Takes a frame out and remembers that it is over.
    fn remove(&mut self, key: (u16, u32)) -> Option<Partial> {
        let frame = self.frames.remove(&key)?;
        self.held = self.held.saturating_sub(frame.charge());
        let done = self.done.entry(key.0).or_insert_with(|| {
            self.held += DONE_OVERHEAD;
            VecDeque::with_capacity(REMEMBERED)
        });
        if done.len() >= REMEMBERED {
            done.pop_front();
        }
        done.push_back(key.1);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::{Datagram, Packetiser, parse};

    fn frame(stream: u16, id: u32, len: usize) -> (Vec<u8>, Vec<Datagram>) {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 31 + id as usize) as u8).collect();
        let header = FrameHeader { frame_id: id, ..FrameHeader::default() };
        let datagrams = Packetiser::default().packetise(&header, stream, &bytes, 0).unwrap();
        (bytes, datagrams)
    }

    fn push(r: &mut Reassembler, ms: u64, datagram: &Datagram) -> Option<Vec<u8>> {
        let packet = parse(&datagram.bytes).unwrap();
        r.push(Time::from_millis(ms), &packet).map(|f| f.bytes.into_owned())
    }

    #[test]
    fn a_whole_frame_passes_without_a_copy() {
        let (bytes, datagrams) = frame(1, 1, 500);
        let mut r = Reassembler::new();
        let packet = parse(&datagrams[0].bytes).unwrap();
        let out = r.push(Time::ZERO, &packet).unwrap();
        assert!(matches!(out.bytes, Cow::Borrowed(_)));
        assert_eq!((out.stream, &out.bytes[..]), (None, &bytes[..]));
    }

    #[test]
    fn fragments_in_any_order_make_the_frame_once() {
        let (bytes, mut datagrams) = frame(1, 1, 5000);
        datagrams.reverse();
        let mut r = Reassembler::new();
        let (last, first) = datagrams.split_last().unwrap();
        for d in first {
            assert_eq!(push(&mut r, 0, d), None);
            assert_eq!(push(&mut r, 0, d), None);
        }
        assert_eq!(push(&mut r, 0, last), Some(bytes));
        assert_eq!(push(&mut r, 0, last), None, "a late copy of a finished frame");
        assert_eq!(r.counters().duplicate, 5);
        assert_eq!(r.held(), r.remembered());
    }

    #[test]
    fn a_contradicting_fragment_never_corrupts_a_frame() {
        let (bytes, good) = frame(1, 1, 3000);
        let mut r = Reassembler::new();
        push(&mut r, 0, &good[0]);
        let packet = parse(&good[1].bytes).unwrap();
        let mut other = packet;
        other.hop.fragment = packet.hop.fragment.map(|f| Fragment { count: 4, ..f });
        assert!(r.push(Time::ZERO, &other).is_none());
        let mut other = packet;
        other.header.keyframe = true;
        assert!(r.push(Time::ZERO, &other).is_none());
        let mut other = packet;
        other.payload = &packet.payload[1..];
        assert!(r.push(Time::ZERO, &other).is_none());
        assert_eq!(r.counters().inconsistent, 3);
        push(&mut r, 0, &good[1]);
        assert_eq!(push(&mut r, 0, &good[2]), Some(bytes));
    }

    fn parity(stream: u16, id: u32, bytes: &[u8], wanted: u16) -> Vec<Datagram> {
        let header = FrameHeader { frame_id: id, ..FrameHeader::default() };
        Packetiser::default().protect(&header, stream, bytes, 0, wanted).unwrap()
    }

    #[test]
    fn parity_makes_up_for_lost_fragments() {
        let (bytes, datagrams) = frame(1, 1, 7001);
        let parity = parity(1, 1, &bytes, 3);
        let mut r = Reassembler::new();
        // The last one, which is shorter, is among those lost.
        for d in datagrams[1..4].iter().chain(&parity[..2]).chain(&datagrams[4..5]) {
            assert_eq!(push(&mut r, 0, d), None);
        }
        assert_eq!(push(&mut r, 0, &parity[2]), Some(bytes));
        assert_eq!(push(&mut r, 0, &datagrams[0]), None);
        let c = r.counters();
        assert_eq!((c.completed, c.repaired, c.fragments, c.parity, c.duplicate), (1, 1, 7, 3, 1));
    }

    #[test]
    fn parity_that_contradicts_alters_nothing_or_gives_what_will_not_open() {
        let (bytes, datagrams) = frame(1, 1, 3000);
        let parity = parity(1, 1, &bytes, 1);
        let mut r = Reassembler::new();
        push(&mut r, 0, &datagrams[2]);
        let packet = parse(&parity[0].bytes).unwrap();
        let mut other = packet;
        other.hop.fragment = packet.hop.fragment.map(|f| Fragment { last: Some(999), ..f });
        assert!(r.push(Time::ZERO, &other).is_none(), "the last one has 1000 bytes");
        let mut other = packet;
        other.payload = &packet.payload[..999];
        assert!(r.push(Time::ZERO, &other).is_none());
        assert_eq!(r.counters().inconsistent, 2);
        push(&mut r, 0, &datagrams[0]);
        let lie = vec![9; 1000];
        let mut other = packet;
        other.payload = &lie;
        let out = r.push(Time::ZERO, &other).unwrap();
        assert!(out.bytes.len() == 3000 && out.bytes != bytes);
    }

    #[test]
    fn the_missing_fragments_are_listed() {
        let (_, datagrams) = frame(9, 4, 5000);
        let mut r = Reassembler::new();
        push(&mut r, 10, &datagrams[1]);
        push(&mut r, 12, &datagrams[3]);
        let list: Vec<_> = r.incomplete().collect();
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].stream, list[0].header.frame_id), (9, 4));
        assert_eq!(list[0].missing().collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(list[0].lacks(), 3);
        assert_eq!((list[0].first, list[0].latest), (Time::from_millis(10), Time::from_millis(12)));
    }

    #[test]
    fn a_frame_that_takes_too_long_is_given_up_for_good() {
        let (_, datagrams) = frame(1, 1, 2000);
        let mut r = Reassembler::new();
        push(&mut r, 0, &datagrams[0]);
        assert_eq!(push(&mut r, 1001, &datagrams[1]), None);
        assert_eq!((r.counters().expired, r.counters().duplicate), (1, 1));
        assert_eq!((r.held(), r.incomplete().count()), (r.remembered(), 0));
    }

    #[test]
    fn one_stream_cannot_crowd_out_another() {
        let mut r = Reassembler::new();
        push(&mut r, 0, &frame(1, 1, 2000).1[0]);
        for id in 0..500 {
            push(&mut r, 1, &frame(2, id, 2000).1[0]);
        }
        assert_eq!(r.incomplete().count(), 1 + MAX_IN_PROGRESS_PER_STREAM);
        assert!(push(&mut r, 2, &frame(1, 1, 2000).1[1]).is_some());
    }

    #[test]
    fn finished_frames_of_many_streams_are_counted_and_bounded() {
        let mut r = Reassembler::new();
        for stream in 0..=crate::media::MAX_STREAM {
            for d in frame(stream, 1, 2000).1 {
                push(&mut r, 0, &d);
            }
            assert!(r.held() <= MAX_HELD);
        }
        assert_eq!(r.counters().completed, 2048);
        assert_eq!(r.held(), 2048 * DONE_OVERHEAD);
    }

    #[test]
    fn a_claim_of_many_fragments_reserves_nothing() {
        let mut r = Reassembler::new();
        let header = FrameHeader::default();
        let hop = parse(&frame(0, 0, 1).1[0].bytes).unwrap().hop;
        let hop = crate::media::HopHeader {
            fragment: Some(Fragment { stream: 0, index: 1022, count: 1024, last: None }),
            ..hop
        };
        r.push(Time::ZERO, &Packet { hop, header, payload: &[0; 1000] });
        assert_eq!(r.held(), FRAME_OVERHEAD + 1000 + OVERHEAD);
        let header = FrameHeader { frame_id: 1, ..header };
        r.push(Time::ZERO, &Packet { hop, header, payload: &[0; 1200] });
        assert_eq!(r.counters().too_large, 1, "1023 such parts would exceed a frame");
    }

    proptest! {
        #[test]
        fn whatever_arrives_it_stays_bounded(
            packets in proptest::collection::vec((0..3u16, 0..40u32, 0..12u16, 2..6u16, 1..60_000usize, 0..100u64), 0..300)
        ) {
            let payload = vec![0; 60_000];
            let hop = parse(&frame(0, 0, 1).1[0].bytes).unwrap().hop;
            let (mut r, mut now) = (Reassembler::new(), 0);
            for (stream, frame_id, index, count, len, ms) in packets {
                now += ms;
                let last = (index >= count).then_some(1 + (len % 7) as u16);
                let hop = crate::media::HopHeader { fragment: Some(Fragment { stream, index, count, last }), ..hop };
                let header = FrameHeader { frame_id, ..FrameHeader::default() };
                r.push(Time::from_millis(now), &Packet { hop, header, payload: &payload[..len] });
                prop_assert!(r.held() <= MAX_HELD);
                prop_assert!(r.incomplete().count() <= MAX_IN_PROGRESS);
                let charged: usize = r.frames.values().map(Partial::charge).sum();
                prop_assert_eq!(charged + r.remembered(), r.held());
            }
        }
    }
}
