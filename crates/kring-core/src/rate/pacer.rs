//! When the next packet may go: pictures are spread over time, voice goes at once and pictures wait for it.
//!
//! Guarantee: over any while, no more than rate × while + one burst + one packet is let go beside voice.

use crate::time::Time;
use std::time::Duration;

/// What may go at once after a pause, in time at the pacing rate.
const BURST: Duration = Duration::from_millis(5);
/// And in bytes, at least.
const BURST_BYTES: f64 = 1200.0;

/// A bucket of bytes that fills at the pacing rate.
#[derive(Debug)]
pub(super) struct Pacer {
    bytes: f64,
    at: Time,
    /// Bytes a second.
    rate: f64,
}

impl Pacer {
    pub(super) fn new(now: Time) -> Pacer {
        Pacer { bytes: BURST_BYTES, at: now, rate: 37_500.0 }
    }

    /// Sets the rate in bit/s.
    pub(super) fn set_rate(&mut self, now: Time, bits_per_second: f64) {
        self.fill(now);
        self.rate = (bits_per_second / 8.0).max(500.0);
    }

    fn fill(&mut self, now: Time) {
        let most = (self.rate * BURST.as_secs_f64()).max(BURST_BYTES);
        self.bytes = (self.bytes + self.rate * now.since(self.at).as_secs_f64()).min(most);
        self.at = self.at.max(now);
    }

    /// Whether a packet that can wait may go.
    pub(super) fn is_open(&mut self, now: Time) -> bool {
        self.fill(now);
        self.bytes > 0.0
    }

    /// When it may, if not now.
    pub(super) fn opens(&self) -> Time {
        // A little later than exactly, so that rounding never makes it a loop.
        self.at + Duration::from_secs_f64((-self.bytes).max(0.0) / self.rate) + Duration::from_micros(50)
    }

    /// Counts what was sent. Voice may bring the bucket below empty, but not so far that pictures stop for long.
    pub(super) fn sent(&mut self, now: Time, bytes: u32) {
        self.fill(now);
        self.bytes = (self.bytes - f64::from(bytes)).max(-self.rate * 0.5 - 2400.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_and_pauses_do_not_save_up() {
        let mut pacer = Pacer::new(Time::ZERO);
        pacer.set_rate(Time::ZERO, 800_000.0);
        let (mut now, mut bytes) = (Time::from_millis(10_000), 0);
        let end = now + Duration::from_secs(1);
        while now < end {
            if pacer.is_open(now) {
                pacer.sent(now, 1000);
                bytes += 1000;
            } else {
                now = pacer.opens();
            }
        }
        assert!((100_000..=102_500).contains(&bytes), "{bytes}");
    }
}
