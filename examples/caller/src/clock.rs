//! One pairing of the monotonic clock with the wall clock, made when the program starts, so that all times of a run
//! are on one scale, whatever is done to the wall clock meanwhile.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Turns moments into seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    epoch: Duration,
}

impl Clock {
    /// Pairs the two clocks now.
    pub(crate) fn new() -> Clock {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { origin: Instant::now(), epoch }
    }

    /// When the program started.
    pub(crate) fn start(&self) -> Instant {
        self.origin
    }

    /// Seconds since 1970, with microseconds.
    pub(crate) fn epoch(&self, at: Instant) -> f64 {
        let since = match at.checked_duration_since(self.origin) {
            Some(after) => self.epoch + after,
            None => self.epoch.saturating_sub(self.origin.duration_since(at)),
        };
        since.as_micros() as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_the_start_keep_their_distance() {
        let clock = Clock::new();
        let later = clock.epoch(clock.start() + Duration::from_millis(1500));
        let earlier = clock.start().checked_sub(Duration::from_millis(500)).unwrap();
        assert!((later - clock.epoch(earlier) - 2.0).abs() < 1e-5);
    }

    #[test]
    fn microseconds_survive_being_written() {
        let clock = Clock { origin: Instant::now(), epoch: Duration::from_micros(1_790_000_000_123_457) };
        let text = serde_json::json!(clock.epoch(clock.start())).to_string();
        assert_eq!(text, "1790000000.123457");
    }
}
