//! The endpoint's one clock: every time that goes into the core comes from here.

use kring_core::time::{Time, WallTime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    /// What it shows at `origin`.
    shows: Duration,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        // Times somewhat before the start (a block captured just before) must not wrap.
        Clock::showing(Duration::from_secs(10))
    }

    /// A clock that shows `shows` now.
    pub(crate) fn showing(shows: Duration) -> Clock {
        Clock { origin: now(), shows }
    }

    pub(crate) fn now(&self) -> Time {
        self.at(now())
    }

    pub(crate) fn at(&self, instant: Instant) -> Time {
        let before = self.origin.saturating_duration_since(instant);
        Time::ZERO + self.shows + instant.saturating_duration_since(self.origin) - before
    }

    pub(crate) fn instant(&self, time: Time) -> Instant {
        let since = time.since(Time::ZERO);
        match since.checked_sub(self.shows) {
            Some(after) => self.origin + after,
            None => self.origin.checked_sub(self.shows - since).unwrap_or(self.origin),
        }
    }
}

/// tokio's clock is the system's, unless a simulation has paused it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) fn wall() -> WallTime {
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
