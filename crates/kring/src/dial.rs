//! The caller's way to an answered call, and what happens when both dial at once.
//!
//! Guarantee: two people who dial each other at the same moment get one call: that of the smaller identity goes on,
//! answered by the other's own dialling, and the other dial takes it over. Nobody but the callee, proven, ends a dial while a place
//! is left, or may still be found, at which the callee may be.

use crate::clock::wall;
use crate::driver::{self, Established};
use crate::endpoint::Common;
use crate::event::End;
use crate::find::Sought;
use crate::media::Media;
use crate::shared::Shared;
use kring_core::call::{Call, EndedBy};
use kring_core::contact::{Contact, ContactKey};
use kring_core::handshake::{Binding, DEADLINE, Dial, EXPORTER_LABEL, HandshakeError};
use kring_core::identity::{Fingerprint, PublicIdentity};
use kring_core::mailbox::RelayHint;
use kring_core::offer::Offer;
use kring_core::ticket::Ticket;
use kring_core::verify::Pin;
use kring_net::path::Link;
use kring_net::{Closed, Connection};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long each further address waits for the ones before it of its kind, private or public, which do not compete for one wire
/// (RFC 8305, section 5, has 250 ms; a call is urgent).
const STAGGER: Duration = Duration::from_millis(150);
/// How long an address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// The same, once somebody has answered at another address who is not the callee, or refused.
const REST: Duration = Duration::from_secs(5);
/// How long a handshake may take where the callee was found and has not itself said to be, if there are other places to try.
const FOUND: Duration = Duration::from_secs(2);
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

/// Whom to dial, where, and by what.
pub(crate) struct Target {
    callee: Fingerprint,
    places: Vec<Place>,
    /// Tried in this order, each if the one before is refused.
    by: Vec<By>,
}

/// Where somebody may be.
#[derive(Clone, PartialEq)]
pub(crate) enum Place {
    At(SocketAddr),
    Through(RelayHint),
}

/// All places that a ticket or contact names.
fn places(addresses: &[SocketAddr], relay: Option<&RelayHint>) -> Vec<Place> {
    addresses.iter().copied().map(Place::At).chain(relay.cloned().map(Place::Through)).collect()
}

enum By {
    Ticket(Ticket),
    Contact(PublicIdentity, ContactKey),
}

impl Target {
    pub(crate) fn ticket(ticket: &Ticket) -> Target {
        Target {
            callee: ticket.fingerprint(),
            places: places(ticket.addresses(), ticket.relay()),
            by: vec![By::Ticket(ticket.clone())],
        }
    }

    /// `None` if there is nothing to dial with.
    pub(crate) fn contact(contact: &Contact) -> Option<Target> {
        let keys = contact.keys().filter_map(|key| Some(By::Contact(contact.identity()?, key.clone())));
        let ticket = contact.ticket().filter(|t| t.check(wall()).is_ok()).cloned().map(By::Ticket);
        let by: Vec<By> = keys.chain(ticket).collect();
        let relay = contact.relay().or(contact.ticket().and_then(Ticket::relay));
        let (callee, places) = (contact.fingerprint(), places(contact.addresses(), relay));
        (!by.is_empty()).then_some(Target { callee, places, by })
    }

    /// By what it is recognised elsewhere than where it said that it is.
    fn sought(&self) -> Sought {
        #[allow(unused_mut)] // without ways to find anybody
        let mut sought = Sought::default();
        #[cfg(any(feature = "lan", feature = "dht"))]
        for by in &self.by {
            match by {
                #[cfg(feature = "lan")]
                By::Ticket(ticket) => sought.lan.push(ticket.lan_key()),
                #[cfg(not(feature = "lan"))]
                By::Ticket(_) => {}
                By::Contact(_, secret) => {
                    #[cfg(feature = "lan")]
                    sought.lan.push(secret.lan_key(&self.callee));
                    #[cfg(feature = "dht")]
                    sought
                        .dht
                        .extend(kring_core::find::days(wall()).map(|day| secret.dht_key(&self.callee, day)));
                }
            }
        }
        sought
    }
}

pub(crate) async fn dial(
    common: Arc<Common>,
    shared: Arc<Shared>,
    target: Target,
    expected: Option<Pin>,
    media: Box<Media>,
) {
    // A whole call is in it: too much for a stack.
    let end = Box::pin(attempt(&common, &shared, &target, expected, media)).await;
    shared.over(end);
}

async fn attempt(
    common: &Arc<Common>,
    shared: &Arc<Shared>,
    target: &Target,
    expected: Option<Pin>,
    media: Box<Media>,
) -> End {
    let (adopt, mut adopted) = mpsc::channel(1);
    let (established_tx, established) = watch::channel(false);
    let peer = target.callee;
    common.dials.insert(peer, Pending { adopt: adopt.clone(), established });
    let registration = Registration { common, peer, adopt };

    let offer = media.offer(None);
    let connected = tokio::select! {
        biased;
        () = shared.hang_up.notified() => return End::HungUp { by: EndedBy::Local },
        Some(mut other) = adopted.recv() => {
            other.expected = expected;
            return driver::run(shared, *other, Some(media), Offer::default()).await.end;
        }
        connected = establish(common, target, &offer) => connected,
    };
    let outcome = match connected {
        Ok(mut established) => {
            established.expected = expected;
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
                Ok(Some(mut other)) => {
                    other.expected = expected;
                    driver::run(shared, *other, Some(media), Offer::default()).await.end
                }
                _ => End::BothDialled,
            }
        }
        (end, _) => end,
    }
}

/// Why a handshake came to nothing.
enum Failed {
    /// Nobody has proven to be the callee, so what was said is anybody's word: the callee may be at another place.
    Unproven(End),
    /// This side has failed, or the callee has spoken.
    Over(End),
}

/// Connects where somebody answers and shows each secret there. An address may be old, or one of another network's: where that
/// comes to nothing, somebody else may listen by now, so the other places are tried too, and so are those where the callee was found,
/// which anybody who shares the secret may have named: what is said there is not told.
async fn establish(common: &Arc<Common>, target: &Target, offer: &Offer) -> Result<Established, End> {
    let mut left = target.places.clone();
    if common.relays.only() {
        left.retain(|place| matches!(place, Place::Through(_)));
    }
    let mut found = common.finder.seek(target.sought());
    let mut tried: Vec<Place> = Vec::new();
    let mut relay = None;
    let mut said: Option<End> = None;
    loop {
        let mut at: Option<Place> = None;
        for by in &target.by {
            if let By::Ticket(ticket) = by {
                ticket.check(wall()).map_err(|e| End::Handshake(e.into()))?;
            }
            let wait = if said.is_some() { REST } else { CONNECT };
            let connected = match &at {
                Some(place) => connect(common, &mut vec![place.clone()], None, wait).await,
                None => connect(common, &mut left, Some((&mut found, &tried)), wait).await,
            };
            let (connection, place) = match connected {
                Ok((connection, place, dialled)) => {
                    relay = dialled.or(relay);
                    (connection, place)
                }
                Err(end) => return Err(said.unwrap_or(end)),
            };
            let named = target.places.contains(&place);
            let within = if named || left.len() == 1 { DEADLINE } else { FOUND };
            at = Some(place);
            let end = match shake_in_time(common, by, connection, offer, within).await {
                Ok(established) => return Ok(Established { relay, ..established }),
                Err(Failed::Over(end)) => return Err(end),
                Err(Failed::Unproven(end)) => end,
            };
            // After a crash at either end the other may lack what is the latest here. Anyone on the path can say so
            // too; all that wins them is another attempt.
            let refused = end == End::Refused;
            // Of all that was said, what tells more than a refusal.
            if named && said.as_ref().is_none_or(|said| *said == End::Refused) {
                said = Some(end);
            }
            if !refused {
                break;
            }
        }
        left.retain(|place| Some(place) != at.as_ref());
        tried.extend(at.clone());
        // What is found later is waited for while it may come.
        let over = found.is_closed();
        while let Ok(place) = found.try_recv() {
            if !left.contains(&place) && !tried.contains(&place) {
                left.push(place);
            }
        }
        if left.is_empty() && over || at.is_none() {
            return Err(said.unwrap_or(End::Refused));
        }
    }
}

async fn shake_in_time(
    common: &Arc<Common>,
    by: &By,
    connection: Connection,
    offer: &Offer,
    within: Duration,
) -> Result<Established, Failed> {
    let closing = connection.clone();
    let shaken = timeout(within, shake(common, by, connection, offer)).await;
    let shaken = shaken.unwrap_or(Err(Failed::Unproven(End::Handshake(HandshakeError::Noise))));
    shaken.inspect_err(|_| closing.close(crate::event::close::HANDSHAKE))
}

/// Whether that is an address of a network of somebody's own (RFC 1918, RFC 4193, RFC 3927).
fn is_private(address: &SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// A session with a ticket's relay that is asked for once, whether the call begins over it or falls back on it.
pub(crate) struct RelayDial {
    hint: RelayHint,
    session: watch::Receiver<Option<Result<Link, String>>>,
    /// A connection has been tried over it, so the other side takes it for that one's.
    used: Arc<AtomicBool>,
}

impl RelayDial {
    fn begin(common: &Arc<Common>, hint: RelayHint) -> RelayDial {
        let (found, session) = watch::channel(None);
        let (common, relay) = (common.clone(), hint.clone());
        tokio::spawn(async move {
            let dialled = common.relays.dial(&common.net, &relay).await;
            // Nobody there any more: the session goes back.
            let _ = found.send(Some(dialled));
        });
        RelayDial { hint, session, used: Arc::default() }
    }

    /// The session, for the connection of a call.
    async fn take(mut session: watch::Receiver<Option<Result<Link, String>>>) -> Result<Link, String> {
        let dialled = session.wait_for(Option::is_some).await;
        dialled
            .ok()
            .and_then(|dialled| dialled.clone())
            .unwrap_or_else(|| Err("the endpoint is closed".into()))
    }

    /// The session, to fall back on; another if a connection was tried over the first.
    pub(crate) async fn fallback(self, common: &Arc<Common>) -> Result<Link, String> {
        if self.used.load(Ordering::Relaxed) {
            return common.relays.dial(&common.net, &self.hint).await;
        }
        RelayDial::take(self.session).await
    }
}

/// Tries every place: addresses each a little after the one before, a relay beside them, and what is found meanwhile and was not tried
/// before, which is added to the places; the first that answers is taken. Gives the session with the relay besides, if there is one.
async fn connect(
    common: &Arc<Common>,
    places: &mut Vec<Place>,
    mut found: Option<(&mut mpsc::Receiver<Place>, &[Place])>,
    wait: Duration,
) -> Result<(Connection, Place, Option<RelayDial>), End> {
    let mut attempts = JoinSet::new();
    let mut addresses = [0; 2];
    let mut relays = Vec::new();
    for place in places.iter() {
        let mut after = Duration::ZERO;
        if let Place::At(address) = place {
            let before = &mut addresses[usize::from(is_private(address))];
            after = STAGGER * *before;
            *before += 1;
        }
        attempts.spawn(reach(common, &mut relays, place.clone(), after, wait));
    }
    let until = Instant::now() + wait;
    let mut failures = Vec::new();
    loop {
        let more = async {
            let (found, tried) = found.as_mut()?;
            let place = timeout_at(until, found.recv()).await.ok()??;
            Some((!tried.contains(&place), place))
        };
        tokio::select! {
            Some(result) = attempts.join_next() => match result {
                Ok(Ok((connection, place))) => {
                    let through = relays.iter().position(|relay| place == Place::Through(relay.hint.clone()));
                    let relay = (!relays.is_empty()).then(|| relays.swap_remove(through.unwrap_or(0)));
                    return Ok((connection, place, relay));
                }
                Ok(Err(failure)) => failures.push(failure),
                Err(_) => {}
            },
            Some((new, place)) = more => {
                if new && !places.contains(&place) {
                    places.push(place.clone());
                    attempts.spawn(reach(common, &mut relays, place, Duration::ZERO, wait));
                }
            }
            else => break,
        }
    }
    if failures.is_empty() {
        failures.push(match common.relays.only() {
            true => "it names no relay, and this side calls through relays only".into(),
            false => "it was found nowhere".into(),
        });
    }
    Err(End::Unreachable(failures.join("; ")))
}

/// Tries one place, after a while; a session with a relay is begun at once, and added to `relays`.
fn reach(
    common: &Arc<Common>,
    relays: &mut Vec<RelayDial>,
    place: Place,
    after: Duration,
    wait: Duration,
) -> impl Future<Output = Result<(Connection, Place), String>> + Send + 'static {
    let common = common.clone();
    let session = match &place {
        Place::Through(hint) => {
            let relay = RelayDial::begin(&common, hint.clone());
            let session = (relay.session.clone(), relay.used.clone());
            relays.push(relay);
            Some(session)
        }
        Place::At(_) => None,
    };
    async move {
        let connecting =
            async {
                match &place {
                    Place::At(address) => {
                        sleep(after).await;
                        common.net.connect(*address).await.map_err(|error| error.to_string())
                    }
                    Place::Through(relay) => {
                        let (session, used) = session.ok_or("no relay was dialled")?;
                        let link = RelayDial::take(session).await?;
                        used.store(true, Ordering::Relaxed);
                        common.net.connect_through(link).await.map_err(|_| {
                            format!("through {}: the other side does not answer", relay.address())
                        })
                    }
                }
            };
        match timeout(after + wait, connecting).await {
            Ok(result) => result.map(|connection| (connection, place)),
            Err(_) => Err(match place {
                Place::At(address) => {
                    format!("no connection to {address}: nothing answered in {} s", wait.as_secs())
                }
                Place::Through(relay) => {
                    format!("through {}: nothing answered in {} s", relay.address(), wait.as_secs())
                }
            }),
        }
    }
}

async fn shake(
    common: &Arc<Common>,
    by: &By,
    connection: Connection,
    offer: &Offer,
) -> Result<Established, Failed> {
    let closed = |closed: Closed| match closed {
        Closed::ByPeer(code) => End::from_close(code),
        Closed::Locally | Closed::Broken => End::Vanished,
    };
    let exporter = connection.exporter(EXPORTER_LABEL).ok_or(Failed::Unproven(End::Vanished))?;
    let stream = connection.open_stream().await;
    let (mut send, mut recv) = stream.map_err(|error| Failed::Unproven(closed(error)))?;
    let (identity, binding, provider) = (&common.identity, Binding::Quic(exporter), &common.provider);
    let begun = match by {
        By::Ticket(ticket) => Dial::new(identity, ticket, binding, wall(), provider),
        By::Contact(peer, key) => Dial::contact(identity, (*peer, key), binding, wall(), provider),
    };
    let over = |error: HandshakeError| Failed::Over(End::Handshake(error));
    let (mut dial, hello) = begun.map_err(over)?;
    let encoded = offer.encode();
    if send.write_all(&hello).await.is_err() {
        return Err(Failed::Unproven(closed(connection.closed().await)));
    }
    loop {
        let Ok(Some(chunk)) = recv.read_chunk(CHUNK, true).await else {
            return Err(Failed::Unproven(closed(connection.closed().await)));
        };
        let done = dial.handle(&chunk.bytes, &encoded, wall());
        let done = done.map_err(|error| Failed::Unproven(End::Handshake(error)))?;
        let Some((session, mut bytes)) = done else { continue };
        connection.answered();
        let now = common.clock.now();
        let mut call = Call::new(session, &common.identity, offer, common.timeouts, now).map_err(over)?;
        call.assume_rate(now, connection.carried(), connection.rtt());
        // confirm and the sender key in one packet.
        bytes.extend(call.poll_stream().into_iter().flatten());
        if send.write_all(&bytes).await.is_err() {
            return Err(Failed::Over(closed(connection.closed().await)));
        }
        let (call, common) = (Box::new(call), common.clone());
        return Ok(Established { connection, send, recv, call, expected: None, relay: None, common });
    }
}
