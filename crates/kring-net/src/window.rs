//! QUIC's congestion window as a safety net under Kring's own rate control.
//!
//! Guarantee: never less than ten packets, never more than what was set last (or a first flight, before that), and half
//! of it after persistent congestion, until it is set again.
//!
//! QUIC's controllers see no arrival times and take every loss for congestion, so they are not what decides.

use quinn::congestion::{Controller, ControllerFactory};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Before anything is known: what RFC 9002 allows is ten packets; a handshake with ML-KEM and a first picture need more.
const FIRST: u64 = 32 * 1200;
const PACKETS: u64 = 10;

/// Makes a [`Window`] for each connection.
#[derive(Debug)]
pub(crate) struct Windows;

impl ControllerFactory for Windows {
    fn build(self: Arc<Self>, _: Instant, mtu: u16) -> Box<dyn Controller> {
        let state = State { bytes: AtomicU64::new(FIRST), halved: AtomicBool::new(false) };
        Box::new(Window { state: Arc::new(state), mtu: mtu.into() })
    }
}

#[derive(Debug)]
struct State {
    bytes: AtomicU64,
    halved: AtomicBool,
}

/// One path's window; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    state: Arc<State>,
    mtu: u64,
}

impl Window {
    /// Sets it, in bytes.
    pub(crate) fn set(&self, bytes: u64) {
        self.state.bytes.store(bytes, Ordering::Relaxed);
        self.state.halved.store(false, Ordering::Relaxed);
    }
}

impl Controller for Window {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, persistent: bool, _: u64) {
        if persistent {
            self.state.halved.store(true, Ordering::Relaxed);
        }
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.mtu = mtu.into();
    }

    fn window(&self) -> u64 {
        let bytes = self.state.bytes.load(Ordering::Relaxed);
        let bytes = if self.state.halved.load(Ordering::Relaxed) { bytes / 2 } else { bytes };
        bytes.max(PACKETS * self.mtu)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        FIRST
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_was_set_within_its_bounds() {
        let now = Instant::now();
        let mut made = Arc::new(Windows).build(now, 1200);
        let handle = made.clone_box().into_any().downcast::<Window>().unwrap();
        assert_eq!(made.window(), FIRST);
        handle.set(100_000);
        assert_eq!(made.window(), 100_000);
        made.on_congestion_event(now, now, false, 5000);
        assert_eq!(made.window(), 100_000);
        made.on_congestion_event(now, now, true, 5000);
        assert_eq!(made.window(), 50_000);
        handle.set(1);
        assert_eq!(made.window(), 12_000);
    }
}
