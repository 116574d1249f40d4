//! Callers who do not ring yet: they know no passcode so far, or wait until a person lets them in.
//!
//! Guarantee: the app hears of a caller here only by a [`Knock`], and nothing of the call reaches a caller before it is let in. How
//! many wait and knock is bounded, for each identity and address too; nobody waits longer than it would ring.

use super::Common;
use crate::driver::{self, Established};
use crate::home::Guarded;
use crate::shared::Shared;
use kring_core::call::{Door, DoorEvent};
use kring_core::control::Reason;
use kring_core::handshake::{Pass, Session};
use kring_core::identity::{Fingerprint, PublicIdentity};
use kring_core::lobby::{Lobby, Place};
use kring_core::offer::Offer;
use kring_core::ticket::TicketId;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// Knocks that the app has not looked at yet.
pub(super) const MAX_KNOCKS: usize = 8;
/// The most bytes taken from the stream at once.
const CHUNK: usize = 4096;
/// What the protocol's own time for the door may be exceeded by, say where the caller does not read.
const GRACE: Duration = Duration::from_secs(2);

/// Somebody waits to be let in. Dropping this lets them go.
#[must_use = "dropping a knock refuses it"]
pub struct Knock {
    peer: PublicIdentity,
    name: String,
    from: SocketAddr,
    decide: Option<oneshot::Sender<bool>>,
}

impl Knock {
    /// Who it is, proven by the handshake.
    #[must_use]
    pub fn peer(&self) -> PublicIdentity {
        self.peer
    }

    /// How they call themselves; nobody has checked it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where they are.
    #[must_use]
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// Lets them in: from now on it rings, as with any caller.
    pub fn admit(mut self) {
        self.decide(true);
    }

    /// Lets them go.
    pub fn refuse(self) {}

    /// Waits until they have given up.
    pub async fn given_up(&mut self) {
        match &mut self.decide {
            Some(decide) => decide.closed().await,
            None => std::future::pending().await,
        }
    }

    fn decide(&mut self, admit: bool) {
        if let Some(decide) = self.decide.take() {
            let _ = decide.send(admit);
        }
    }
}

/// All of an endpoint's doors.
pub(crate) struct Doors {
    lobby: Mutex<Lobby>,
    /// Everybody with a ticket waits to be let in.
    always: bool,
    knocks: mpsc::Sender<Knock>,
}

impl Doors {
    pub(super) fn new(always: bool) -> (Doors, mpsc::Receiver<Knock>) {
        let (knocks, knocked) = mpsc::channel(MAX_KNOCKS);
        (Doors { lobby: Mutex::default(), always, knocks }, knocked)
    }

    /// Whether somebody with a ticket that takes no passcode may be answered unseen.
    pub(super) fn are_open(&self) -> bool {
        !self.always
    }

    fn lobby<T>(&self, f: impl FnOnce(&mut Lobby) -> T) -> T {
        f(&mut self.lobby.lock().expect("nothing panics with this lock held"))
    }
}

/// What stands between a proven caller and the bell.
pub(super) fn before(common: &Common, session: &Session) -> Option<Door> {
    let Pass::Ticket(ticket) = session.pass() else { return None };
    let who = session.peer().fingerprint();
    // Whoever is being dialled here is welcome.
    if common.dials.find(&who).is_some() {
        return None;
    }
    match common.home.passcode(ticket, &who) {
        Guarded::By(key) => Some(Door::Passcode(key)),
        Guarded::Closed => Some(Door::Lobby),
        Guarded::No => common.doors.always.then_some(Door::Lobby),
    }
}

/// A place in the lobby, for as long as this is there.
struct Seat<'a> {
    common: &'a Common,
    place: Place,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.common.doors.lobby(|lobby| lobby.leave(self.place));
    }
}

/// Somebody at the door.
struct Waiting<'a> {
    common: &'a Arc<Common>,
    who: Fingerprint,
    ticket: TicketId,
    counting: Option<JoinHandle<bool>>,
    decision: Option<oneshot::Receiver<bool>>,
}

/// Waits until the caller has passed the door; `None` if it does not.
pub(super) async fn passed(common: &Arc<Common>, mut established: Established) -> Option<Established> {
    let (Some(peer), Pass::Ticket(ticket)) = (established.call.peer(), established.call.pass()) else {
        return None;
    };
    let (who, from) = (peer.fingerprint(), established.connection.remote_address());
    let Ok(place) = common.doors.lobby(|lobby| lobby.enter(who, from.ip())) else {
        refuse(common, established, Reason::Busy).await;
        return None;
    };
    let seat = Seat { common, place };
    let mut waiting = Waiting { common, who, ticket, counting: None, decision: None };
    let patience = common.timeouts.ringing + GRACE;
    let passed = timeout(patience, waiting.wait(&mut established)).await.unwrap_or(false);
    drop(seat);
    if passed {
        return Some(established);
    }
    refuse(common, established, Reason::NotAnswered).await;
    None
}

/// Tells the caller how it ended, and lets the connection go.
async fn refuse(common: &Common, mut established: Established, reason: Reason) {
    established.call.decline(reason);
    let _ = driver::run(&Shared::new(common.clock), established, None, Offer::default()).await;
}

impl Waiting<'_> {
    /// Moves bytes until the call rings (true) or is over.
    async fn wait(&mut self, established: &mut Established) -> bool {
        let clock = &self.common.clock;
        loop {
            while let Some(event) = established.call.poll_door() {
                self.event(event, established);
            }
            if let Some(bytes) = established.call.poll_stream()
                && established.send.write_all(&bytes).await.is_err()
            {
                return false;
            }
            while let Some(datagram) = established.call.poll_datagram(clock.now()) {
                if established.connection.send_datagram(datagram).await.is_err() {
                    return false;
                }
            }
            if established.call.is_over() {
                return false;
            }
            if !established.call.is_at_the_door() {
                return true;
            }
            let due = established.call.poll_timeout();
            let due = due.map_or_else(Instant::now, |at| clock.instant(at).into());
            let call = &mut established.call;
            tokio::select! {
                biased;
                datagram = established.connection.read_datagram() => match datagram {
                    Ok(bytes) => call.handle_datagram(clock.now(), &bytes),
                    Err(_) => return false,
                },
                chunk = established.recv.read_chunk(CHUNK, true) => match chunk {
                    Ok(Some(chunk)) => call.handle_stream(clock.now(), &chunk.bytes),
                    Ok(None) | Err(_) => return false,
                },
                counted = counted(&mut self.counting) => call.answer_guess(counted),
                admitted = decided(&mut self.decision) => {
                    if admitted {
                        call.admit(clock.now());
                    } else {
                        call.decline(Reason::Declined);
                    }
                }
                () = sleep_until(due) => call.handle_timeout(clock.now()),
            }
        }
    }

    fn event(&mut self, event: DoorEvent, established: &mut Established) {
        let (home, ticket, who) = (self.common.home.clone(), self.ticket, self.who);
        match event {
            // On a thread where waiting for the disk harms nobody.
            DoorEvent::Guess => {
                self.counting = Some(tokio::task::spawn_blocking(move || home.guess(ticket, &who)));
            }
            DoorEvent::Guessed => {
                drop(tokio::task::spawn_blocking(move || home.refund(ticket, &who)));
            }
            DoorEvent::Knock => self.knock(established),
            DoorEvent::Admitted => {}
        }
    }

    fn knock(&mut self, established: &mut Established) {
        let Some(peer) = established.call.peer() else { return };
        let (from, doors) = (established.connection.remote_address(), &self.common.doors);
        let (decide, decision) = oneshot::channel();
        let name = established.call.peer_offer().name.clone();
        let knock = Knock { peer, name, from, decide: Some(decide) };
        let heard = doors.lobby(|lobby| lobby.knock(self.who, from.ip(), self.common.clock.now())).is_ok()
            && doors.knocks.try_send(knock).is_ok();
        if heard {
            self.decision = Some(decision);
        } else {
            established.call.decline(Reason::Busy);
        }
    }
}

/// What came of counting a guess; never, if none is being counted.
async fn counted(counting: &mut Option<JoinHandle<bool>>) -> bool {
    let Some(running) = counting else { return std::future::pending().await };
    let counted = running.await.unwrap_or(false);
    *counting = None;
    counted
}

/// What a person says; never, if nobody was asked.
async fn decided(decision: &mut Option<oneshot::Receiver<bool>>) -> bool {
    let Some(asked) = decision else { return std::future::pending().await };
    let admitted = asked.await.unwrap_or(false);
    *decision = None;
    admitted
}
