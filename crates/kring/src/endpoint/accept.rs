//! Those who call: from a connection to a call that rings.
//!
//! Guarantee: nobody is let through whose ticket is not live, or is for one call and was spent, and nothing rings for a
//! caller who has proven nothing, or has not passed the [door](door).

use super::{Common, Incoming, MAX_HANDSHAKES, SCARCE, door};
use crate::call::Call;
use crate::clock::wall;
use crate::driver::{self, Established};
use crate::event::close;
use crate::shared::{Shared, Stage};
use crate::standing::Waiting;
use kring_core::call::{Call as Core, own_dial_wins};
use kring_core::control::Reason;
use kring_core::handshake::{Accept, Binding, DEADLINE, EXPORTER_LABEL, HandshakeError, Pass, Progress};
use kring_core::offer::Offer;
use kring_net::path::is_name;
use kring_net::{Connection, RecvStream, SendStream};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};

/// The most bytes of a handshake taken from the stream at once.
const CHUNK: usize = 4096;

pub(super) async fn accept_all(common: Arc<Common>, ringing: mpsc::Sender<Incoming>) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    while let Some(incoming) = common.net.accept().await {
        // To answer at an address would tell where this side is.
        if common.relays.only() && !is_name(&incoming.remote_address()) {
            incoming.ignore();
            continue;
        }
        if handshakes.available_permits() < SCARCE && !incoming.is_validated() {
            incoming.validate();
            continue;
        }
        let Ok(permit) = handshakes.clone().try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let (common, ringing) = (common.clone(), ringing.clone());
        let until = Instant::now() + DEADLINE;
        tokio::spawn(async move {
            let shaking = async {
                let connection = incoming.accept().await.ok()?;
                let closing = connection.clone();
                let shaken = timeout_at(until, shake(&common, connection)).await;
                // Dropped without a word, it would tell the caller that somebody hung up.
                shaken.inspect_err(|_| closing.close(close::HANDSHAKE)).ok()?
            };
            // From here on the caller holds a live ticket, and, unless this side answers anyone who does, is proven.
            match timeout_at(until, shaking).await {
                Ok(Some((established, None))) => {
                    drop(permit);
                    // A whole call is in it: too much for a stack.
                    Box::pin(ring(common, established, ringing)).await;
                }
                Ok(Some((established, Some(consent)))) => {
                    drop(permit);
                    give(&common, consent, established).await;
                }
                _ => {}
            }
        });
    }
}

/// The callee's handshake on a fresh connection; `None` if it failed, with the connection closed. With a consent to answer
/// anyone, the call is answered ahead and the caller not proven yet.
async fn shake(common: &Arc<Common>, connection: Connection) -> Option<(Established, Option<Waiting>)> {
    let binding = Binding::Quic(connection.exporter(EXPORTER_LABEL)?);
    let (mut send, mut recv) = connection.accept_stream().await.ok()?;
    let mut accept = Accept::new(binding);
    loop {
        let chunk = recv.read_chunk(CHUNK, true).await.ok()??;
        // What was revoked or removed elsewhere counts for this caller.
        common.home.refresh();
        let result = common.acceptor(|a| accept.handle(&chunk.bytes, a, wall()));
        let failed = match result {
            Ok(Progress::Waiting) => continue,
            Ok(Progress::Reply(bytes)) => {
                connection.answered();
                // Whom this side is dialling has to be recognised when it calls.
                let ahead = common.dials.is_empty()
                    && common.doors.are_open()
                    && common.acceptor(|a| accept.may_go_ahead(a));
                let consent = if ahead { common.standing.take_ahead() } else { None };
                let Some((consent, offer)) = consent.and_then(|c| c.offer.clone().map(|o| (c, o))) else {
                    send.write_all(&bytes).await.ok()?;
                    continue;
                };
                let stream = (connection, send, recv);
                return match answer_ahead(common, accept, &offer, bytes, stream).await {
                    Some(established) => Some((established, Some(consent))),
                    None => {
                        common.standing.put_back(consent);
                        None
                    }
                };
            }
            Ok(Progress::Done(session)) => {
                connection.answered();
                if still_holds(common, session.pass()).await {
                    let now = common.clock.now();
                    let (own, timeouts, none) = (&common.identity, common.timeouts, Offer::default());
                    let call = match door::before(common, &session) {
                        Some(door) => Core::at_the_door(*session, own, door, timeouts, now),
                        None => Core::new(*session, own, &none, timeouts, now),
                    };
                    match call {
                        Ok(mut call) => {
                            call.assume_rate(now, connection.carried(), connection.rtt());
                            let common = common.clone();
                            let (call, expected, relay) = (Box::new(call), None, None);
                            return Some((
                                Established { connection, send, recv, call, expected, relay, common },
                                None,
                            ));
                        }
                        Err(error) => error,
                    }
                } else {
                    HandshakeError::UnknownHint
                }
            }
            Err(error) => error,
        };
        connection.close(match failed {
            // Who is blocked is told no more than a stranger.
            HandshakeError::UnknownHint | HandshakeError::Blocked => close::REFUSED,
            HandshakeError::Clock { .. } => close::CLOCK,
            HandshakeError::Version => close::VERSION,
            _ => close::HANDSHAKE,
        });
        return None;
    }
}

/// Whether what a proven caller came by still lets it through. A ticket for one call is spent by that: once, whoever else
/// holds it and whichever process they call, and not at all if that cannot be saved.
async fn still_holds(common: &Common, pass: Pass) -> bool {
    let Pass::Ticket(ticket) = pass else { return true };
    match common.home.one_use(ticket) {
        Some(false) => true,
        Some(true) => {
            let home = common.home.clone();
            let spent = tokio::task::spawn_blocking(move || home.spend(ticket)).await;
            match spent {
                Ok(Ok(spent)) => spent,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a caller was refused, as it cannot be saved that its ticket is spent");
                    false
                }
                Err(_) => false,
            }
        }
        None => false,
    }
}

/// Sends message 2 and the answer in one go.
async fn answer_ahead(
    common: &Arc<Common>,
    accept: Accept,
    offer: &Offer,
    mut bytes: Vec<u8>,
    (connection, mut send, recv): (Connection, SendStream, RecvStream),
) -> Option<Established> {
    let now = common.clock.now();
    let claimed = accept.claimed()?;
    let mut call = Core::ahead(claimed, &common.identity, offer, common.timeouts, now).ok()?;
    call.assume_rate(now, connection.carried(), connection.rtt());
    bytes.extend(call.poll_stream().into_iter().flatten());
    send.write_all(&bytes).await.ok()?;
    let call = Box::new(call);
    let (expected, relay, common) = (None, None, common.clone());
    Some(Established { connection, send, recv, call, expected, relay, common })
}

/// Hands a call to whoever has consented to it.
async fn give(common: &Common, consent: Waiting, established: Established) {
    if let Err(mut unwanted) = consent.give(established) {
        unwanted.call.hang_up(Reason::HungUp);
        let _ = driver::run(&Shared::new(common.clock), *unwanted, None, Offer::default()).await;
    }
}

/// A proven caller: rings, unless this side is dialling the same person.
async fn ring(common: Arc<Common>, mut established: Established, ringing: mpsc::Sender<Incoming>) {
    if established.call.is_at_the_door() {
        match Box::pin(door::passed(&common, established)).await {
            Some(passed) => established = passed,
            None => return,
        }
    }
    let Some(peer) = established.call.peer() else { return };
    let own = common.identity.public();
    if let Some(pending) = common.dials.find(&peer.fingerprint()) {
        if !own_dial_wins(&own, &peer) {
            match pending.adopt(established) {
                Ok(()) => return,
                // That dial is over; this is a call like any other.
                Err(back) => established = *back,
            }
        } else if pending.established().await {
            return Box::pin(decline(&common, established, Reason::BothDialled)).await;
        }
    }
    if let Some(consent) = common.standing.take() {
        return give(&common, consent, established).await;
    }
    let Ok(place) = ringing.try_reserve() else {
        return Box::pin(decline(&common, established, Reason::Busy)).await;
    };
    let shared = Shared::new(common.clock);
    let offer = established.call.peer_offer().clone();
    let pass = established.call.pass();
    let contact = common.home.contact_of(&peer.fingerprint());
    let from = established.connection.remote_address();
    let running = shared.clone();
    let task = tokio::spawn(async move {
        let outcome = driver::run(&running, established, None, Offer::default()).await;
        running.over(outcome.end);
    });
    // The app may refuse it at once, and what it says goes to the protocol: wait until the driver has that.
    let _ = shared.stage().wait_for(|stage| *stage != Stage::Dialling).await;
    let call = Some(Call::new(shared.clone(), task));
    place.send(Incoming { call, shared, peer, contact, offer, pass, from });
}

async fn decline(common: &Common, mut established: Established, reason: Reason) {
    established.call.decline(reason);
    let _ = driver::run(&Shared::new(common.clock), established, None, Offer::default()).await;
}
