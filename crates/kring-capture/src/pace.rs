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

/// Sleeps until `due`; returns at once when it has passed.
pub(crate) fn wait_until(due: Instant) {
    // A sleep never ends early; the loop is for systems whose clocks for sleeping and reading differ.
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::sleep(left);
    }
}
