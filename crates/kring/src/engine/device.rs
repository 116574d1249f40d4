//! The life of a source: opened, sent, and after it stopped or was switched another one in its place.
//!
//! Guarantee: of a source and the one that follows it at most one is open; the other side is told that a track has ended, and that it
//! goes on.

use super::stopped;
use crate::shared::Shared;
use crate::switch::{Chosen, Slot};
use kring_capture::Consent;
use kring_core::offer::TrackState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A source, what it opens with, and since when its time counts.
pub(super) struct Taken<S: ?Sized> {
    pub(super) source: Box<S>,
    pub(super) consent: Arc<Consent>,
    pub(super) at: Instant,
}

impl<S: ?Sized> Taken<S> {
    fn take_up(&mut self, (source, consent): Chosen<S>) {
        self.source = source;
        self.consent = consent.unwrap_or_else(|| self.consent.clone());
    }
}

/// A thread that sends what a source gives.
pub(super) trait Device {
    /// The track that it sends on.
    const TRACK: u8;
    /// What an app and a person call it.
    const NAME: &'static str;
    /// The source: a microphone, a camera.
    type Source: ?Sized;

    /// Where another source waits to be taken up.
    fn slot(shared: &Shared) -> &Slot<Chosen<Self::Source>>;
    /// Whether the person has muted it.
    fn muted(shared: &Shared) -> &AtomicBool;

    /// What it sends from.
    fn taken(&mut self) -> &mut Taken<Self::Source>;
    /// Opens the source and sends until the call ends or another one waits; else says why it stopped.
    fn send(&mut self, shared: &Shared) -> Option<String>;
    /// Closes the source.
    fn close(&mut self);
}

/// Sends until the call ends.
pub(super) fn run<D: Device>(mut device: D, shared: &Shared) {
    if let Some(next) = D::slot(shared).take() {
        device.taken().take_up(next);
    }
    loop {
        let why = device.send(shared);
        device.close();
        let next = match why {
            Some(why) => another::<D>(why, shared),
            None => D::slot(shared).take(),
        };
        let Some(next) = next else { return };
        device.taken().take_up(next);
        device.taken().at = Instant::now();
    }
}

/// Says why the source stopped, and waits for another one.
fn another<D: Device>(why: String, shared: &Shared) -> Option<Chosen<D::Source>> {
    set_state::<D>(shared, TrackState::Ended);
    stopped(shared, D::NAME, why);
    let next = D::slot(shared).wait(shared, || {})?;
    let muted = D::muted(shared).load(Ordering::Relaxed);
    set_state::<D>(shared, if muted { TrackState::Muted } else { TrackState::Live });
    Some(next)
}

fn set_state<D: Device>(shared: &Shared, state: TrackState) {
    shared.core(|call| call.set_track_state(D::TRACK, state));
    shared.wake.notify_one();
}
