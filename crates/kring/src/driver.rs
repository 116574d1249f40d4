//! Runs one established call on tokio: moves bytes between QUIC and the protocol, and frames to the media threads.
//!
//! Guarantee: whatever way it ends, the media threads are stopped, the other side is told while it can be, and the
//! app gets exactly one `Ended`.

use crate::dial::RelayDial;
use crate::endpoint::Common;
use crate::engine::Engine;
use crate::event::{End, Event, Safety};
use crate::media::Media;
use crate::peer::{Permit, Who};
use crate::people::People;
use crate::reach::Reach;
use crate::shared::{Shared, Stage};
use kring_core::call as core;
use kring_core::control::Reason;
use kring_core::handshake::{Pass, Role};
use kring_core::offer::Offer;
use kring_core::verify::Pin;
use kring_net::{Closed, Connection, RecvStream, SendStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// How long the last word may take to be acknowledged before the connection is closed all the same.
const LAST_WORD: Duration = Duration::from_millis(500);
/// Control messages that wait because the peer does not read; more, and it is up to no good.
const MAX_UNREAD: usize = 1024;
/// The most bytes taken from the stream at once.
const CHUNK: usize = 16 << 10;

/// A connection whose handshake is done.
pub(crate) struct Established {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
    /// On the heap: futures hold it.
    pub(crate) call: Box<core::Call>,
    /// Whom this side takes the other for, if it knows; else what is remembered of the identity.
    pub(crate) expected: Option<Pin>,
    /// Caller: a relay of the ticket that could serve besides.
    pub(crate) relay: Option<RelayDial>,
    pub(crate) common: Arc<Common>,
}

/// What came of a call.
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// If it never was answered: what it would have sent, to be used for another.
    pub(crate) unused: Option<Box<Media>>,
}

struct Driver {
    shared: Arc<Shared>,
    connection: Connection,
    to_stream: Option<mpsc::Sender<Vec<u8>>>,
    /// Caller: what it offered. Callee: what it answered.
    sent: Offer,
    /// Caller: the answer was there before `confirm` was sent.
    answered_ahead: bool,
    media: Option<Box<Media>>,
    /// What waits until a person accepts a changed key.
    held: Option<Held>,
    /// The callee wants a passcode, and there is none yet.
    passcode_wanted: bool,
    engine: Option<Engine>,
    end: Option<End>,
    people: Option<People>,
    reach: Reach,
    common: Arc<Common>,
}

enum Held {
    /// Callee: the app's answer.
    Answer(Box<Media>),
    /// The start of media in a call that is answered.
    Start,
}

/// Runs the call to its end. The caller's `media` was offered as `offer`; the callee's comes with the app's answer, or
/// with `media` if it is answered in advance.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    established: Established,
    media: Option<Box<Media>>,
    offer: Offer,
) -> Outcome {
    let Established { connection, send, mut recv, mut call, expected, relay, common } = established;
    let role = call.role();
    if let Some(pin) = expected.or_else(|| call.peer().and_then(|peer| common.home.pin(&peer))) {
        call.expect(Some(pin));
    }
    let answered = call.role() == Role::Caller || call.is_talking();
    let answered_ahead = call.role() == Role::Caller && call.is_talking();
    let _ = shared.from.set(connection.remote_address());
    shared.set_core(call);
    shared.set_stage(Stage::Established);
    let (to_stream, from_driver) = mpsc::channel(MAX_UNREAD);
    let writer = tokio::spawn(write(send, from_driver));
    let sender = tokio::spawn(send_datagrams(shared.clone(), connection.clone()));
    let mut driver = Driver {
        shared: shared.clone(),
        connection: connection.clone(),
        to_stream: Some(to_stream),
        sent: offer,
        answered_ahead,
        media: None,
        held: None,
        passcode_wanted: false,
        engine: None,
        end: None,
        reach: Reach::new(&common, shared, &connection, role, relay),
        people: People::new(&common, shared, connection.remote_address()),
        common,
    };
    match media {
        Some(media) if !answered => driver.answer(media),
        media => driver.media = media,
    }
    driver.flush();
    while driver.end.is_none() {
        driver.step(&mut recv).await;
        driver.flush();
    }
    driver.finish(writer, sender).await
}

impl Driver {
    /// Waits for one thing to happen and passes it to the protocol.
    async fn step(&mut self, recv: &mut RecvStream) {
        let (shared, connection) = (&*self.shared.clone(), self.connection.clone());
        self.reach.tell();
        let due = shared.core(|call| call.poll_timeout()).flatten();
        let due = due.map_or_else(|| Instant::now() + LAST_WORD, |t| shared.clock.instant(t).into());
        // Each of these may be dropped at any point without losing anything.
        tokio::select! {
            biased;
            datagram = connection.read_datagram() => match datagram {
                Ok(bytes) => {
                    shared.core(|call| call.handle_datagram(shared.clock.now(), &bytes));
                }
                Err(closed) => lost(shared, closed),
            },
            chunk = recv.read_chunk(CHUNK, true) => match chunk {
                Ok(Some(chunk)) => {
                    shared.core(|call| call.handle_stream(shared.clock.now(), &chunk.bytes));
                }
                // A finished or broken stream is followed by the connection's end.
                Ok(None) | Err(_) => lost(shared, closed_soon(&connection).await),
            },
            () = shared.wake.notified() => {
                let answer = shared.answer.lock().expect("nothing panics with this lock held").take();
                if let Some(media) = answer {
                    self.answer(media);
                }
                self.release();
                self.enter_passcode();
            }
            step = self.reach.next() => self.reach.step(step),
            () = sleep_until(due) => {
                let playout = shared.playout();
                shared.core(|call| {
                    call.set_playout(playout);
                    call.handle_timeout(shared.clock.now());
                });
            }
        }
    }

    fn answer(&mut self, media: Box<Media>) {
        let shared = self.shared.clone();
        if self.permit().is_none() {
            self.held = Some(Held::Answer(media));
            return;
        }
        let offer = shared.core(|call| media.offer(Some(call.peer_offer()))).unwrap_or_default();
        self.sent = offer.clone();
        self.media = Some(media);
        shared.core(|call| call.answer(shared.clock.now(), &offer));
    }

    /// What media takes, unless it is held.
    fn permit(&self) -> Option<Permit> {
        self.shared.core(|call| Permit::of(call)).flatten()
    }

    /// Gives the callee the passcode, if it wants one and there is one; says whether there is one.
    fn enter_passcode(&mut self) -> bool {
        let shared = self.shared.clone();
        if !self.passcode_wanted {
            return true;
        }
        let passcode = shared.passcode.lock().expect("nothing panics with this lock held").take();
        let (Some(passcode), Some(Pass::Ticket(ticket))) = (passcode, shared.core(|call| call.pass())) else {
            return false;
        };
        self.passcode_wanted = false;
        // It takes some tenths of a second, on purpose.
        drop(tokio::task::spawn_blocking(move || {
            let key = passcode.key(ticket);
            shared.core(|call| match key {
                Ok(key) => call.enter_passcode(&key),
                Err(_) => call.hang_up(Reason::GoingAway),
            });
            shared.wake.notify_one();
        }));
        true
    }

    /// Goes on with what waited for a person, once one has accepted.
    fn release(&mut self) {
        if self.held.is_none() || self.permit().is_none() {
            return;
        }
        match self.held.take() {
            Some(Held::Answer(media)) => self.answer(media),
            Some(Held::Start) => self.answered(),
            None => {}
        }
    }

    /// Passes on all that the protocol has to say.
    fn flush(&mut self) {
        let shared = self.shared.clone();
        loop {
            let (bytes, event, frame) = shared
                .core(|call| {
                    // Frames that overtook the answer come out with it; the engine that takes them starts at that event.
                    let event = call.poll_event();
                    let frame = if event.is_none() { call.poll_frame() } else { None };
                    (call.poll_stream(), event, frame)
                })
                .unwrap_or_default();
            let done = bytes.is_none() && event.is_none() && frame.is_none();
            if let (Some(bytes), Some(to_stream)) = (bytes, &self.to_stream)
                && let Err(mpsc::error::TrySendError::Full(_)) = to_stream.try_send(bytes)
            {
                // The last word goes with the connection's close.
                self.to_stream = None;
                shared.core(|call| call.hang_up(Reason::ProtocolError));
            }
            if let (Some(frame), Some(engine)) = (frame, &self.engine) {
                engine.take(frame);
            }
            if let Some(event) = event {
                self.event(event);
            }
            if done {
                break;
            }
        }
        // Reports are queued by the protocol itself.
        shared.outgoing.notify_one();
    }

    fn event(&mut self, event: core::Event) {
        let shared = self.shared.clone();
        let event = match event {
            core::Event::Ringing => {
                self.confirmed();
                Event::Ringing
            }
            core::Event::PasscodeWanted => {
                self.passcode_wanted = true;
                if self.enter_passcode() {
                    return;
                }
                Event::PasscodeWanted
            }
            core::Event::Waiting => Event::Waiting,
            core::Event::Answered => return self.answered(),
            core::Event::Proven => {
                shared.core(|call| {
                    let pin = call.peer().and_then(|peer| self.common.home.pin(&peer));
                    call.expect(pin);
                });
                shared.events.push(Event::Answered);
                return self.connected();
            }
            core::Event::Tracks(tracks) => Event::PeerTracks(tracks),
            core::Event::TrackState { track, state } => Event::PeerTrackState { track, state },
            core::Event::KeyframeRequested { .. } => {
                shared.camera_keyframe.store(true, Ordering::Relaxed);
                return;
            }
            core::Event::KeyChanged(_) => match shared.core(|call| Who::of(call)).flatten() {
                Some(Who::KeyChanged(peer)) => Event::KeyChanged(peer),
                _ => return,
            },
            core::Event::Code(code) => Event::Code(code),
            core::Event::CodeFailed(failure) => Event::CodeFailed(failure),
            core::Event::ContactKey => {
                if let Some(people) = &mut self.people {
                    people.agreed();
                }
                return;
            }
            core::Event::Reach(addresses) => {
                if let Some(people) = &mut self.people {
                    people.reached(addresses);
                }
                return;
            }
            core::Event::Ways(ways) => return self.reach.peer_ways(*ways),
            core::Event::Session(name) => return self.reach.peer_session(&name),
            core::Event::Relay(hint) => {
                if let Some(people) = &mut self.people {
                    people.relayed(*hint);
                }
                return;
            }
            core::Event::PeerRecording(on) => Event::PeerRecording(on),
            core::Event::Interrupted => Event::Interrupted,
            core::Event::Resumed => Event::Resumed,
            core::Event::Ended { reason, by } => {
                self.end.get_or_insert(End::new(reason, by));
                return;
            }
            _ => return,
        };
        shared.events.push(event);
    }

    fn answered(&mut self) {
        let shared = self.shared.clone();
        // Given up in this very moment: no device opens any more.
        if shared.stopped() {
            return;
        }
        let Some(permit) = self.permit() else {
            self.held = Some(Held::Start);
            return;
        };
        let Some(media) = self.media.take() else { return };
        if media.recording {
            shared.core(|call| call.announce_recording(true));
        }
        shared.core(|call| call.set_max_rate(media.max_rate));
        // The caller offered its preferred codecs before it knew what the callee receives; a callee who answers ahead has
        // those that everyone receives.
        let Some((role, proven, wanted)) =
            shared.core(|call| (call.role(), call.peer().is_some(), media.offer(Some(call.peer_offer()))))
        else {
            return;
        };
        if role == Role::Caller && wanted.tracks != self.sent.tracks {
            shared.core(|call| call.announce_tracks(&wanted));
            self.sent = wanted;
        } else if !proven {
            self.sent = media.offer_ahead().unwrap_or_default();
            shared.events.push(Event::AnsweredAhead);
        }
        if proven {
            shared.events.push(Event::Answered);
        }
        self.engine = Some(Engine::start(&shared, *media, &self.sent, permit));
        if proven {
            self.connected();
        }
    }

    /// What came answers `confirm`, or is it; but not where this side was answered ahead, before it had sent its own.
    fn confirmed(&self) {
        if !self.answered_ahead {
            self.connection.answered();
        }
    }

    /// It is known who the other side is, and media flows.
    fn connected(&mut self) {
        self.confirmed();
        self.shared.set_stage(Stage::Talking);
        self.shared.events.push(Event::Connected(Safety::CURRENT));
        if let Some(people) = &mut self.people {
            people.connected();
        }
    }

    async fn finish(mut self, writer: JoinHandle<()>, sender: JoinHandle<()>) -> Outcome {
        let end = self.end.take().unwrap_or(End::Vanished);
        sender.abort();
        let stopping = self.engine.take().map(|engine| tokio::task::spawn_blocking(|| engine.stop()));
        // The hang-up is on the stream: let it arrive, then close.
        drop(self.to_stream.take());
        let _ = timeout(LAST_WORD, writer).await;
        self.connection.close(close_code(&end));
        if let Some(stopping) = stopping {
            let _ = stopping.await;
        }
        if let Some(people) = self.people.take() {
            people.finish().await;
        }
        Outcome { end, unused: self.media.take() }
    }
}

fn close_code(end: &End) -> u64 {
    match end {
        End::Busy => Reason::Busy,
        End::Declined { .. } => Reason::Declined,
        End::BothDialled => Reason::BothDialled,
        End::NotAnswered => Reason::NotAnswered,
        End::NotAdmitted => Reason::NotAdmitted,
        End::GoingAway { .. } => Reason::GoingAway,
        End::ProtocolError { .. } => Reason::ProtocolError,
        End::Vanished => Reason::Vanished,
        _ => Reason::HungUp,
    }
    .code()
}

async fn closed_soon(connection: &Connection) -> Closed {
    timeout(LAST_WORD, connection.closed()).await.unwrap_or(Closed::Broken)
}

fn lost(shared: &Shared, closed: Closed) {
    let reason = match closed {
        Closed::ByPeer(code) => Some(Reason::from_code(code)),
        Closed::Locally => Some(Reason::GoingAway),
        Closed::Broken => None,
    };
    shared.core(|call| match (closed, reason) {
        (Closed::Locally, _) => call.hang_up(Reason::GoingAway),
        (_, reason) => call.connection_lost(reason),
    });
}

/// Writes to the stream in order; when the driver lets go of it, finishes it and waits until all has arrived.
async fn write(mut send: SendStream, mut from_driver: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = from_driver.recv().await {
        if send.write_all(&bytes).await.is_err() {
            return;
        }
    }
    if send.finish().is_ok() {
        let _ = send.stopped().await;
    }
}

/// Sends datagrams one by one when it is their turn and QUIC has room, always the most urgent next.
async fn send_datagrams(shared: Arc<Shared>, connection: Connection) {
    let mut window = 0;
    loop {
        while let Some(datagram) = shared.core(|call| call.poll_datagram(shared.clock.now())).flatten() {
            if connection.send_datagram(datagram).await.is_err() {
                return;
            }
        }
        let (next, wanted) =
            shared.core(|call| (call.next_datagram(), call.window())).unwrap_or((None, window));
        // QUIC may have begun a path of its own, with a window of its own.
        if wanted != window || shared.moved.swap(false, Ordering::Relaxed) {
            window = wanted;
            connection.set_window(window);
        }
        let turn = async {
            match next {
                Some(at) => sleep_until(shared.clock.instant(at).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.outgoing.notified() => {}
            () = turn => {}
        }
    }
}
