//! What a microphone's callback does, and what is read from it: any device's samples become one channel of `f32` and
//! go through a queue that neither locks nor allocates.
//!
//! Guarantee: [`Intake::take`] neither allocates, locks, waits nor logs; what finds no room is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpal::{FromSample, Sample};
use rtrb::{Consumer, Producer, RingBuffer};

/// Stamps that may wait; more callbacks than a second has, for all but the smallest buffers.
const STAMPS: usize = 1024;
/// No device's own delay is believed to be longer.
const LONGEST_DELAY: Duration = Duration::from_millis(500);
/// A clock that is off by more than this is set anew rather than led there, in seconds.
const JUMP: f64 = 0.05;
/// The time over which the clock follows the stamps, in seconds.
const FOLLOW: f64 = 2.0;

/// When a sample was captured.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    /// The number of the sample since the start, of those that were not dropped.
    index: u64,
    at: Instant,
}

/// The end that the callback holds.
pub(super) struct Intake {
    samples: Producer<f32>,
    stamps: Producer<Stamp>,
    channels: usize,
    rate: u32,
    taken: u64,
    lost: Arc<AtomicU64>,
}

/// The end that is read from.
pub(super) struct Heard {
    samples: Consumer<f32>,
    stamps: Consumer<Stamp>,
    rate: u32,
    clock: Option<Clock>,
    lost: Arc<AtomicU64>,
}

/// A queue of one second, for a device of this many channels and samples a second.
pub(super) fn queue(channels: u16, rate: u32) -> (Intake, Heard) {
    let (to_samples, samples) = RingBuffer::new(rate as usize);
    let (to_stamps, stamps) = RingBuffer::new(STAMPS);
    let lost = Arc::new(AtomicU64::new(0));
    let intake = Intake {
        samples: to_samples,
        stamps: to_stamps,
        channels: usize::from(channels.max(1)),
        rate,
        taken: 0,
        lost: lost.clone(),
    };
    (intake, Heard { samples, stamps, rate, clock: None, lost })
}

impl Intake {
    /// Takes what a callback brings at `now`; the device says that its first sample was captured `age` before.
    pub(super) fn take<T: Sample>(&mut self, data: &[T], now: Instant, age: Duration)
    where
        f32: FromSample<T>,
    {
        let frames = data.len() / self.channels;
        let room = frames.min(self.samples.slots());
        if room < frames {
            self.lost.fetch_add((frames - room) as u64, Ordering::Relaxed);
        }
        let Ok(chunk) = self.samples.write_chunk_uninit(room) else { return };
        // The last sample is captured when it is handed over, at the latest.
        let length = Duration::from_secs_f64(frames as f64 / f64::from(self.rate));
        let age = age.min(LONGEST_DELAY).max(length);
        if let Some(at) = now.checked_sub(age) {
            // Before the samples, so that whoever reads those has it. Without room the clock goes on by itself.
            let _ = self.stamps.push(Stamp { index: self.taken, at });
        }
        let share = 1.0 / self.channels as f32;
        let mono = data
            .chunks_exact(self.channels)
            .map(|frame| frame.iter().map(|&sample| f32::from_sample(sample)).sum::<f32>() * share);
        self.taken += chunk.fill_from_iter(mono) as u64;
    }
}

impl Heard {
    /// Samples that are there.
    pub(super) fn len(&self) -> usize {
        self.samples.slots()
    }

    /// Samples a second.
    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Appends up to `count` samples.
    pub(super) fn read(&mut self, count: usize, to: &mut Vec<f32>) {
        let Ok(chunk) = self.samples.read_chunk(count.min(self.samples.slots())) else { return };
        to.extend(chunk);
    }

    /// When the sound at `seconds` after the first sample was captured; `None` before anything came.
    pub(super) fn captured(&mut self, seconds: f64) -> Option<Instant> {
        while let Ok(stamp) = self.stamps.pop() {
            match &mut self.clock {
                Some(clock) => clock.follow(stamp, self.rate),
                None => self.clock = Some(Clock::new(stamp, self.rate)),
            }
        }
        self.clock.as_ref().map(|clock| clock.at(seconds))
    }

    /// Samples that were dropped since nobody read them in time.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A sound card's clock as this machine's clock sees it: callbacks come unevenly, samples do not.
struct Clock {
    zero: Instant,
    /// Where sample 0 lies after `zero`, in seconds.
    offset: f64,
    stamps: u32,
    index: u64,
}

impl Clock {
    fn new(stamp: Stamp, rate: u32) -> Self {
        Self {
            zero: stamp.at,
            offset: -(stamp.index as f64) / f64::from(rate),
            stamps: 1,
            index: stamp.index,
        }
    }

    fn follow(&mut self, stamp: Stamp, rate: u32) {
        let seconds = |samples: u64| samples as f64 / f64::from(rate);
        let off = signed(stamp.at, self.zero) - seconds(stamp.index) - self.offset;
        let passed = seconds(stamp.index - self.index);
        (self.stamps, self.index) = (self.stamps.saturating_add(1), stamp.index);
        if off.abs() > JUMP {
            (self.offset, self.stamps) = (self.offset + off, 1);
        } else {
            // At first the mean of all, then the newest two seconds or so.
            self.offset += off * (passed / FOLLOW).max(1.0 / f64::from(self.stamps)).min(1.0);
        }
    }

    fn at(&self, seconds: f64) -> Instant {
        let after = self.offset + seconds;
        let length = Duration::from_secs_f64(after.abs());
        if after < 0.0 { self.zero.checked_sub(length).unwrap_or(self.zero) } else { self.zero + length }
    }
}

/// How much later `a` is than `b`, in seconds.
fn signed(a: Instant, b: Instant) -> f64 {
    match a.checked_duration_since(b) {
        Some(later) => later.as_secs_f64(),
        None => -b.duration_since(a).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counting::allocations;

    #[test]
    fn a_callback_allocates_nothing_even_when_nobody_reads() {
        let (mut intake, heard) = queue(2, 48_000);
        let (floats, words) = ([0.5_f32; 960], [16_384_i16; 34]);
        let now = Instant::now();
        let before = allocations();
        for _ in 0..500 {
            intake.take(&floats, now, Duration::from_millis(12));
            intake.take(&words, now, Duration::ZERO);
        }
        assert_eq!(allocations(), before);
        assert_eq!(heard.len() as u64 + heard.lost(), 500 * (480 + 17));
        assert!(heard.lost() > 0);
    }

    #[test]
    fn channels_are_mixed_and_formats_become_one() {
        let (mut intake, mut heard) = queue(2, 48_000);
        intake.take(&[i16::MIN, 0, 16_384, 16_384], Instant::now(), Duration::ZERO);
        intake.take(&[0.25_f32, -0.25], Instant::now(), Duration::ZERO);
        let mut samples = Vec::new();
        heard.read(9, &mut samples);
        assert_eq!(samples, [-0.5, 0.5, 0.0]);
    }

    #[test]
    fn uneven_callbacks_give_an_even_clock() {
        let (mut intake, mut heard) = queue(1, 48_000);
        let start = Instant::now();
        let mut samples = Vec::new();
        for n in 1..=3000_u64 {
            // Each 10 ms, up to 4 ms late.
            let late = Duration::from_micros(n * 7919 % 4000);
            intake.take(
                &[0.0_f32; 480],
                start + Duration::from_millis(10 * n) + late,
                Duration::from_millis(10),
            );
            heard.read(480, &mut samples);
            let at = signed(heard.captured((n * 480) as f64 / 48_000.0).unwrap(), start);
            let off = at - n as f64 / 100.0;
            assert!((-0.0001..0.0041).contains(&off), "{off} at callback {n}");
            if n > 300 {
                assert!((0.0015..0.0025).contains(&off), "{off} at callback {n}");
            }
        }
    }

    #[test]
    fn a_device_that_stood_still_sets_the_clock_anew() {
        let (mut intake, mut heard) = queue(1, 48_000);
        let start = Instant::now();
        let later = start + Duration::from_secs(3);
        for now in [start, later] {
            intake.take(&[0.0_f32; 480], now + Duration::from_millis(10), Duration::from_millis(10));
        }
        let at = heard.captured(480.0 / 48_000.0).unwrap();
        assert!(signed(at, later).abs() < 1e-6);
    }
}
