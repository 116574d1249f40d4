//! What an endpoint is made of.

use super::accept::accept_all;
use super::door::Doors;
use super::relays::{Relays, keep_listening};
use super::{Common, Door, Endpoint, Inner, MAX_RINGING};
use crate::clock::{Clock, wall};
use crate::dial::Dials;
use crate::find::{Finder, keep_findable};
use crate::home::Home;
use crate::people::Acquaintances;
use crate::standing::Standing;
use kring_core::call::Timeouts;
use kring_core::crypto::{Provider, default_provider};
use kring_core::handshake::Acceptor;
use kring_core::identity::Identity;
use kring_net::BindError;
use kring_net::relay::RelayAddress;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Settings of an [`Endpoint`].
#[must_use]
pub struct EndpointBuilder {
    pub(super) identity: Option<Identity>,
    pub(super) net: kring_net::Config,
    pub(super) timeouts: Timeouts,
    pub(super) home: Option<Home>,
    pub(super) contacts_only: bool,
    pub(super) lobby: bool,
    pub(super) relay: Option<RelayAddress>,
    pub(super) relay_only: bool,
    pub(super) find: crate::find::Settings,
    #[cfg(feature = "simulation")]
    pub(super) simulation: Option<crate::simulation::Simulation>,
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

    /// Keeps tickets and contacts in `home`, so that they outlive the endpoint, and lets through whom `home` knows already.
    /// In each call of this endpoint that is answered, the two sides agree on a secret by which they can call each other
    /// again, if both want that: see [`Endpoint::keep`]. Without this, tickets end with the endpoint, and there are no
    /// contacts.
    pub fn home(mut self, home: Home) -> EndpointBuilder {
        self.home = Some(home);
        self
    }

    /// Lets nobody through but contacts, whatever ticket they hold; all others are dropped before any Diffie-Hellman.
    /// Default: false.
    pub fn contacts_only(mut self, contacts_only: bool) -> EndpointBuilder {
        self.contacts_only = contacts_only;
        self
    }

    /// Has everybody who comes by a ticket wait until [`Endpoint::knock`] lets them in. Contacts ring at once. Default: false,
    /// and only those wait whose passcode was guessed too often.
    pub fn lobby(mut self, lobby: bool) -> EndpointBuilder {
        self.lobby = lobby;
        self
    }

    /// Listens at this relay as well, and names it in tickets, so that it can be called where no address of this machine is reached.
    /// The relay is trusted with nothing: it sees addresses, sizes and times.
    pub fn relay(mut self, relay: RelayAddress) -> EndpointBuilder {
        self.relay = Some(relay);
        self
    }

    /// Calls go through relays only: the other side does not learn this side's addresses, which stand in no ticket either, nor
    /// is anybody called at an address. Without a [`relay`](EndpointBuilder::relay) nobody can call here. No port is mapped then, nothing is
    /// said or asked on the local network, and nothing left or looked for in the DHT, whatever else was set. Default: false.
    pub fn relay_only(mut self, relay_only: bool) -> EndpointBuilder {
        self.relay_only = relay_only;
        self
    }

    /// Asks the router to forward a port to this endpoint, by PCP (RFC 6887) or NAT-PMP (RFC 6886); tickets
    /// name it, and it is a candidate for calls' direct ways. The router learns that somebody
    /// here wants a port; it is given back when the endpoint closes. Default: false.
    #[cfg(feature = "port-mapping")]
    pub fn port_mapping(mut self, port_mapping: bool) -> EndpointBuilder {
        self.find.port_mapping = port_mapping;
        self
    }

    /// Says on the local network (by mDNS) where this endpoint is, so that holders of its tickets and contacts find it there, and looks
    /// for those whom it dials. Everybody on that network sees that somebody here uses Kring; who, only those do who share a secret
    /// with this side. Default: false.
    #[cfg(feature = "lan")]
    pub fn lan(mut self, lan: bool) -> EndpointBuilder {
        self.find.lan = lan;
        self
    }

    /// Leaves in BitTorrent's DHT, for each contact under a place of its own that changes daily, at which [`relay`](EndpointBuilder::relay) this
    /// endpoint waits, and looks there for contacts whom it dials. What is left is encrypted for the one contact and names no address; but
    /// the DHT's nodes see from which address it is left, and when. Default: false.
    #[cfg(feature = "dht")]
    pub fn dht(mut self, dht: bool) -> EndpointBuilder {
        self.find.dht = dht;
        self
    }

    /// Begins at these nodes of the DHT (HOST:PORT) rather than where BitTorrent's clients begin.
    #[cfg(feature = "dht")]
    pub fn dht_nodes(mut self, nodes: Vec<String>) -> EndpointBuilder {
        self.find.dht_nodes = Some(nodes);
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
        let mut acceptor = Acceptor::new(identity.clone(), provider.clone());
        acceptor.set_contacts_only(self.contacts_only);
        let (doors, knocks) = Doors::new(self.lobby);
        let shared = Arc::new(Common {
            doors,
            door: Mutex::new(Door { acceptor, version: 0 }),
            offers_contacts: self.home.is_some(),
            home: self.home.unwrap_or_else(Home::in_memory),
            met: Acquaintances::default(),
            relays: Relays::new(&net, self.relay, self.relay_only),
            finder: Finder::new(&net, self.find, self.relay_only),
            identity,
            provider,
            net,
            clock,
            timeouts: self.timeouts,
            dials: Dials::default(),
            standing: Standing::default(),
        });
        tokio::spawn(keep_listening(Arc::downgrade(&shared)));
        keep_findable(&shared);
        let accepting = tokio::spawn(accept_all(shared.clone(), ringing));
        Ok(Endpoint {
            inner: Arc::new(Inner {
                common: shared,
                incoming: tokio::sync::Mutex::new(incoming),
                knocks: tokio::sync::Mutex::new(knocks),
                accepting,
            }),
        })
    }
}
