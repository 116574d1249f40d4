//! The caller's way to an answered call, and what happens when both dial at once.
//!
//! Guarantee: two people who dial each other at the same moment get one call: that of the smaller identity goes on,
//! answered by the other's own dialling, and the other dial takes it over.

use crate::clock::wall;
use crate::driver::{self, Established};
use crate::endpoint::Common;
use crate::event::End;
use crate::media::Media;
use crate::shared::Shared;
use kring_core::call::{Call, EndedBy};
use kring_core::handshake::{Binding, DEADLINE, Dial, EXPORTER_LABEL, HandshakeError};
use kring_core::identity::Fingerprint;
use kring_core::offer::Offer;
use kring_core::ticket::Ticket;
use kring_net::{Closed, Connection};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long each further address waits for the ones before it (RFC 8305, section 5, has 250 ms; a call is urgent).
const STAGGER: Duration = Duration::from_millis(150);
/// How long an address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// How long to wait for the other's call when both have dialled.
const ADOPTION: Duration = Duration::from_secs(10);
/// The most bytes of a handshake taken from the stream at once.
const CHUNK: usize = 4096;

/// This endpoint's dials that are not answered yet, by whom they call.
#[derive(Default)]
pub(crate) struct Dials(Mutex<HashMap<Fingerprint, Pending>>);

/// A dial as an incoming call of the same person sees it.
#[derive(Clone)]
pub(crate) struct Pending {
    adopt: mpsc::Sender<Box<Established>>,
    established: watch::Receiver<bool>,
}

impl Dials {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().expect("nothing panics with this lock held").is_empty()
    }

    pub(crate) fn find(&self, peer: &Fingerprint) -> Option<Pending> {
        self.0.lock().expect("nothing panics with this lock held").get(peer).cloned()
    }

    fn insert(&self, peer: Fingerprint, pending: Pending) {
        self.0.lock().expect("nothing panics with this lock held").insert(peer, pending);
    }

    /// Forgets a dial, unless a later one to the same person has taken its place.
    fn remove(&self, peer: &Fingerprint, adopt: &mpsc::Sender<Box<Established>>) {
        let mut all = self.0.lock().expect("nothing panics with this lock held");
        if all.get(peer).is_some_and(|p| p.adopt.same_channel(adopt)) {
            all.remove(peer);
        }
    }
}

impl Pending {
    /// Waits until that dial has got through its handshake; false if it fails before.
    pub(crate) async fn established(mut self) -> bool {
        self.established.wait_for(|done| *done).await.is_ok()
    }

    /// Lets that dial go on with this call instead of its own.
    pub(crate) fn adopt(&self, established: Established) -> Result<(), Box<Established>> {
        self.adopt.try_send(Box::new(established)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back) => back,
        })
    }
}

/// Takes the dial off the list when it is over, however that comes.
struct Registration<'a> {
    common: &'a Common,
    peer: Fingerprint,
    adopt: mpsc::Sender<Box<Established>>,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.common.dials.remove(&self.peer, &self.adopt);
    }
}

pub(crate) async fn dial(common: Arc<Common>, shared: Arc<Shared>, ticket: Ticket, media: Box<Media>) {
    let end = attempt(&common, &shared, &ticket, media).await;
    shared.over(end);
}

async fn attempt(common: &Common, shared: &Arc<Shared>, ticket: &Ticket, media: Box<Media>) -> End {
    let (adopt, mut adopted) = mpsc::channel(1);
    let (established_tx, established) = watch::channel(false);
    let peer = ticket.fingerprint();
    common.dials.insert(peer, Pending { adopt: adopt.clone(), established });
    let registration = Registration { common, peer, adopt };

    let offer = media.offer(None);
    let connected = tokio::select! {
        biased;
        () = shared.hang_up.notified() => return End::HungUp { by: EndedBy::Local },
        Some(other) = adopted.recv() => {
            return driver::run(shared, *other, Some(media), Offer::default()).await.end;
        }
        connected = establish(common, ticket, &offer) => connected,
    };
    let outcome = match connected {
        Ok(established) => {
            established_tx.send_replace(true);
            driver::run(shared, established, Some(media), offer).await
        }
        Err(end) => return end,
    };
    // The other side has dialled too, and its call goes on; it is on its way here.
    match (outcome.end, outcome.unused) {
        (End::BothDialled, Some(media)) => {
            let other = tokio::select! {
                () = shared.hang_up.notified() => return End::HungUp { by: EndedBy::Local },
                other = timeout(ADOPTION, adopted.recv()) => other,
            };
            drop(registration);
            match other {
                Ok(Some(other)) => driver::run(shared, *other, Some(media), Offer::default()).await.end,
                _ => End::BothDialled,
            }
        }
        (end, _) => end,
    }
}

async fn establish(common: &Common, ticket: &Ticket, offer: &Offer) -> Result<Established, End> {
    ticket.check(wall()).map_err(|e| End::Handshake(e.into()))?;
    let connection = connect(common, ticket).await?;
    let closing = connection.clone();
    let shaken = timeout(DEADLINE, shake(common, ticket, connection, offer)).await;
    shaken.unwrap_or(Err(End::Handshake(HandshakeError::Noise))).inspect_err(|_| {
        closing.close(crate::event::close::HANDSHAKE);
    })
}

/// Tries every address, each a little after the one before; the first that answers is taken.
async fn connect(common: &Common, ticket: &Ticket) -> Result<Connection, End> {
    let mut attempts = JoinSet::new();
    for (n, address) in (0..).zip(ticket.addresses().iter().copied()) {
        let net = common.net.clone();
        attempts.spawn(async move {
            sleep(STAGGER * n).await;
            match timeout(CONNECT, net.connect(address)).await {
                Ok(result) => result.map_err(|e| e.to_string()),
                Err(_) => {
                    Err(format!("no connection to {address}: nothing answered in {} s", CONNECT.as_secs()))
                }
            }
        });
    }
    let mut failures = Vec::new();
    while let Some(result) = attempts.join_next().await {
        match result {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(failure)) => failures.push(failure),
            Err(_) => {}
        }
    }
    Err(End::Unreachable(failures.join("; ")))
}

async fn shake(
    common: &Common,
    ticket: &Ticket,
    connection: Connection,
    offer: &Offer,
) -> Result<Established, End> {
    let closed = |closed: Closed| match closed {
        Closed::ByPeer(code) => End::from_close(code),
        Closed::Locally | Closed::Broken => End::Vanished,
    };
    let exporter = connection.exporter(EXPORTER_LABEL).ok_or(End::Vanished)?;
    let (mut send, mut recv) = connection.open_stream().await.map_err(closed)?;
    let (mut dial, hello) =
        Dial::new(&common.identity, ticket, Binding::Quic(exporter), wall(), &common.provider)
            .map_err(End::Handshake)?;
    let encoded = offer.encode();
    if send.write_all(&hello).await.is_err() {
        return Err(closed(connection.closed().await));
    }
    loop {
        let Ok(Some(chunk)) = recv.read_chunk(CHUNK, true).await else {
            return Err(closed(connection.closed().await));
        };
        let done = dial.handle(&chunk.bytes, &encoded, wall()).map_err(End::Handshake)?;
        let Some((session, mut bytes)) = done else { continue };
        connection.answered();
        let now = common.clock.now();
        let mut call =
            Call::new(session, &common.identity, offer, common.timeouts, now).map_err(End::Handshake)?;
        call.assume_rate(now, connection.carried(), connection.rtt());
        // confirm and the sender key in one packet.
        bytes.extend(call.poll_stream().into_iter().flatten());
        if send.write_all(&bytes).await.is_err() {
            return Err(closed(connection.closed().await));
        }
        return Ok(Established { connection, send, recv, call });
    }
}
