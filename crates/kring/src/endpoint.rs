//! One identity on one socket: gives out tickets, dials, and takes calls.

use crate::call::Call;
use crate::clock::{Clock, wall};
use crate::dial::Dials;
use crate::driver::{self, Established};
use crate::event::{End, close};
use crate::media::Media;
use crate::shared::{Shared, Stage};
use crate::standing::{self, Standing, Waiting};
use kring_core::call::{Timeouts, own_dial_wins};
use kring_core::control::Reason;
use kring_core::crypto::{Provider, default_provider};
use kring_core::handshake::{
    Accept, Acceptor, Binding, Counters, DEADLINE, EXPORTER_LABEL, HandshakeError, Progress,
};
use kring_core::identity::{Identity, PublicIdentity};
use kring_core::offer::{Offer, TrackInfo};
use kring_core::ticket::{MAX_ADDRESSES, Ticket, TicketError, TicketId};
use kring_net::{BindError, Connection, RecvStream, SendStream};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// Handshakes of strangers that may be under way at once.
const MAX_HANDSHAKES: usize = 64;
/// With fewer places left, strangers have to show first that their address is theirs.
const SCARCE: usize = MAX_HANDSHAKES / 2;
/// Calls that may ring at once; further callers are told that it is busy.
const MAX_RINGING: usize = 8;
/// The most bytes of a handshake taken from the stream at once.
const CHUNK: usize = 4096;

/// Settings of an [`Endpoint`].
#[must_use]
pub struct EndpointBuilder {
    identity: Option<Identity>,
    net: kring_net::Config,
    timeouts: Timeouts,
    #[cfg(feature = "simulation")]
    simulation: Option<crate::simulation::Simulation>,
}

impl EndpointBuilder {
    /// Uses this identity, such as from [`load_or_create`](crate::store::load_or_create). Without one, the endpoint has
    /// an identity that lasts as long as itself.
    pub fn identity(mut self, identity: Identity) -> EndpointBuilder {
        self.identity = Some(identity);
        self
    }

    /// Listens here. Default: every IPv4 address, at a port that the system chooses.
    pub fn bind(mut self, address: SocketAddr) -> EndpointBuilder {
        self.net.bind = address;
        self
    }

    /// How long it rings, and how long a vanished peer is waited for.
    pub fn timeouts(mut self, timeouts: Timeouts) -> EndpointBuilder {
        self.timeouts = timeouts;
        self.net.idle_timeout = timeouts.vanished + Duration::from_secs(15);
        self
    }

    /// Writes the secrets of TLS (not those of Kring's own encryption) where a test wants them.
    #[cfg(feature = "dangerous-key-log")]
    pub fn dangerous_key_log(mut self, log: Arc<dyn rustls::KeyLog>) -> EndpointBuilder {
        self.net.key_log = Some(log);
        self
    }

    /// Lives in a simulated world.
    #[cfg(feature = "simulation")]
    #[doc(hidden)]
    pub fn simulated(mut self, simulation: crate::simulation::Simulation) -> EndpointBuilder {
        self.simulation = Some(simulation);
        self
    }

    /// Network, clock and randomness, of the system or simulated.
    fn ground(&mut self) -> Result<(kring_net::Endpoint, Clock, Arc<dyn Provider>), BindError> {
        #[cfg(feature = "simulation")]
        if let Some(simulation) = self.simulation.take() {
            let net = kring_net::Endpoint::simulated(&self.net, simulation.socket, simulation.seed)?;
            return Ok((net, Clock::showing(simulation.clock), simulation.provider));
        }
        Ok((kring_net::Endpoint::bind(&self.net)?, Clock::new(), default_provider()))
    }

    /// Listens; has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] if the address cannot be had.
    pub fn build(mut self) -> Result<Endpoint, BindError> {
        let (net, clock, provider) = self.ground()?;
        let identity = match self.identity {
            Some(identity) => identity,
            None => Identity::generate(&*provider, wall()).map_err(|_| BindError::Random)?,
        };
        let identity = Arc::new(identity);
        let (ringing, incoming) = mpsc::channel(MAX_RINGING);
        let shared = Arc::new(Common {
            acceptor: Mutex::new(Acceptor::new(identity.clone(), provider.clone())),
            identity,
            provider,
            net,
            clock,
            timeouts: self.timeouts,
            dials: Dials::default(),
            standing: Standing::default(),
        });
        let accepting = tokio::spawn(accept_all(shared.clone(), ringing));
        Ok(Endpoint {
            inner: Arc::new(Inner { common: shared, incoming: tokio::sync::Mutex::new(incoming), accepting }),
        })
    }
}

/// What an endpoint's tasks share.
pub(crate) struct Common {
    pub(crate) identity: Arc<Identity>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) net: kring_net::Endpoint,
    pub(crate) clock: Clock,
    pub(crate) timeouts: Timeouts,
    pub(crate) dials: Dials,
    pub(crate) standing: Standing,
    acceptor: Mutex<Acceptor>,
}

impl Common {
    pub(crate) fn acceptor<T>(&self, f: impl FnOnce(&mut Acceptor) -> T) -> T {
        f(&mut self.acceptor.lock().expect("nothing panics with this lock held"))
    }
}

struct Inner {
    common: Arc<Common>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Incoming>>,
    accepting: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.accepting.abort();
        self.common.standing.clear();
    }
}

/// One identity on one socket. Clones are the same endpoint; when the last is dropped it takes no calls any more, while
/// calls that are under way go on.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

impl Endpoint {
    /// Settings, to begin with.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder {
            identity: None,
            net: kring_net::Config::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            timeouts: Timeouts::default(),
            #[cfg(feature = "simulation")]
            simulation: None,
        }
    }

    fn common(&self) -> &Arc<Common> {
        &self.inner.common
    }

    /// Who this endpoint is.
    #[must_use]
    pub fn identity(&self) -> PublicIdentity {
        self.common().identity.public()
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.common().net.local_addr()
    }

    /// Gives out a ticket by which this endpoint can be called for `lifetime`
    /// ([`DEFAULT_LIFETIME`](crate::DEFAULT_LIFETIME): a day), at the addresses that this machine has.
    ///
    /// # Errors
    /// A [`TicketError`], say without any address.
    pub fn ticket(&self, lifetime: Duration) -> Result<Ticket, TicketError> {
        self.ticket_for(&self.addresses(), lifetime)
    }

    /// Gives out a ticket with these addresses, for example one that a router forwards.
    ///
    /// # Errors
    /// A [`TicketError`], say for too many addresses.
    pub fn ticket_for(&self, addresses: &[SocketAddr], lifetime: Duration) -> Result<Ticket, TicketError> {
        let common = self.common();
        let ticket = Ticket::issue(&common.identity, addresses, wall().after(lifetime), &*common.provider)?;
        common.acceptor(|a| a.add(&ticket));
        Ok(ticket)
    }

    /// Lets nobody through with that ticket any more; says whether it was live. Calls under way go on.
    pub fn revoke(&self, ticket: TicketId) -> bool {
        self.common().acceptor(|a| a.revoke(ticket))
    }

    /// The addresses under which others may reach this endpoint: the one it is bound to, or those of the machine's
    /// interfaces (of each kind the first, real ones before loopback).
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let Ok(bound) = self.local_addr() else { return Vec::new() };
        if !bound.ip().is_unspecified() {
            return vec![bound];
        }
        let mut ips: Vec<IpAddr> =
            if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|i| i.ip()).collect();
        let usable = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => !ip.is_link_local(),
            IpAddr::V6(ip) => bound.is_ipv6() && !ip.is_unicast_link_local(),
        };
        ips.retain(usable);
        if ips.iter().any(|ip| !ip.is_loopback()) {
            ips.retain(|ip| !ip.is_loopback());
        }
        let first = |v6: bool| ips.iter().copied().find(|ip| ip.is_ipv6() == v6);
        let mut addresses: Vec<_> = [first(false), first(true)]
            .into_iter()
            .flatten()
            .map(|ip| SocketAddr::new(ip, bound.port()))
            .collect();
        addresses.truncate(MAX_ADDRESSES);
        addresses
    }

    /// Dials. The call begins at once and tells by its events how it goes on; [`Call::connected`] waits for the answer.
    ///
    /// If the holder of the ticket dials this endpoint at the same time, the two become one call.
    ///
    /// Has to be called within a tokio runtime.
    pub fn dial(&self, ticket: &Ticket, media: Media) -> Call {
        let shared = Shared::new(self.common().clock);
        let task = tokio::spawn(crate::dial::dial(
            self.common().clone(),
            shared.clone(),
            ticket.clone(),
            Box::new(media),
        ));
        Call::new(shared, task)
    }

    /// Consents to answer the next caller, whoever holds a live ticket, with `media`; nothing rings for that one. The call
    /// waits until somebody calls, and [`Call::connected`] until that is so; dropping it takes the consent back. Further
    /// callers ring as ever.
    ///
    /// That saves the caller a round trip: what `media` sends leaves, and devices open, as soon as a holder of the ticket
    /// calls ([`Event::AnsweredAhead`](crate::Event::AnsweredAhead)), readable for the device that calls and nobody else,
    /// but before that has proven whose it is. Until it has, it is neither heard nor seen nor named here; if it does not
    /// within 3 s, the call ends, and for the next minute callers have to prove themselves first. Do not use this where
    /// it matters who calls: [`incoming`](Endpoint::incoming) tells that before anything is sent.
    ///
    /// Has to be called within a tokio runtime.
    pub fn answer_next(&self, media: Media) -> Call {
        let shared = Shared::new(self.common().clock);
        let waiting = standing::answer(self.common(), shared.clone(), Box::new(media));
        Call::new(shared, tokio::spawn(waiting))
    }

    /// The next caller; `None` once the endpoint is closed. Dropping the future loses nobody.
    pub async fn incoming(&self) -> Option<Incoming> {
        self.inner.incoming.lock().await.recv().await
    }

    /// How many strangers and broken handshakes were dropped.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.common().acceptor(|a| a.counters())
    }

    /// Ends all calls, tells the other sides, and waits (a second at most) until that is done.
    pub async fn close(&self) {
        self.inner.accepting.abort();
        self.common().standing.clear();
        self.common().net.close(Reason::GoingAway.code());
        let _ = timeout(Duration::from_secs(1), self.common().net.wait_idle()).await;
    }
}

/// Someone calls. It rings for them until this is [answered](Incoming::answer) or declined; dropping it declines.
#[must_use = "dropping an incoming call declines it"]
pub struct Incoming {
    call: Option<Call>,
    shared: Arc<Shared>,
    peer: PublicIdentity,
    offer: Offer,
    ticket: TicketId,
    from: SocketAddr,
}

impl Incoming {
    /// Who calls, proven by the handshake.
    #[must_use]
    pub fn peer(&self) -> PublicIdentity {
        self.peer
    }

    /// How the caller calls itself; nobody has checked it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.offer.name
    }

    /// What the caller wants to send.
    #[must_use]
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.offer.tracks
    }

    /// The ticket that the caller used.
    #[must_use]
    pub fn ticket(&self) -> TicketId {
        self.ticket
    }

    /// Where the call comes from.
    #[must_use]
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// Takes the call.
    pub fn answer(mut self, media: Media) -> Call {
        *self.shared.answer.lock().expect("nothing panics with this lock held") = Some(Box::new(media));
        self.shared.wake.notify_one();
        self.call.take().expect("taken only here and in drop")
    }

    /// Does not take the call.
    pub fn decline(self) {
        self.refuse(Reason::Declined);
    }

    /// Does not take the call because of another one.
    pub fn busy(self) {
        self.refuse(Reason::Busy);
    }

    /// Waits until the caller has given up (and says how).
    pub async fn given_up(&self) -> End {
        match &self.call {
            Some(call) => call.ended().await,
            None => End::Vanished,
        }
    }

    fn refuse(&self, reason: Reason) {
        self.shared.core(|call| call.decline(reason));
        self.shared.wake.notify_one();
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.call.is_some() {
            self.refuse(Reason::Declined);
        }
    }
}

async fn accept_all(common: Arc<Common>, ringing: mpsc::Sender<Incoming>) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    while let Some(incoming) = common.net.accept().await {
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
async fn shake(common: &Common, connection: Connection) -> Option<(Established, Option<Waiting>)> {
    let binding = Binding::Quic(connection.exporter(EXPORTER_LABEL)?);
    let (mut send, mut recv) = connection.accept_stream().await.ok()?;
    let mut accept = Accept::new(binding);
    loop {
        let chunk = recv.read_chunk(CHUNK, true).await.ok()??;
        let result = common.acceptor(|a| accept.handle(&chunk.bytes, a, wall()));
        let failed = match result {
            Ok(Progress::Waiting) => continue,
            Ok(Progress::Reply(bytes)) => {
                connection.answered();
                // Whom this side is dialling has to be recognised when it calls.
                let consent = if common.dials.is_empty() { common.standing.take_ahead() } else { None };
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
                let now = common.clock.now();
                let none = Offer::default();
                match kring_core::call::Call::new(*session, &common.identity, &none, common.timeouts, now) {
                    Ok(mut call) => {
                        call.assume_rate(now, connection.carried(), connection.rtt());
                        return Some((Established { connection, send, recv, call }, None));
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        connection.close(match failed {
            HandshakeError::UnknownHint => close::REFUSED,
            HandshakeError::Clock { .. } => close::CLOCK,
            HandshakeError::Version => close::VERSION,
            _ => close::HANDSHAKE,
        });
        return None;
    }
}

/// Sends message 2 and the answer in one go.
async fn answer_ahead(
    common: &Common,
    accept: Accept,
    offer: &Offer,
    mut bytes: Vec<u8>,
    (connection, mut send, recv): (Connection, SendStream, RecvStream),
) -> Option<Established> {
    let now = common.clock.now();
    let claimed = accept.claimed()?;
    let mut call =
        kring_core::call::Call::ahead(claimed, &common.identity, offer, common.timeouts, now).ok()?;
    call.assume_rate(now, connection.carried(), connection.rtt());
    bytes.extend(call.poll_stream().into_iter().flatten());
    send.write_all(&bytes).await.ok()?;
    Some(Established { connection, send, recv, call })
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
            return decline(&common, established, Reason::BothDialled).await;
        }
    }
    if let Some(consent) = common.standing.take() {
        return give(&common, consent, established).await;
    }
    let Ok(place) = ringing.try_reserve() else {
        return decline(&common, established, Reason::Busy).await;
    };
    let shared = Shared::new(common.clock);
    let offer = established.call.peer_offer().clone();
    let ticket = established.call.ticket();
    let from = established.connection.remote_address();
    let running = shared.clone();
    let task = tokio::spawn(async move {
        let outcome = driver::run(&running, established, None, Offer::default()).await;
        running.over(outcome.end);
    });
    // The app may refuse it at once, and what it says goes to the protocol: wait until the driver has that.
    let _ = shared.stage().wait_for(|stage| *stage != Stage::Dialling).await;
    let call = Some(Call::new(shared.clone(), task));
    place.send(Incoming { call, shared, peer, offer, ticket, from });
}

async fn decline(common: &Common, mut established: Established, reason: Reason) {
    established.call.decline(reason);
    let _ = driver::run(&Shared::new(common.clock), established, None, Offer::default()).await;
}
