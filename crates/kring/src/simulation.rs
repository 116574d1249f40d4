//! What a simulation puts in the place of network, clock, randomness and devices; for `kring-sim`.
//!
//! Guarantee: all else is what every call runs: dialling, answering, driver, QUIC, events, ends.
//!
//! tokio's clock has to be paused. Media threads would not notice, so model devices are run by a task, at the moments
//! that they ask for.
#![allow(missing_docs)]

use crate::shared::Shared;
use kring_core::call::{Call, IncomingFrame, Playout};
use kring_core::crypto::Provider;
use kring_core::offer::Offer;
use kring_core::time::Time;
pub use kring_net::SimulatedSocket as Socket;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

/// The ground that an endpoint stands on.
pub struct Simulation {
    pub socket: Arc<dyn Socket>,
    pub provider: Arc<dyn Provider>,
    /// Of what QUIC draws by itself.
    pub seed: [u8; 32],
    /// What the endpoint's clock shows when it is made.
    pub clock: Duration,
}

/// What the app and the peer want of the devices.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub microphone_muted: bool,
    pub camera_muted: bool,
    /// The next picture has to be a keyframe.
    pub keyframe: bool,
}

/// What running the devices came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// What was played and shown so far.
    pub playout: Playout,
    /// Whether the peer was asked for a keyframe.
    pub asked: bool,
}

/// All devices of one side of a call. Times are the endpoint's.
pub trait Devices: Send + 'static {
    /// The call is answered.
    fn start(&mut self, now: Time);
    /// When [`run`](Devices::run) is due next.
    fn due(&self) -> Time;
    /// Takes an opened frame.
    fn take(&mut self, now: Time, frame: IncomingFrame);
    /// Captures, plays and shows what is due.
    fn run(&mut self, now: Time, call: &mut Call, wanted: Wanted) -> Done;
}

pub(crate) struct Simulated {
    pub(crate) offer: Offer,
    pub(crate) devices: Box<dyn Devices>,
}

/// The devices of a connected call, and the task that runs them.
pub(crate) struct Running {
    shared: Arc<Shared>,
    devices: Arc<Mutex<Box<dyn Devices>>>,
    taken: Arc<Notify>,
    task: AbortHandle,
}

impl Running {
    pub(crate) fn start(shared: &Arc<Shared>, mut devices: Box<dyn Devices>) -> Running {
        devices.start(shared.clock.now());
        let devices = Arc::new(Mutex::new(devices));
        let taken = Arc::new(Notify::new());
        let task = tokio::spawn(run(shared.clone(), devices.clone(), taken.clone())).abort_handle();
        Running { shared: shared.clone(), devices, taken, task }
    }

    pub(crate) fn take(&self, frame: IncomingFrame) {
        self.devices.lock().expect("nothing panics with this lock held").take(self.shared.clock.now(), frame);
        self.taken.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>, devices: Arc<Mutex<Box<dyn Devices>>>, taken: Arc<Notify>) {
    loop {
        let due = devices.lock().expect("nothing panics with this lock held").due();
        tokio::select! {
            () = taken.notified() => {}
            () = sleep_until(shared.clock.instant(due).into()) => {}
        }
        if shared.stopped() {
            return;
        }
        let wanted = Wanted {
            microphone_muted: shared.microphone_muted.load(Ordering::Relaxed),
            camera_muted: shared.camera_muted.load(Ordering::Relaxed),
            keyframe: shared.camera_keyframe.swap(false, Ordering::Relaxed),
        };
        let mut devices = devices.lock().expect("nothing panics with this lock held");
        let now = shared.clock.now();
        let done = shared.core(|call| (!call.is_over()).then(|| devices.run(now, call, wanted))).flatten();
        let Some(done) = done else { return };
        let played = &shared.played;
        played.audio_samples.store(done.playout.audio_played_ms * 48, Ordering::Relaxed);
        played.concealed_samples.store(done.playout.audio_concealed_ms * 48, Ordering::Relaxed);
        played.pictures.store(done.playout.pictures_shown, Ordering::Relaxed);
        shared.outgoing.notify_one();
        if done.asked {
            shared.wake.notify_one();
        }
    }
}
