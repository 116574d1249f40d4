//! A clock that goes on while the machine sleeps; tokio's and the standard library's stand still meanwhile on most systems.
//!
//! Guarantee: none about its steps: where the system has no such clock for programs it is the wall clock, which people set.

use std::time::Duration;

/// Time since some moment in the past.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn now() -> Duration {
    let now = nix::time::ClockId::CLOCK_BOOTTIME.now();
    now.map(Duration::from).unwrap_or_default()
}

/// Time since some moment in the past.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn now() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}
