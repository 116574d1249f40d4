//! What the driver, the media threads and the app's handle of one call have in common.
//!
//! Guarantee: the protocol's state is locked for microseconds only, never while waiting for anything.

use crate::clock::Clock;
use crate::event::{End, Event, EventQueue};
use crate::media::Media;
use crate::reach::Path;
use crate::switch::Switches;
use kring_core::call::{Call, Playout};
use kring_core::control::Reason;
use kring_core::passcode::Passcode;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How far a call has come, for those who wait for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    Dialling,
    /// The handshake is done: it rings.
    Established,
    Talking,
    Over(End),
}

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) events: EventQueue,
    core: Mutex<Option<Box<Call>>>,
    /// Callee: what the app answered with, on its way to the driver.
    pub(crate) answer: Mutex<Option<Box<Media>>>,
    /// Caller: what the person has typed, until it is asked for.
    pub(crate) passcode: Mutex<Option<Passcode>>,
    stage: watch::Sender<Stage>,
    /// Where the other side is.
    pub(crate) from: OnceLock<SocketAddr>,
    /// The driver has something to do.
    pub(crate) wake: Notify,
    /// Datagrams wait.
    pub(crate) outgoing: Notify,
    /// The app wants it to end, possibly before there is a core.
    pub(crate) hang_up: Notify,
    wanted_end: Mutex<Option<Reason>>,
    /// Media threads end.
    pub(crate) stop: AtomicBool,
    pub(crate) camera_keyframe: AtomicBool,
    pub(crate) microphone_muted: AtomicBool,
    pub(crate) camera_muted: AtomicBool,
    pub(crate) switches: Switches,
    pub(crate) played: Played,
    pub(crate) spoken: Spoken,
    watched: Mutex<Watched>,
    filmed: Mutex<Filmed>,
    /// Whether packets go through a relay.
    relayed: AtomicBool,
    /// The way has changed: what follows from it is to be set anew.
    pub(crate) moved: AtomicBool,
    /// Bytes of pictures on their way to the thread that shows them.
    pub(crate) picture_bytes: AtomicUsize,
}

/// How this side's voice is sent now.
#[derive(Default)]
pub(crate) struct Spoken {
    pub(crate) duration_us: AtomicU64,
    pub(crate) transmissions: AtomicU64,
}

/// Counted by the threads that play and show.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) audio_samples: AtomicU64,
    pub(crate) concealed_samples: AtomicU64,
    pub(crate) inserted_samples: AtomicU64,
    pub(crate) removed_samples: AtomicU64,
    /// How long sound waits before it is played, and how long it has to, in µs.
    pub(crate) delay_us: AtomicU64,
    pub(crate) target_us: AtomicU64,
    pub(crate) pictures: AtomicU64,
    /// From capture to ear between the two ends' clocks, in µs; 0 while there is no sound.
    lag_us: AtomicI64,
}

impl Played {
    /// From capture to ear, between the two ends' clocks, in µs.
    pub(crate) fn lag(&self) -> Option<i64> {
        Some(self.lag_us.load(Ordering::Relaxed)).filter(|lag| *lag != 0)
    }

    pub(crate) fn set_lag(&self, lag: Option<i64>) {
        self.lag_us.store(lag.unwrap_or(0), Ordering::Relaxed);
    }
}

/// The peer's pictures, counted by the thread that shows them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watched {
    pub(crate) received: u64,
    pub(crate) decoded: u64,
    pub(crate) dropped: u64,
    pub(crate) losses: u64,
    pub(crate) per_second: f64,
    pub(crate) freezes: u64,
    pub(crate) frozen: Duration,
    pub(crate) size: (u32, u32),
}

/// This side's pictures, counted by the thread that sends them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filmed {
    pub(crate) encoded: u64,
    pub(crate) keyframes: u64,
    pub(crate) size: (u32, u32),
    /// The encoder gets less than it may.
    pub(crate) limited: bool,
}

impl Shared {
    pub(crate) fn new(clock: Clock) -> Arc<Shared> {
        Arc::new(Shared {
            clock,
            events: EventQueue::default(),
            core: Mutex::new(None),
            answer: Mutex::new(None),
            passcode: Mutex::new(None),
            stage: watch::Sender::new(Stage::Dialling),
            from: OnceLock::new(),
            wake: Notify::new(),
            outgoing: Notify::new(),
            hang_up: Notify::new(),
            wanted_end: Mutex::new(None),
            stop: AtomicBool::new(false),
            camera_keyframe: AtomicBool::new(false),
            microphone_muted: AtomicBool::new(false),
            camera_muted: AtomicBool::new(false),
            switches: Switches::default(),
            played: Played::default(),
            spoken: Spoken::default(),
            watched: Mutex::default(),
            filmed: Mutex::default(),
            relayed: AtomicBool::new(false),
            moved: AtomicBool::new(false),
            picture_bytes: AtomicUsize::new(0),
        })
    }

    /// Does something with the protocol's state, if the call has come that far.
    pub(crate) fn core<T>(&self, f: impl FnOnce(&mut Call) -> T) -> Option<T> {
        self.core.lock().expect("nothing panics with this lock held").as_deref_mut().map(f)
    }

    /// Puts the protocol's state in place; an end that was wanted before there was one takes effect now.
    pub(crate) fn set_core(&self, call: Box<Call>) {
        *self.core.lock().expect("nothing panics with this lock held") = Some(call);
        let wanted = *self.wanted_end.lock().expect("nothing panics with this lock held");
        if let Some(reason) = wanted {
            self.core(|call| call.hang_up(reason));
        }
    }

    /// The codec of one of the peer's tracks as announced; empty if there is no such track.
    pub(crate) fn peer_codec(&self, track: u8) -> String {
        let named = |call: &mut Call| {
            call.peer_offer().tracks.iter().find(|t| t.id == track).map(|t| t.codec.clone())
        };
        self.core(named).flatten().unwrap_or_default()
    }

    pub(crate) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.send_if_modified(|old| {
            let over = matches!(old, Stage::Over(_));
            if !over {
                *old = stage;
            }
            !over
        });
    }

    /// Ends it for the app: the last event, and everyone who waits is told.
    pub(crate) fn over(&self, end: End) {
        self.stop.store(true, Ordering::Relaxed);
        self.switches.clear();
        self.events.push(Event::Ended(end.clone()));
        self.set_stage(Stage::Over(end));
    }

    /// Asks for the end; media stops at once.
    pub(crate) fn request_end(&self, reason: Reason) {
        self.stop.store(true, Ordering::Relaxed);
        // Noted before the state is looked for, so that whoever puts it in place sees this.
        *self.wanted_end.lock().expect("nothing panics with this lock held") = Some(reason);
        self.core(|call| call.hang_up(reason));
        self.hang_up.notify_one();
        self.wake.notify_one();
    }

    /// How packets get to the other side.
    pub(crate) fn path(&self) -> Path {
        if self.relayed.load(Ordering::Relaxed) { Path::Relayed } else { Path::Direct }
    }

    pub(crate) fn set_path(&self, path: Path) {
        self.relayed.store(path == Path::Relayed, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Reads or changes what is counted of the peer's pictures.
    pub(crate) fn watched<T>(&self, f: impl FnOnce(&mut Watched) -> T) -> T {
        f(&mut self.watched.lock().expect("nothing panics with this lock held"))
    }

    /// Reads or changes what is counted of this side's pictures.
    pub(crate) fn filmed<T>(&self, f: impl FnOnce(&mut Filmed) -> T) -> T {
        f(&mut self.filmed.lock().expect("nothing panics with this lock held"))
    }

    pub(crate) fn playout(&self) -> Playout {
        let ms = |samples: &AtomicU64| samples.load(Ordering::Relaxed) / 48;
        let mut playout = Playout::default();
        playout.audio_played_ms = ms(&self.played.audio_samples);
        playout.audio_concealed_ms = ms(&self.played.concealed_samples);
        playout.audio_delay_us = self.played.delay_us.load(Ordering::Relaxed);
        playout.frozen_ms = self.watched(|watched| watched.frozen.as_millis() as u64);
        playout.pictures_shown = self.played.pictures.load(Ordering::Relaxed);
        playout
    }
}
