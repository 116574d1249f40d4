//! What a speaker's callback does, and what feeds it: one channel of `f32` becomes whatever the device takes.
//!
//! Guarantee: [`Outlet::fill`] neither allocates, locks, waits nor logs; what is lacking is silence, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpal::{FromSample, Sample};
use rtrb::{Consumer, Producer, RingBuffer};

/// Stamps that may wait.
const STAMPS: usize = 1024;
/// No device's own delay is believed to be longer.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// So many of the latest callbacks tell how much the device takes at once.
const LATEST: usize = 32;

/// When a sample is heard.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    /// The number of the sample since the start.
    index: u64,
    at: Instant,
    /// How many the device took.
    frames: usize,
}

/// The end that the callback holds.
pub(super) struct Outlet {
    samples: Consumer<f32>,
    stamps: Producer<Stamp>,
    channels: usize,
    taken: u64,
    underruns: Arc<AtomicU64>,
}

/// The end that is written to.
pub(super) struct Feed {
    samples: Producer<f32>,
    stamps: Consumer<Stamp>,
    rate: u32,
    written: u64,
    latest: Option<Stamp>,
    /// What each of the latest callbacks took.
    frames: [usize; LATEST],
    callbacks: u64,
    underruns: Arc<AtomicU64>,
}

/// A queue of one second, for a device of this many channels and samples a second that takes `frames` at once.
pub(super) fn queue(channels: u16, rate: u32, frames: usize) -> (Outlet, Feed) {
    let (to_samples, samples) = RingBuffer::new(rate as usize);
    let (to_stamps, stamps) = RingBuffer::new(STAMPS);
    let underruns = Arc::new(AtomicU64::new(0));
    let channels = usize::from(channels.max(1));
    let outlet = Outlet { samples, stamps: to_stamps, channels, taken: 0, underruns: underruns.clone() };
    let feed = Feed {
        samples: to_samples,
        stamps,
        rate,
        written: 0,
        latest: None,
        frames: [frames; LATEST],
        callbacks: 0,
        underruns,
    };
    (outlet, feed)
}

impl Outlet {
    /// Fills what a callback asks for at `now`; the device says that its first sample is heard `delay` later.
    pub(super) fn fill<T: Sample + FromSample<f32>>(
        &mut self,
        data: &mut [T],
        now: Instant,
        delay: Duration,
    ) {
        let wanted = data.len() / self.channels;
        let frames = wanted.min(self.samples.slots());
        let at = now + delay.min(LONGEST_DELAY);
        // Without room the last one serves.
        let _ = self.stamps.push(Stamp { index: self.taken, at, frames: wanted });
        let (sound, silence) = data.split_at_mut(frames * self.channels);
        if let Ok(chunk) = self.samples.read_chunk(frames) {
            for (frame, sample) in sound.chunks_exact_mut(self.channels).zip(chunk) {
                let sample = T::from_sample(sample);
                // To the left and the right; what else there is stays silent.
                for (channel, to) in frame.iter_mut().enumerate() {
                    *to = if channel < 2 { sample } else { T::EQUILIBRIUM };
                }
            }
        }
        silence.fill(T::EQUILIBRIUM);
        // Before the first sample there is nothing to lack.
        if frames < wanted && self.taken + frames as u64 > 0 {
            self.underruns.fetch_add(1, Ordering::Relaxed);
        }
        self.taken += frames as u64;
    }
}

impl Feed {
    /// Samples that wait for the device.
    pub(super) fn waiting(&self) -> usize {
        self.samples.buffer().capacity() - self.samples.slots()
    }

    /// Samples a second.
    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// The most that the device took at once of late.
    pub(super) fn at_once(&mut self) -> usize {
        self.look();
        self.frames.into_iter().max().unwrap_or_default()
    }

    /// How often the device was called so far.
    pub(super) fn callbacks(&mut self) -> u64 {
        self.look();
        self.callbacks
    }

    /// How often the device found too little.
    pub(super) fn underruns(&self) -> u64 {
        self.underruns.load(Ordering::Relaxed)
    }

    /// Adds samples and tells when the first of them is heard; what finds no room is dropped.
    pub(super) fn write(&mut self, samples: &[f32]) -> Instant {
        self.look();
        let now = Instant::now();
        let after = |samples: u64| Duration::from_secs_f64(samples as f64 / f64::from(self.rate));
        let heard = match self.latest {
            Some(stamp) => stamp.at + after(self.written.saturating_sub(stamp.index)),
            None => now + after(self.waiting() as u64),
        };
        let (written, _) = self.samples.push_partial_slice(samples);
        self.written += written.len() as u64;
        heard.max(now)
    }

    fn look(&mut self) {
        while let Ok(stamp) = self.stamps.pop() {
            self.frames[self.callbacks as usize % LATEST] = stamp.frames;
            self.callbacks += 1;
            self.latest = Some(stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counting::allocations;

    #[test]
    fn a_callback_allocates_nothing_with_and_without_sound() {
        let (mut outlet, mut feed) = queue(2, 48_000, 480);
        feed.write(&[0.1; 4800]);
        let (mut floats, mut words) = ([0.0_f32; 960], [0_u16; 34]);
        let now = Instant::now();
        let before = allocations();
        for _ in 0..2000 {
            outlet.fill(&mut floats, now, Duration::from_millis(20));
            outlet.fill(&mut words, now, Duration::ZERO);
        }
        assert_eq!(allocations(), before);
        assert!(feed.underruns() > 0);
    }

    #[test]
    fn what_is_written_comes_out_and_what_lacks_is_silence() {
        let (mut outlet, mut feed) = queue(3, 48_000, 480);
        let mut out = [7_i16; 9];
        outlet.fill(&mut out, Instant::now(), Duration::ZERO);
        assert_eq!((out, feed.underruns()), ([0; 9], 0), "nothing was lacking before the first sample");
        feed.write(&[0.5, -0.5]);
        outlet.fill(&mut out, Instant::now(), Duration::ZERO);
        assert_eq!(out, [16_384, 16_384, 0, -16_384, -16_384, 0, 0, 0, 0]);
        assert_eq!(feed.underruns(), 1);
        let mut unsigned = [0_u8; 3];
        outlet.fill(&mut unsigned, Instant::now(), Duration::ZERO);
        assert_eq!(unsigned, [128; 3], "silence of an unsigned format is its middle");
    }

    #[test]
    fn it_is_known_when_a_block_is_heard() {
        let (mut outlet, mut feed) = queue(1, 48_000, 480);
        feed.write(&[0.1; 480]);
        let now = Instant::now() + Duration::from_secs(1);
        outlet.fill(&mut [0.0_f32; 240], now, Duration::from_millis(20));
        // Sample 0 is heard after 20 ms, so sample 480 10 ms after it.
        assert_eq!(feed.write(&[0.1; 480]), now + Duration::from_millis(30));
        assert_eq!(feed.waiting(), 720);
    }

    #[test]
    fn a_device_that_took_much_once_is_forgiven() {
        let (mut outlet, mut feed) = queue(1, 48_000, 480);
        outlet.fill(&mut [0.0_f32; 960], Instant::now(), Duration::ZERO);
        assert_eq!(feed.at_once(), 960);
        for _ in 0..LATEST {
            outlet.fill(&mut [0.0_f32; 256], Instant::now(), Duration::ZERO);
        }
        assert_eq!(feed.at_once(), 256);
        assert_eq!(feed.callbacks(), 1 + LATEST as u64);
    }
}
