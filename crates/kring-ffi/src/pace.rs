//! Real time for sources and sinks of the program's. Due times are counted from the start, so that late wake-ups do not add up.

use crate::audio_source::KRING_PACED;
use crate::error::Failure;
use kring::codec::SAMPLE_RATE;
use std::time::{Duration, Instant};

/// How long so many samples last.
pub(crate) fn samples(count: u64) -> Duration {
    let rate = u64::from(SAMPLE_RATE);
    Duration::from_secs(count / rate) + Duration::from_nanos(count % rate * 1_000_000_000 / rate)
}

/// How long so many pictures last.
pub(crate) fn pictures(count: u64, frames_per_second: f32) -> Duration {
    Duration::from_secs_f64(count as f64 / f64::from(frames_per_second))
}

/// Sleeps until `due`; returns at once when it has passed.
pub(crate) fn wait_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// Refuses flags that this version does not know.
pub(crate) fn check_flags(flags: u32) -> Result<(), Failure> {
    if flags & !KRING_PACED == 0 {
        Ok(())
    } else {
        Err(Failure::argument(format!("expected KRING_PACED or 0, got {flags:#x}")))
    }
}
