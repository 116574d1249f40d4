//! The frame buffer of one video track: which frame a decoder may have next.
//!
//! Guarantee: frames come out in the order of their ids, and none comes out whose reference may be missing: a
//! gap is passed only over discardable frames or by a keyframe. At most [`MAX_VIDEO_FRAMES`] frames and
//! [`MAX_VIDEO_BYTES`] are held, and a gap is waited for no longer than the set time.
//!
//! A frame is taken to refer to the last frame before it that is not discardable.

use std::collections::BTreeMap;
use std::time::Duration;

use super::MAX_FRAME;
use crate::time::Time;

/// The most frames that a buffer holds.
pub const MAX_VIDEO_FRAMES: usize = 128;
/// The most bytes of payload that a buffer holds: 8 MiB.
pub const MAX_VIDEO_BYTES: usize = 8 << 20;
/// How long a missing frame is waited for unless told otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_millis(60);

/// How long frames are kept for which no keyframe has come.
const ORPHANED: Duration = Duration::from_millis(500);
const MIN_REQUEST_INTERVAL: Duration = Duration::from_millis(100);
const MAX_REQUEST_INTERVAL: Duration = Duration::from_secs(2);
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
    /// How many frames right before it are all discardable; see [`FrameInfo`](super::FrameInfo).
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
    /// Times that a keyframe was asked for.
    pub keyframes_requested: u64,
}

#[derive(Debug)]
struct Held {
    frame: VideoFrame,
    arrival: Time,
}

/// What the first frame held waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Ready,
    /// A reference may be missing; frames behind the gap have been here since then.
    Gap(Time),
    Empty,
}

/// The frame buffer of one video track.
#[derive(Debug)]
pub struct VideoBuffer {
    held: BTreeMap<u32, Held>,
    bytes: usize,
    patience: Duration,
    /// The last id that the decoder had or has been led past.
    passed: Option<u32>,
    /// Whether the decoder has all that the frame after `passed` refers to.
    intact: bool,
    /// When to ask again, once it was asked for; and how often it was, since the last keyframe.
    next_request: Option<Time>,
    requests: u32,
    stats: VideoStats,
}

impl Default for VideoBuffer {
    fn default() -> VideoBuffer {
        VideoBuffer::new(DEFAULT_PATIENCE)
    }
}

impl VideoBuffer {
    /// An empty buffer that waits for a missing frame for `patience`; zero if gaps are never repaired.
    #[must_use]
    pub fn new(patience: Duration) -> VideoBuffer {
        VideoBuffer {
            held: BTreeMap::new(),
            bytes: 0,
            patience,
            passed: None,
            intact: false,
            next_request: None,
            requests: 0,
            stats: VideoStats::default(),
        }
    }

    /// Changes how long a missing frame is waited for: about the time that a repair takes.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
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
        if self.passed.is_some_and(|passed| id <= passed) {
            if !(frame.keyframe && self.passed.is_some_and(|passed| passed - id > RESTART)) {
                self.stats.dropped += 1;
                return;
            }
            while self.drop_first() {}
            self.passed = None;
            self.intact = false;
        }
        self.bytes += frame.payload.len();
        self.held.insert(id, Held { frame, arrival: now });
        while self.held.len() > MAX_VIDEO_FRAMES || self.bytes > MAX_VIDEO_BYTES {
            self.skip_first();
        }
    }

    /// The next frame for the decoder, if there is one at `now`. Ask until there is none.
    pub fn pull(&mut self, now: Time) -> Option<VideoFrame> {
        if let Next::Gap(since) = self.next()
            && self.intact
            && now.since(since) >= self.patience
        {
            self.intact = false;
        }
        if !self.intact {
            self.look_for_keyframe(now);
        }
        if self.next() != Next::Ready {
            return None;
        }
        let frame = self.take_first()?;
        self.passed = Some(frame.frame_id);
        self.stats.decodable += 1;
        if frame.keyframe {
            self.intact = true;
            self.next_request = None;
            self.requests = 0;
        }
        Some(frame)
    }

    /// Whether to ask the sender for a keyframe now, over a path of round-trip time `rtt`.
    ///
    /// `true` counts as asked: the next comes after max(2·`rtt`, 100 ms) without a keyframe, then after twice
    /// that and so on, up to 2 s. Call it after [`pull`](Self::pull).
    pub fn keyframe_needed(&mut self, now: Time, rtt: Duration) -> bool {
        if self.request_due().is_none_or(|due| now < due) {
            return false;
        }
        let interval = rtt.saturating_mul(2).clamp(MIN_REQUEST_INTERVAL, MAX_REQUEST_INTERVAL);
        let interval = interval.saturating_mul(1 << self.requests.min(5)).min(MAX_REQUEST_INTERVAL);
        self.next_request = Some(now + interval);
        self.requests = self.requests.saturating_add(1);
        self.stats.keyframes_requested += 1;
        true
    }

    /// When to call [`pull`](Self::pull) and [`keyframe_needed`](Self::keyframe_needed) again if no frame
    /// comes before. It may lie in the past: then call now.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        match self.next() {
            Next::Gap(since) if self.intact => Some(since + self.patience),
            _ => self.request_due(),
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

    /// When a keyframe is to be asked for: at once after a break; at the start, when a track's first frames
    /// have come and no keyframe in the time that one may be late.
    fn request_due(&self) -> Option<Time> {
        if self.intact {
            return None;
        }
        self.next_request.or_else(|| match (self.passed, self.next()) {
            (None, Next::Gap(since)) => Some(since + self.patience),
            (None, _) => None,
            (Some(_), _) => Some(Time::ZERO),
        })
    }

    fn next(&self) -> Next {
        let Some((&id, Held { frame, .. })) = self.held.first_key_value() else { return Next::Empty };
        let ready = frame.keyframe
            || self.intact && self.passed.is_some_and(|passed| id - passed - 1 <= u32::from(frame.skippable));
        if ready {
            return Next::Ready;
        }
        self.held.values().map(|held| held.arrival).min().map_or(Next::Empty, Next::Gap)
    }

    /// Drops what comes before the first keyframe held; without one, what has waited for one too long.
    fn look_for_keyframe(&mut self, now: Time) {
        let keyframe = self.held.iter().find(|(_, held)| held.frame.keyframe).map(|(&id, _)| id);
        while let Some((&id, held)) = self.held.first_key_value() {
            let useless = match keyframe {
                Some(keyframe) => id < keyframe,
                None => now.since(held.arrival) > ORPHANED,
            };
            if !useless {
                break;
            }
            self.skip_first();
        }
    }

    /// Drops the first frame and leads the decoder past it.
    fn skip_first(&mut self) {
        let Some((&id, held)) = self.held.first_key_value() else { return };
        let harmless = held.frame.discardable && self.next() == Next::Ready && !held.frame.keyframe;
        self.intact &= harmless;
        self.passed = Some(id);
        self.drop_first();
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
