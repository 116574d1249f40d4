//! The app's handle of one call.

use crate::event::{End, Event, Safety};
use crate::media::{CAMERA, MICROPHONE};
use crate::shared::{Shared, Stage};
use crate::stats::Stats;
use kring_core::control::Reason;
use kring_core::identity::PublicIdentity;
use kring_core::offer::{TrackInfo, TrackState};
use kring_core::passcode::Passcode;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinHandle;

/// A call, from dialling or answering to its end.
///
/// Dropping it hangs up at once: devices close, and the other side is told in the background. To wait until that is
/// done, [`hang_up`](Call::hang_up).
///
/// ```no_run
/// # async fn follow(call: kring::Call) {
/// use kring::Event;
///
/// while let Some(event) = call.next_event().await {
///     match event {
///         Event::Code(code) => println!("read this to each other: {code}"),
///         Event::PeerTracks(tracks) => println!("they send {} tracks", tracks.len()),
///         Event::MediaStopped { what, why } => println!("the {what} is gone: {why}"),
///         Event::Ended(end) => println!("{end}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[must_use = "dropping a call hangs up"]
pub struct Call {
    pub(crate) shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl Call {
    pub(crate) fn new(shared: Arc<Shared>, task: JoinHandle<()>) -> Call {
        Call { shared, task: Some(task) }
    }

    /// The next event; `None` after [`Event::Ended`]. At most 256 wait, then the oldest is dropped.
    /// Dropping the future loses nothing.
    pub async fn next_event(&self) -> Option<Event> {
        self.shared.events.next().await
    }

    /// Waits until there is a connection with the other side, or the call is over: at a call of
    /// [`answer_next`](crate::Endpoint::answer_next), until somebody calls. Dropping the future changes nothing.
    pub async fn begun(&self) {
        let _ = self.shared.stage().wait_for(|stage| *stage != Stage::Dialling).await;
    }

    /// Waits until the call is answered and media flows. Dropping the future changes nothing.
    ///
    /// # Errors
    /// How it ended, if it did before.
    pub async fn connected(&self) -> Result<Safety, End> {
        let mut stage = self.shared.stage();
        let reached = stage.wait_for(|s| matches!(s, Stage::Talking | Stage::Over(_))).await;
        match reached.as_deref() {
            Ok(Stage::Talking) => Ok(Safety::CURRENT),
            Ok(Stage::Over(end)) => Err(end.clone()),
            _ => Err(End::Vanished),
        }
    }

    /// Waits until the call is over and says how it ended. Dropping the future changes nothing.
    pub async fn ended(&self) -> End {
        let mut stage = self.shared.stage();
        match stage.wait_for(|s| matches!(s, Stage::Over(_))).await.as_deref() {
            Ok(Stage::Over(end)) => end.clone(),
            _ => End::Vanished,
        }
    }

    /// Hangs up and waits until the other side was told (half a second at most), devices are closed and files whole.
    pub async fn hang_up(self) {
        self.end(Reason::HungUp).await;
    }

    /// Like [`hang_up`](Call::hang_up), saying that the program is ending.
    pub async fn going_away(self) {
        self.end(Reason::GoingAway).await;
    }

    /// Begins to hang up and does not wait: devices close at once, events go on until [`Event::Ended`]. For a call that several
    /// parts of a program hold.
    pub fn begin_hang_up(&self) {
        self.shared.request_end(Reason::HungUp);
    }

    /// Like [`begin_hang_up`](Call::begin_hang_up), saying that the program is ending.
    pub fn begin_going_away(&self) {
        self.shared.request_end(Reason::GoingAway);
    }

    async fn end(mut self, reason: Reason) {
        self.shared.request_end(reason);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }

    /// Gives the callee the passcode that goes with the ticket, at once or when it is asked for
    /// ([`Event::PasscodeWanted`]). There is one try in a call; whoever dials again has another.
    pub fn enter_passcode(&self, passcode: Passcode) {
        *self.shared.passcode.lock().expect("nothing panics with this lock held") = Some(passcode);
        self.shared.wake.notify_one();
    }

    /// Mutes or unmutes this side's microphone; the other side is told.
    pub fn mute_microphone(&self, muted: bool) {
        self.shared.microphone_muted.store(muted, Ordering::Relaxed);
        self.tell(MICROPHONE, muted);
    }

    /// Whether this side's microphone is muted.
    #[must_use]
    pub fn is_microphone_muted(&self) -> bool {
        self.shared.microphone_muted.load(Ordering::Relaxed)
    }

    /// Switches this side's camera off or on; the other side is told.
    pub fn mute_camera(&self, muted: bool) {
        self.shared.camera_muted.store(muted, Ordering::Relaxed);
        self.shared.camera_keyframe.store(true, Ordering::Relaxed);
        self.tell(CAMERA, muted);
    }

    /// Whether this side's camera is off.
    #[must_use]
    pub fn is_camera_muted(&self) -> bool {
        self.shared.camera_muted.load(Ordering::Relaxed)
    }

    fn tell(&self, track: u8, muted: bool) {
        let state = if muted { TrackState::Muted } else { TrackState::Live };
        self.shared.core(|call| call.set_track_state(track, state));
        self.shared.wake.notify_one();
    }

    /// Where the other side is; `None` until there is a connection.
    #[must_use]
    pub fn from(&self) -> Option<SocketAddr> {
        self.shared.from.get().copied()
    }

    /// Who is on the other side, proven by the handshake; `None` until then.
    #[must_use]
    pub fn peer(&self) -> Option<PublicIdentity> {
        self.shared.core(|call| call.peer()).flatten()
    }

    /// How the other side calls itself (unverified), or nothing.
    #[must_use]
    pub fn peer_name(&self) -> String {
        self.shared.core(|call| call.peer_offer().name.clone()).unwrap_or_default()
    }

    /// The other side's tracks.
    #[must_use]
    pub fn peer_tracks(&self) -> Vec<TrackInfo> {
        self.shared.core(|call| call.peer_offer().tracks.clone()).unwrap_or_default()
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.shared)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.task.is_some() {
            self.shared.request_end(Reason::HungUp);
        }
    }
}
