//! The frame buffer of one video track: which frame a decoder may have next, and when.
//!
//! Guarantee: frames come out in the order of their ids, and none comes out but a keyframe or one whose reference did: the
//! frame before those that it says it can do without. At most [`MAX_VIDEO_FRAMES`] frames and [`MAX_VIDEO_BYTES`] are held.
//!
//! A frame that lacks its reference waits for it, for it may be repaired. After [patience](VideoBuffer::set_round_trip) the
//! track counts as [lost](VideoBuffer::is_lost), which is for the sender to mend; what is repaired until then is still of use. What
//! can do without the frames that lack before it waits only a moment for them, as networks reorder.

use std::collections::BTreeMap;
use std::time::Duration;

use super::MAX_FRAME;
use super::seen::Seen;
use crate::time::Time;

/// The most frames that a buffer holds.
pub const MAX_VIDEO_FRAMES: usize = 128;
/// The most bytes of payload that a buffer holds: 8 MiB.
pub const MAX_VIDEO_BYTES: usize = 8 << 20;
/// The longest that a frame is held to be in time with the sound.
pub const MAX_HOLD: Duration = Duration::from_millis(250);

/// Pictures that were captured farther apart than this stand still meanwhile: the later one is not held.
const STANDSTILL: Duration = Duration::from_millis(200);
/// A repair takes the round trip, and this for the wait for a report and for its turn; once again half of the round trip,
/// for it may have to be sent twice. A sender gives up later (`call/pictures.rs`).
const REPAIR: Duration = Duration::from_millis(100);
/// The round trip until one was measured.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);
/// How long a frame that can be decoded waits for those before it.
const OVERTAKEN: Duration = Duration::from_millis(12);
/// How long frames are kept that cannot be decoded: as long as parts of others may still come.
const ORPHANED: Duration = Duration::from_millis(1000);
/// A keyframe so far behind means that the sender counts anew.
const RESTART: u32 = 1 << 16;

/// One frame of a video track, opened and with its info read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFrame {
    /// From the frame header: one more for each frame of the track.
    pub frame_id: u32,
    /// It can be decoded without any frame before it.
    pub keyframe: bool,
    /// No later frame refers to it.
    pub discardable: bool,
    /// How many frames right before it it does not build on; see [`FrameInfo`](super::FrameInfo).
    pub skippable: u8,
    /// Temporal layer, 0 (base) to 3.
    pub temporal_layer: u8,
    /// When it was captured: µs on the sender's clock, unwrapped.
    pub capture: u64,
    /// What the decoder gets; at most [`MAX_FRAME`] bytes.
    pub payload: Vec<u8>,
}

/// What a [`VideoBuffer`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoStats {
    /// Frames taken in, duplicates not.
    pub received: u64,
    /// Frames given to the decoder.
    pub decodable: u64,
    /// Frames that came and were not given to it: too late, without their reference, or over a bound.
    pub dropped: u64,
    /// Frames that came a second time while the first was held.
    pub duplicate: u64,
    /// Times that the track was lost.
    pub losses: u64,
}

#[derive(Debug)]
struct Held {
    frame: VideoFrame,
    arrival: Time,
}

/// The frame buffer of one video track.
#[derive(Debug)]
pub struct VideoBuffer {
    held: BTreeMap<u32, Held>,
    bytes: usize,
    patience: Duration,
    /// From capture to being shown, between the sender's clock and this one, in µs.
    lag: Option<i64>,
    /// The last frame that was given out, and those that were lately.
    decoded: Option<u32>,
    given: Seen,
    /// When that was, and when it was captured.
    last: Option<(Time, u64)>,
    lost: bool,
    stats: VideoStats,
}

impl Default for VideoBuffer {
    fn default() -> VideoBuffer {
        VideoBuffer::new()
    }
}

impl VideoBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> VideoBuffer {
        VideoBuffer {
            held: BTreeMap::new(),
            bytes: 0,
            patience: patience(ASSUMED_ROUND_TRIP),
            lag: None,
            decoded: None,
            given: Seen::default(),
            last: None,
            lost: false,
            stats: VideoStats::default(),
        }
    }

    /// Sets the path's round trip: a missing frame is waited for as long as a repair takes, and some more.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.patience = patience(round_trip);
    }

    /// Holds each frame until its capture time and `lag` (µs, between the two clocks), at most [`MAX_HOLD`]; `None` gives them
    /// out as they come. After a standstill the first frame is not held, and those after it come at half their pace until they
    /// are in time again.
    pub fn set_lag(&mut self, lag: Option<i64>) {
        self.lag = lag;
    }

    /// Takes in a frame that arrived at `now`.
    pub fn push(&mut self, now: Time, frame: VideoFrame) {
        let id = frame.frame_id;
        if self.held.contains_key(&id) {
            self.stats.duplicate += 1;
            return;
        }
        self.stats.received += 1;
        if frame.payload.len() > MAX_FRAME {
            self.stats.dropped += 1;
            return;
        }
        if let Some(decoded) = self.decoded.filter(|decoded| id <= *decoded) {
            if !frame.keyframe || decoded - id <= RESTART {
                self.stats.dropped += 1;
                return;
            }
            while self.drop_first() {}
            self.restart();
        }
        self.bytes += frame.payload.len();
        self.held.insert(id, Held { frame, arrival: now });
        while self.held.len() > MAX_VIDEO_FRAMES || self.bytes > MAX_VIDEO_BYTES {
            self.drop_first();
        }
    }

    /// The next frame for the decoder, if there is one at `now`. Ask until there is none.
    pub fn pull(&mut self, now: Time) -> Option<VideoFrame> {
        let Some((id, due)) = self.next() else {
            self.wait(now);
            return None;
        };
        if due > now {
            return None;
        }
        while self.held.first_key_value().is_some_and(|(&first, _)| first < id) {
            self.drop_first();
        }
        let frame = self.take_first()?;
        self.decoded = Some(id);
        self.given.insert(id);
        self.last = Some((now, frame.capture));
        self.lost &= frame.discardable;
        self.stats.decodable += 1;
        Some(frame)
    }

    /// Whether what has come cannot be decoded and is waited for no more: the sender has to go back behind it. Ask after
    /// [`pull`](Self::pull).
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// The last frame that was given out, and with it all that it builds on; `None` before the first.
    #[must_use]
    pub const fn decoded(&self) -> Option<u32> {
        self.decoded
    }

    /// The decoder failed: only a keyframe helps.
    pub fn fail(&mut self) {
        self.restart();
        self.lose();
    }

    /// When to call [`pull`](Self::pull) again if no frame comes before. It may lie in the past: then call now.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        match self.next() {
            Some((_, due)) => Some(due),
            None if self.lost => None,
            None => self.held.values().map(|held| held.arrival + self.patience).min(),
        }
    }

    /// How many frames are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no frame is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many bytes of payload are held; at most [`MAX_VIDEO_BYTES`].
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What has been seen so far.
    #[must_use]
    pub const fn stats(&self) -> VideoStats {
        self.stats
    }

    fn is_decodable(&self, frame: &VideoFrame) -> bool {
        let reference = frame.frame_id.checked_sub(1 + u32::from(frame.skippable));
        frame.keyframe
            || self.decoded.is_some()
                && reference.is_some_and(|id| !self.given.lacks(id) && !self.given.is_old(id))
    }

    /// The first frame that can be decoded, and when it is to be.
    fn next(&self) -> Option<(u32, Time)> {
        let (&id, held) = self.held.iter().find(|(_, held)| self.is_decodable(&held.frame))?;
        let follows = self.decoded.map_or(id == 0 || self.held.len() == 1, |decoded| id == decoded + 1);
        let mut due = if follows { held.arrival } else { held.arrival + OVERTAKEN };
        if let Some(shown) = self.lag.and_then(|lag| held.frame.capture.checked_add_signed(lag)) {
            due = due.max(Time::from_micros(shown).min(held.arrival + self.hold(held)));
        }
        Some((id, due))
    }

    /// The longest that a frame is held after its arrival.
    fn hold(&self, held: &Held) -> Duration {
        let Some((given, capture)) = self.last else { return MAX_HOLD };
        let apart = Duration::from_micros(held.frame.capture.saturating_sub(capture));
        let pause = if apart < STANDSTILL { apart * 2 } else { Duration::ZERO };
        (given + pause).since(held.arrival).min(MAX_HOLD)
    }

    /// Nothing can be decoded: looks whether it was waited for long enough, and drops what is of no use any more.
    fn wait(&mut self, now: Time) {
        let since = self.held.values().map(|held| held.arrival).min();
        if since.is_some_and(|since| now.since(since) >= self.patience) {
            self.lose();
        }
        while self.held.first_key_value().is_some_and(|(_, held)| now.since(held.arrival) > ORPHANED) {
            self.drop_first();
        }
    }

    fn lose(&mut self) {
        self.stats.losses += u64::from(!self.lost);
        self.lost = true;
    }

    fn restart(&mut self) {
        self.decoded = None;
        self.given = Seen::default();
    }

    fn drop_first(&mut self) -> bool {
        let dropped = self.take_first().is_some();
        self.stats.dropped += u64::from(dropped);
        dropped
    }

    fn take_first(&mut self) -> Option<VideoFrame> {
        let (_, Held { frame, .. }) = self.held.pop_first()?;
        self.bytes = self.bytes.saturating_sub(frame.payload.len());
        Some(frame)
    }
}

/// In whole microseconds, as times are: a wake-up must not come before what it is for.
fn patience(round_trip: Duration) -> Duration {
    let micros = round_trip.min(Duration::from_secs(1)).as_micros() as u64 * 3 / 2;
    Duration::from_micros(micros) + REPAIR
}
