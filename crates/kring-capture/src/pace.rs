//! Waiting in real time. Due times are computed from the start, never from the last wait, so that late
//! wake-ups do not add up.

use std::time::{Duration, Instant};

use kring_codec::SAMPLE_RATE;

/// When sample `index` is due, counted from `start`; exact to a nanosecond for centuries.
pub(crate) fn sample_due(start: Instant, index: u64) -> Instant {
    let rate = u64::from(SAMPLE_RATE);
    let nanoseconds = index % rate * 1_000_000_000 / rate;
    start + Duration::from_secs(index / rate) + Duration::from_nanos(nanoseconds)
}

/// How long so many samples last.
#[cfg(feature = "audio-io")]
pub(crate) fn length(samples: usize) -> Duration {
    Duration::from_secs_f64(samples as f64 / f64::from(SAMPLE_RATE))
}

/// Sleeps until `due`; returns at once when it has passed.
pub(crate) fn wait_until(due: Instant) {
    // A sleep never ends early; the loop is for systems whose clocks for sleeping and reading differ.
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::sleep(left);
    }
}

/// The newest picture from `next` on that is due by now; `next` when none is. `due` tells when one is, later
/// for later ones.
pub(crate) fn newest_due(due: impl Fn(u64) -> Instant, next: u64) -> u64 {
    let now = Instant::now();
    let is_due = |number| due(number) <= now;
    if !is_due(next + 1) {
        return next;
    }
    let mut step = 1;
    while is_due(next + step * 2) {
        step *= 2;
    }
    // `next + step` is due, `next + 2 * step` is not.
    let (mut low, mut high) = (next + step, next + step * 2);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_due(middle) { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_do_not_drift() {
        let start = Instant::now();
        let hours = 1000 * 3600;
        assert_eq!(sample_due(start, 48_000 * hours) - start, Duration::from_secs(hours));
        assert_eq!((sample_due(start, 1) - start).as_nanos(), 20_833);
    }

    #[test]
    fn the_newest_due_picture_is_found() {
        let start = Instant::now() - Duration::from_millis(10_050);
        let due = |number| start + Duration::from_millis(100) * number as u32;
        assert_eq!(newest_due(due, 0), 100);
        assert_eq!(newest_due(due, 100), 100);
        assert_eq!(newest_due(due, 99), 100);
        assert_eq!(newest_due(due, 500), 500);
    }
}
