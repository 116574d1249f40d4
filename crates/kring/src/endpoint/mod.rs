//! One identity on one socket: gives out tickets, dials, and takes calls.

mod accept;
mod builder;
mod door;
mod incoming;
mod people;
pub(crate) mod relays;

pub use builder::EndpointBuilder;
pub use door::Knock;
pub use incoming::Incoming;

use crate::call::Call;
use crate::clock::Clock;
use crate::dial::{Dials, Target};
use crate::find::{Finder, Finds};
use crate::home::Home;
use crate::media::Media;
use crate::people::Acquaintances;
use crate::shared::Shared;
use crate::standing::{self, Standing};
use kring_core::call::Timeouts;
use kring_core::control::Reason;
use kring_core::crypto::Provider;
use kring_core::handshake::{Acceptor, Counters};
use kring_core::identity::{Identity, PublicIdentity};
use kring_core::ticket::{MAX_ADDRESSES, Ticket};
use kring_core::verify::Pin;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Handshakes of strangers that may be under way at once.
const MAX_HANDSHAKES: usize = 64;
/// With fewer places left, strangers have to show first that their address is theirs.
const SCARCE: usize = MAX_HANDSHAKES / 2;
/// Calls that may ring at once; further callers are told that it is busy.
const MAX_RINGING: usize = 8;

/// What an endpoint's tasks share.
pub(crate) struct Common {
    pub(crate) identity: Arc<Identity>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) net: kring_net::Endpoint,
    pub(crate) clock: Clock,
    pub(crate) timeouts: Timeouts,
    pub(crate) dials: Dials,
    pub(crate) standing: Standing,
    pub(crate) home: Home,
    /// Whether the app has said where contacts are kept.
    pub(crate) offers_contacts: bool,
    pub(crate) met: Acquaintances,
    pub(crate) relays: relays::Relays,
    pub(crate) finder: Finder,
    doors: door::Doors,
    door: Mutex<Door>,
}

/// The acceptor, and the version of the lists that it knows.
struct Door {
    acceptor: Acceptor,
    version: u64,
}

impl Common {
    /// Does something with the acceptor, which knows the lists as they are now.
    pub(crate) fn acceptor<T>(&self, f: impl FnOnce(&mut Acceptor) -> T) -> T {
        let mut door = self.door.lock().expect("nothing panics with this lock held");
        let version = self.home.version();
        if door.version != version {
            door.version = version;
            self.home.read(|book| door.acceptor.admit(&book.tickets, &book.contacts));
        }
        f(&mut door.acceptor)
    }

    /// The addresses under which others may reach this endpoint.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = self.own_addresses();
        addresses.truncate(MAX_ADDRESSES - 1);
        addresses.extend(self.finder.mapped().filter(is_public));
        addresses
    }

    /// Those of this machine.
    fn own_addresses(&self) -> Vec<SocketAddr> {
        let Ok(bound) = self.net.local_addr() else { return Vec::new() };
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
        [first(false), first(true)]
            .into_iter()
            .flatten()
            .map(|ip| SocketAddr::new(ip, bound.port()))
            .collect()
    }
}

/// Whether an address that a router forwards from means the same to everybody: behind a second router it would lead a caller to
/// somebody else.
fn is_public(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64; // RFC 6598
            !ip.is_private() && !ip.is_link_local() && !shared
        }
        IpAddr::V6(_) => true,
    }
}

impl Common {
    /// The same, and where relays see this endpoint.
    fn places(&self) -> Vec<SocketAddr> {
        let mut places = self.addresses();
        let seen = self.net.seen_at().into_iter().filter(|seen| !places.contains(seen));
        let seen: Vec<_> = seen.collect();
        places.extend(seen);
        places.truncate(MAX_ADDRESSES);
        places
    }
}

/// Why a relay is not reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct RelayError(String);

struct Inner {
    common: Arc<Common>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Incoming>>,
    knocks: tokio::sync::Mutex<mpsc::Receiver<Knock>>,
    accepting: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.accepting.abort();
        self.common.standing.clear();
        self.common.finder.stop();
    }
}

/// One identity on one socket. Clones are the same endpoint; when the last is dropped it takes no calls any more, while
/// calls that are under way go on.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kring::{DEFAULT_LIFETIME, Endpoint};
///
/// let endpoint = Endpoint::builder().bind("127.0.0.1:0".parse()?).build()?;
/// let ticket = endpoint.ticket(DEFAULT_LIFETIME)?;
/// assert!(ticket.to_string().starts_with("kring1"));
/// assert_eq!(ticket.to_string().parse::<kring::Ticket>()?.id(), ticket.id());
/// endpoint.close().await;
/// assert!(endpoint.incoming().await.is_none());
/// # Ok(())
/// # }
/// ```
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
            home: None,
            contacts_only: false,
            lobby: false,
            relay: None,
            relay_only: false,
            find: crate::find::Settings::default(),
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

    /// The addresses under which others may reach this endpoint: the one it is bound to, or those of the machine's
    /// interfaces (of each kind the first, real ones before loopback); and one that a router forwards.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.common().addresses()
    }

    /// Dials. The call begins at once and tells by its events how it goes on; [`Call::connected`] waits for the answer.
    ///
    /// If the holder of the ticket dials this endpoint at the same time, the two become one call.
    ///
    /// Has to be called within a tokio runtime.
    pub fn dial(&self, ticket: &Ticket, media: Media) -> Call {
        self.dial_target(Target::ticket(ticket), None, media)
    }

    /// Dials somebody who is known: with another identity than `pin` says, they are [`KeyChanged`](crate::KeyChanged), and no
    /// media flows before a person has accepted that. Else like [`dial`](Endpoint::dial).
    pub fn dial_expecting(&self, ticket: &Ticket, pin: Pin, media: Media) -> Call {
        self.dial_target(Target::ticket(ticket), Some(pin), media)
    }

    fn dial_target(&self, target: Target, expected: Option<Pin>, media: Media) -> Call {
        let shared = Shared::new(self.common().clock);
        shared.switches.begin_with(&media);
        let dialling =
            crate::dial::dial(self.common().clone(), shared.clone(), target, expected, Box::new(media));
        let task = tokio::spawn(dialling);
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
        shared.switches.begin_with(&media);
        let waiting = standing::answer(self.common(), shared.clone(), Box::new(media));
        Call::new(shared, tokio::spawn(waiting))
    }

    /// The next caller; `None` once the endpoint is closed. Dropping the future loses nobody.
    pub async fn incoming(&self) -> Option<Incoming> {
        self.inner.incoming.lock().await.recv().await
    }

    /// The next one who waits to be let in; `None` once the endpoint is closed. An app that never asks lets nobody in. Dropping
    /// the future loses nobody.
    pub async fn knock(&self) -> Option<Knock> {
        self.inner.knocks.lock().await.recv().await
    }

    /// Waits until the relay at which this endpoint listens is reached. Without one, that is at once.
    ///
    /// # Errors
    /// Why it is not, or which other process listens there for the same [`Home`](crate::Home), so that whoever comes by the relay
    /// rings there; it is tried again and again all the same.
    pub async fn relay_reached(&self) -> Result<(), RelayError> {
        let common = self.common();
        let Some(own) = common.relays.own() else { return Ok(()) };
        own.reached().await.map_err(|error| RelayError(error.to_string()))?;
        common.relays.is_our_turn(&common.home).map_err(|error| RelayError(error.to_string()))
    }

    /// Waits until a router forwards a port, or none does, which is known after ten seconds at most. Without
    /// [`port_mapping`](EndpointBuilder::port_mapping), that is `None` at once.
    ///
    /// # Errors
    /// Why none does; it is tried again all the same.
    #[cfg(feature = "port-mapping")]
    pub async fn port_mapped(&self) -> Result<Option<SocketAddr>, kring_net::mapping::MappingError> {
        self.common().finder.port_mapped().await
    }

    /// What came of looking for others on the local network and in the DHT.
    #[must_use]
    pub fn finds(&self) -> Finds {
        self.common().finder.finds()
    }

    /// Says that the network has changed, or that the machine has slept: calls look for other ways at once. What this machine's
    /// addresses tell is noticed without it, within 200 ms.
    pub fn network_changed(&self) {
        self.common().net.network_changed();
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
        self.common().finder.close().await;
        let _ = timeout(Duration::from_secs(1), self.common().relays.release()).await;
        self.common().net.close(Reason::GoingAway.code());
        let _ = timeout(Duration::from_secs(1), self.common().net.wait_idle()).await;
    }
}
