//! The endpoint's one clock: every time that goes into the core comes from here.

use kring_core::time::{Time, WallTime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        // Times somewhat before the start (a block captured just before) must not wrap.
        Clock { origin: Instant::now().checked_sub(Duration::from_secs(10)).unwrap_or_else(Instant::now) }
    }

    pub(crate) fn now(&self) -> Time {
        self.at(Instant::now())
    }

    pub(crate) fn at(&self, instant: Instant) -> Time {
        Time::ZERO + instant.saturating_duration_since(self.origin)
    }

    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.origin + time.since(Time::ZERO)
    }
}

pub(crate) fn wall() -> WallTime {
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
