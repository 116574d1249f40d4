//! One session with a relay as a way for packets.
//!
//! Guarantee: the relay is told where this side is whenever that may have changed, until it answers; an answer that the
//! session's secret does not prove changes nothing; a session that came about over TCP goes by UDP as soon as that answers.

use super::socket::Switch;
use crate::relay::shim::{self, Packet};
use crate::relay::{Binding, Client, Resume, Session, Token, Way};
use aws_lc_rs::digest;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

/// So many bindings without an answer, and the relay does not know the session, or is not there: 1.5 s.
const PATIENCE: u32 = 5;
/// Answers that wait; there is one at a time.
const ANSWERS: usize = 4;

/// Where packets for the other end of a session go.
#[derive(Clone)]
pub(crate) struct Lane {
    relay: SocketAddr,
    token: Token,
    /// Where UDP does not get through, or has not yet.
    tcp: Option<Client>,
    /// UDP gets through after all.
    udp: Arc<AtomicBool>,
    answers: mpsc::Sender<Vec<u8>>,
    /// Nothing has come for a while.
    doubts: Arc<Notify>,
}

impl Lane {
    pub(crate) fn relay(&self) -> SocketAddr {
        self.relay
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Over TCP, if that is how packets go.
    pub(crate) fn tcp(&self) -> Option<&Client> {
        self.tcp.as_ref().filter(|_| !self.udp.load(Ordering::Relaxed))
    }

    /// A relay's answer to a binding.
    pub(crate) fn bound(&self, datagram: &[u8]) {
        let _ = self.answers.try_send(datagram.to_vec());
    }

    /// Nothing comes by it: has it found out whether the relay still knows it.
    pub(crate) fn doubt(&self) {
        self.doubts.notify_one();
    }

    /// Of no session, for tests and fuzzers.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of_test(relay: SocketAddr, token: Token) -> Lane {
        Lane {
            relay,
            token,
            tcp: None,
            udp: Arc::default(),
            answers: mpsc::channel(1).0,
            doubts: Arc::default(),
        }
    }
}

/// What both ends call a session, and nobody else can: its name in the call that it is for.
pub(crate) fn session_name(session: &Session) -> [u8; 16] {
    name_of(&session.handle.resume)
}

pub(crate) fn name_of(resume: &Resume) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"kring session");
    context.update(&*resume.0);
    context.finish().as_ref()[..16].try_into().expect("16 of 32 bytes")
}

/// A lane for a session, and the task that keeps it bound until `alive` is gone.
pub(crate) fn open(
    switch: &Arc<Switch>,
    session: &Session,
    client: &Client,
    alive: Weak<()>,
    suspect: Arc<Notify>,
) -> Lane {
    let (answers, answered) = mpsc::channel(ANSWERS);
    let relay = super::table::key(session.relay);
    let tcp = (session.way == Way::Tcp).then(|| client.clone());
    let (token, doubts) = (session.handle.token, Arc::default());
    let lane = Lane { relay, token, tcp, udp: Arc::default(), answers, doubts };
    let binding = Binding::new(session.handle.clone(), Instant::now());
    tokio::spawn(keep(Arc::downgrade(switch), lane.clone(), binding, answered, alive, suspect));
    lane
}

async fn keep(
    switch: Weak<Switch>,
    lane: Lane,
    mut binding: Binding,
    mut answered: mpsc::Receiver<Vec<u8>>,
    alive: Weak<()>,
    suspect: Arc<Notify>,
) {
    let Some(mut moves) = switch.upgrade().map(|switch| switch.moves()) else { return };
    // Where the control connection comes from need not be where packets come from; and where TCP was quicker, UDP may still do.
    binding.moved(Instant::now());
    let mut unanswered = 0;
    while alive.strong_count() > 0 {
        tokio::select! {
            () = sleep_until(binding.due()), if lane.tcp().is_none() || unanswered < PATIENCE => {
                let Some(switch) = switch.upgrade() else { return };
                if let Some(packet) = binding.poll(Instant::now()) {
                    switch.send(lane.relay, None, &packet);
                    unanswered += 1;
                }
                if unanswered == PATIENCE && lane.tcp().is_none() {
                    suspect.notify_one();
                }
            }
            Some(datagram) = answered.recv() => {
                if let Some(Packet::Bound(bound)) = shim::parse(&datagram)
                    && let Some(address) = binding.handle_bound(&bound, Instant::now())
                {
                    unanswered = 0;
                    // The binding that holds the answer's cookie leaves next, and packets behind it.
                    lane.udp.store(true, Ordering::Relaxed);
                    if let Some(switch) = switch.upgrade() {
                        switch.seen_at(lane.relay, address);
                    }
                }
            }
            moved = moves.changed() => {
                if moved.is_err() {
                    return;
                }
                binding.moved(Instant::now());
                unanswered = 0;
            }
            () = lane.doubts.notified() => binding.moved(Instant::now()),
        }
    }
}
