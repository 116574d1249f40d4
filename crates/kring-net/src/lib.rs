//! QUIC for Kring: an endpoint that listens and connects on one socket, and connections with one control stream and
//! datagrams.
//!
//! Guarantee: nothing is believed about who is at the other end; each connection offers 32 bytes
//! ([`Connection::exporter`]) that are the same at both ends only if nobody ends TLS in between.
#![forbid(unsafe_code)]

mod connection_id;
#[cfg(feature = "dht")]
pub mod dht;
mod header;
#[cfg(feature = "lan")]
pub mod lan;
#[cfg(feature = "port-mapping")]
pub mod mapping;
pub mod path;
pub mod relay;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod repeat;
#[cfg(not(feature = "fuzzing"))]
mod repeat;
mod socket;
mod tls;
mod transport;
mod varint;
mod window;

#[cfg(feature = "simulation")]
#[doc(hidden)]
pub use quinn::AsyncUdpSocket as SimulatedSocket;
pub use quinn::{RecvStream, SendStream};
pub use tls::{ALPN, CIPHER_SUITE, KEY_EXCHANGE};

use bytes::Bytes;
use path::{Credentials, Link, PathSocket, Paths, Station, Switch, is_name};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AsyncUdpSocket, ClientConfig, ConnectionError, EndpointConfig, Runtime, ServerConfig, TokioRuntime,
    VarInt,
};
use socket::{RepeatingSocket, SetUps};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use transport::{MTU, RELAYED_MTU};

/// Goes nowhere: SNI is off and no certificate is looked at.
pub(crate) const SERVER_NAME: &str = "kring";

/// How long a session with a relay is kept that nobody uses, and how many.
const UNUSED: Duration = Duration::from_secs(30);
const MAX_UNUSED: usize = 64;

/// Settings of an [`Endpoint`].
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// How long a connection outlives silence; longer than a call waits for its peer. Default 45 s.
    pub idle_timeout: Duration,
    /// Where TLS secrets go, to look into captures of tests.
    #[cfg(feature = "dangerous-key-log")]
    pub key_log: Option<Arc<dyn rustls::KeyLog>>,
}

impl Config {
    /// The defaults, listening at `bind`.
    #[must_use]
    pub fn new(bind: SocketAddr) -> Config {
        Config {
            bind,
            idle_timeout: Duration::from_secs(45),
            #[cfg(feature = "dangerous-key-log")]
            key_log: None,
        }
    }
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be had.
    #[error("cannot listen at {address}: {source}{}", hint(.source))]
    Socket {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// TLS refuses its settings.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// No randomness for a key.
    #[error("the source of randomness failed; no key can be made without it")]
    Random,
    /// The idle timeout does not fit QUIC.
    #[error("expected an idle timeout below 2^62 ms, came {came:?}")]
    IdleTimeout {
        /// What was asked for.
        came: Duration,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another program has that port, so choose another or 0",
        io::ErrorKind::AddrNotAvailable => "; no network interface of this machine has that address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege, so choose a higher one",
        _ => "",
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address makes no sense to connect to from here.
    #[error("cannot connect to {address}: {reason}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// Nothing came back, or not what was expected.
    #[error("no connection to {address}: {}", describe(.source))]
    Connection {
        /// Which.
        address: SocketAddr,
        /// How it failed.
        source: ConnectionError,
    },
}

fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::TimedOut => "nothing answered".into(),
        ConnectionError::Reset => "the other side does not know this connection".into(),
        other => other.to_string(),
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The other side closed it with this code.
    ByPeer(u64),
    /// This side closed it.
    Locally,
    /// It broke, or timed out.
    Broken,
}

impl From<ConnectionError> for Closed {
    fn from(error: ConnectionError) -> Closed {
        match error {
            ConnectionError::ApplicationClosed(close) => Closed::ByPeer(close.error_code.into_inner()),
            ConnectionError::LocallyClosed => Closed::Locally,
            _ => Closed::Broken,
        }
    }
}

/// A QUIC endpoint.
#[derive(Clone)]
pub struct Endpoint {
    inner: quinn::Endpoint,
    set_ups: Arc<SetUps>,
    switch: Arc<Switch>,
    relayed: Arc<Relayed>,
    expected: Arc<Mutex<Vec<(Instant, Link)>>>,
}

/// The same settings for connections that begin at a relay, whose packets are a little shorter.
struct Relayed {
    client: ClientConfig,
    server: Arc<ServerConfig>,
}

impl Endpoint {
    /// Listens; has to be called within a tokio runtime.
    ///
    /// # Errors
    /// A [`BindError`].
    pub fn bind(config: &Config) -> Result<Endpoint, BindError> {
        let failed = |source| BindError::Socket { address: config.bind, source };
        let socket = UdpSocket::bind(config.bind).map_err(failed)?;
        let socket = TokioRuntime.wrap_udp_socket(socket).map_err(failed)?;
        let endpoint = Endpoint::over(config, socket, EndpointConfig::default())?;
        tokio::spawn(path::watch_addresses(Arc::downgrade(&endpoint.switch)));
        Ok(endpoint)
    }

    /// Listens on a simulated socket; what QUIC draws by itself (connection ids, padding) comes from `seed`. TLS goes on
    /// drawing from the system.
    ///
    /// # Errors
    /// A [`BindError`].
    #[cfg(feature = "simulation")]
    #[doc(hidden)]
    pub fn simulated(
        config: &Config,
        socket: Arc<dyn AsyncUdpSocket>,
        seed: [u8; 32],
    ) -> Result<Endpoint, BindError> {
        let mut endpoint = EndpointConfig::default();
        endpoint.rng_seed(Some(seed));
        Endpoint::over(config, socket, endpoint)
    }

    fn over(
        config: &Config,
        socket: Arc<dyn AsyncUdpSocket>,
        mut endpoint: EndpointConfig,
    ) -> Result<Endpoint, BindError> {
        // The caller opens the control stream, and nobody any other.
        let transport = |streams, mtu| {
            transport::config(config.idle_timeout, streams, mtu)
                .map(Arc::new)
                .ok_or(BindError::IdleTimeout { came: config.idle_timeout })
        };
        #[allow(unused_mut)]
        let ((mut server_tls, _), mut client_tls) =
            (tls::server(ALPN, &tls::new_key()?)?, tls::client(ALPN, None)?);
        #[cfg(feature = "dangerous-key-log")]
        if let Some(log) = &config.key_log {
            server_tls.key_log = log.clone();
            client_tls.key_log = log.clone();
        }
        let initial = tls::initial()?;
        let server_crypto = QuicServerConfig::with_initial(Arc::new(server_tls), initial);
        let mut server =
            ServerConfig::with_crypto(Arc::new(server_crypto.map_err(|_| tls::no_initial_suite())?));
        transport::bound(&mut server).transport_config(transport(1, MTU)?);
        let mut relayed_server = server.clone();
        relayed_server.transport_config(transport(1, RELAYED_MTU)?);
        let client_crypto = QuicClientConfig::with_initial(Arc::new(client_tls), initial);
        let mut client = ClientConfig::new(Arc::new(client_crypto.map_err(|_| tls::no_initial_suite())?));
        client.transport_config(transport(0, MTU)?).initial_dst_cid_provider(Arc::new(connection_id::first));
        let mut relayed_client = client.clone();
        relayed_client.transport_config(transport(0, RELAYED_MTU)?);

        endpoint.grease_quic_bit(false).cid_generator(|| Box::new(connection_id::Random));
        let runtime = Arc::new(TokioRuntime);
        let (socket, switch) = PathSocket::over(socket);
        let (socket, set_ups) = RepeatingSocket::over(socket);
        let mut inner = quinn::Endpoint::new_with_abstract_socket(endpoint, Some(server), socket, runtime)
            .map_err(|source| BindError::Socket { address: config.bind, source })?;
        inner.set_default_client_config(client);
        let relayed = Arc::new(Relayed { client: relayed_client, server: Arc::new(relayed_server) });
        Ok(Endpoint { inner, set_ups, switch, relayed, expected: Arc::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Connects. Dropping the future gives up.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect(&self, address: SocketAddr) -> Result<Connection, ConnectError> {
        if is_name(&address) {
            let reason = "it is no address on any network".into();
            return Err(ConnectError::Address { address, reason });
        }
        self.connected(address, |quinn| quinn.connect(address, SERVER_NAME)).await
    }

    /// Connects to whoever is at the other end of a relay's session. Dropping the future gives up.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect_through(&self, link: Link) -> Result<Connection, ConnectError> {
        let name = link.name();
        let config = self.relayed.client.clone();
        let connection = self.connected(name, |quinn| quinn.connect_with(config, name, SERVER_NAME)).await?;
        Ok(connection.over(link))
    }

    /// Keeps up a connection to a relay, as long as the [`Station`] is there. Has to be called within a tokio runtime.
    #[must_use]
    pub fn station(&self, relay: relay::RelayAddress) -> Station {
        Station::new(self, relay)
    }

    /// Where relays see this endpoint's packets come from.
    #[must_use]
    pub fn seen_at(&self) -> Vec<SocketAddr> {
        let at_home = self.local_addr().is_ok_and(|own| own.ip().is_loopback());
        let seen = self.switch.seen();
        let seen = seen.borrow();
        seen.iter()
            .map(|(_, address)| *address)
            .filter(|address| path::is_usable(*address, at_home))
            .collect()
    }

    /// Looks after the ways of a connection: under `own` credentials, deciding between ways if `controlling`, which one side has to
    /// be; with anything but the relay only if `direct`. Has to be called within a tokio runtime.
    #[must_use]
    pub fn paths(&self, connection: &Connection, own: Credentials, controlling: bool, direct: bool) -> Paths {
        Paths::over(&self.switch, connection, own, controlling, direct)
    }

    /// Has the router forward a port to this socket, as long as the [`Mapping`](mapping::Mapping) is there. Has to be called within a
    /// tokio runtime.
    #[cfg(feature = "port-mapping")]
    #[must_use]
    pub fn map_port(&self) -> mapping::Mapping {
        mapping::Mapping::new(&self.switch)
    }

    /// All addresses of this machine from which it sends, real ones only, always in one order.
    #[must_use]
    pub fn hosts(&self) -> Vec<SocketAddr> {
        path::hosts(&self.switch)
    }

    /// Says that the network has changed, or that the machine has slept: all ways are looked for anew. What this machine's
    /// addresses tell is noticed without it.
    pub fn network_changed(&self) {
        self.switch.network_changed();
    }

    /// A session with a relay that somebody began with this side and that no connection uses, by what
    /// [both call it](Link::session_name).
    #[must_use]
    pub fn take_session(&self, name: &[u8; 16]) -> Option<Link> {
        self.take(|link| link.session_name() == *name)
    }

    fn take(&self, which: impl Fn(&Link) -> bool) -> Option<Link> {
        let mut expected = self.expected.lock().expect("nothing panics with this lock held");
        let at = expected.iter().position(|(_, link)| which(link))?;
        Some(expected.remove(at).1)
    }

    /// Somebody has a session with this side, and will connect.
    pub(crate) fn expect(&self, link: Link) {
        let mut expected = self.expected.lock().expect("nothing panics with this lock held");
        expected.retain(|(since, _)| since.elapsed() < UNUSED);
        if expected.len() == MAX_UNUSED {
            expected.remove(0);
        }
        expected.push((Instant::now(), link));
    }

    pub(crate) fn switch(&self) -> &Arc<Switch> {
        &self.switch
    }

    /// Connects as a client of another protocol than Kring's calls, beside these on the one socket.
    pub(crate) async fn connect_with(
        &self,
        config: ClientConfig,
        address: SocketAddr,
    ) -> Result<Connection, ConnectError> {
        self.connected(address, |quinn| quinn.connect_with(config, address, SERVER_NAME)).await
    }

    async fn connected(
        &self,
        address: SocketAddr,
        connect: impl FnOnce(&quinn::Endpoint) -> Result<quinn::Connecting, quinn::ConnectError>,
    ) -> Result<Connection, ConnectError> {
        let set_up = SetUp::new(self.set_ups.clone(), address);
        self.set_ups.begin(address);
        let connecting =
            connect(&self.inner).map_err(|e| ConnectError::Address { address, reason: e.to_string() })?;
        match connecting.await {
            Ok(inner) => Ok(Connection::new(inner, set_up)),
            Err(source) => Err(ConnectError::Connection { address, source }),
        }
    }

    /// The next connection that someone begins; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Incoming> {
        self.inner.accept().await.map(|inner| Incoming { inner, endpoint: self.clone() })
    }

    /// Closes all connections at once with `code`.
    pub fn close(&self, code: u64) {
        self.inner.close(VarInt::from_u64(code).unwrap_or(VarInt::MAX), b"");
    }

    /// Waits until the last packets of closed connections are gone.
    pub async fn wait_idle(&self) {
        self.inner.wait_idle().await;
    }
}

/// A connection that someone begins.
pub struct Incoming {
    inner: quinn::Incoming,
    endpoint: Endpoint,
}

impl Incoming {
    /// Where it comes from, as its packets say.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.inner.remote_address()
    }

    /// Completes TLS.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn accept(self) -> Result<Connection, ConnectError> {
        let address = self.remote_address();
        let set_up = SetUp::new(self.endpoint.set_ups.clone(), address);
        let link = if is_name(&address) { self.endpoint.take(|link| link.name() == address) } else { None };
        let relayed = self.endpoint.relayed.server.clone();
        let accepted = match link {
            Some(_) => self.inner.accept_with(relayed),
            None => self.inner.accept(),
        };
        let connected = match accepted {
            Ok(connecting) => connecting.await,
            Err(source) => Err(source),
        };
        match connected {
            Ok(inner) => {
                let connection = Connection::new(inner, set_up);
                Ok(match link {
                    Some(link) => connection.over(link),
                    None => connection,
                })
            }
            Err(source) => Err(ConnectError::Connection { address, source }),
        }
    }

    /// Whether whoever begins it has shown that packets reach it at the address that it names.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.inner.remote_address_validated()
    }

    /// Lets it show that (RFC 9000, section 8.1.2): it has to begin again, and nothing is kept of it until then.
    pub fn validate(self) {
        if let Err(error) = self.inner.retry() {
            error.into_incoming().refuse();
        }
    }

    /// Says nothing to it.
    pub fn ignore(self) {
        self.inner.ignore();
    }

    /// Turns it away.
    pub fn refuse(self) {
        self.inner.refuse();
    }
}

/// Tells the socket what became of a connection.
struct SetUp {
    set_ups: Arc<SetUps>,
    address: SocketAddr,
    connected: bool,
    began: Instant,
}

impl SetUp {
    fn new(set_ups: Arc<SetUps>, address: SocketAddr) -> SetUp {
        SetUp { set_ups, address, connected: false, began: Instant::now() }
    }
}

impl Drop for SetUp {
    fn drop(&mut self) {
        if self.connected {
            self.set_ups.disconnected(self.address);
        } else {
            self.set_ups.failed(self.address);
        }
    }
}

/// A QUIC connection.
///
/// What is sent before the first datagram is repeated, unasked, until it is [answered](Connection::answered).
#[derive(Clone)]
pub struct Connection {
    inner: quinn::Connection,
    set_up: Arc<SetUp>,
    settled: Arc<AtomicBool>,
    link: Option<Link>,
}

impl Connection {
    fn new(inner: quinn::Connection, mut set_up: SetUp) -> Connection {
        set_up.connected = true;
        set_up.set_ups.connected(set_up.address);
        Connection { inner, set_up: Arc::new(set_up), settled: Arc::default(), link: None }
    }

    /// It runs over that session, which it keeps.
    fn over(self, link: Link) -> Connection {
        Connection { link: Some(link), ..self }
    }

    /// The relay's session that it was begun over.
    pub(crate) fn link(&self) -> Option<Link> {
        self.link.clone()
    }

    /// Whether it was begun through a relay.
    #[must_use]
    pub fn is_through_relay(&self) -> bool {
        self.link.is_some()
    }

    /// Says that the other side has answered what was sent so far, so that it need not be repeated any more.
    pub fn answered(&self) {
        self.set_up.set_ups.answered(self.inner.remote_address());
    }

    /// Nothing more of the set-up is repeated.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
        self.set_up.set_ups.settle(self.inner.remote_address());
    }

    /// The key that the server proved to hold, as a SubjectPublicKeyInfo (RFC 7250).
    pub(crate) fn peer_key(&self) -> Option<Vec<u8>> {
        let keys =
            self.inner.peer_identity()?.downcast::<Vec<rustls::pki_types::CertificateDer<'_>>>().ok()?;
        Some(keys.first()?.to_vec())
    }

    /// 32 bytes under `label` that both ends share with nobody else (RFC 8446, section 7.5).
    #[must_use]
    pub fn exporter(&self, label: &[u8]) -> Option<[u8; 32]> {
        let mut out = [0; 32];
        self.inner.export_keying_material(&mut out, label, b"").ok()?;
        Some(out)
    }

    /// Opens the control stream.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn open_stream(&self) -> Result<(SendStream, RecvStream), Closed> {
        Ok(self.inner.open_bi().await?)
    }

    /// Waits for the other side to open the control stream.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn accept_stream(&self) -> Result<(SendStream, RecvStream), Closed> {
        Ok(self.inner.accept_bi().await?)
    }

    /// Sends a datagram as soon as the few bytes of buffer below have room. After the first, nothing more is repeated.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn send_datagram(&self, datagram: Vec<u8>) -> Result<(), Closed> {
        if !self.settled.load(Ordering::Relaxed) {
            self.set_up.set_ups.left(self.inner.remote_address()).await;
            self.settle();
        }
        match self.inner.send_datagram_wait(Bytes::from(datagram)).await {
            Ok(()) => Ok(()),
            Err(quinn::SendDatagramError::ConnectionLost(error)) => Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, "a datagram was not sent");
                Ok(())
            }
        }
    }

    /// Sets how many bytes may be on their way at once: a safety net under the caller's own rate control.
    pub fn set_window(&self, bytes: u64) {
        if let Ok(window) = self.inner.congestion_state().into_any().downcast::<window::Window>() {
            window.set(bytes);
        }
    }

    /// The next datagram. Cancel-safe.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn read_datagram(&self) -> Result<Bytes, Closed> {
        Ok(self.inner.read_datagram().await?)
    }

    /// Closes at once, with a code for the other side.
    pub fn close(&self, code: u64) {
        self.inner.close(VarInt::from_u64(code).unwrap_or(VarInt::MAX), b"");
    }

    /// How it ended, once it has.
    pub async fn closed(&self) -> Closed {
        self.inner.closed().await.into()
    }

    /// Where the other side is now, or what stands for it: see [`path::is_name`].
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.inner.remote_address()
    }

    /// QUIC's estimate of the round trip.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.inner.rtt()
    }

    /// Bits a second that went to and fro since the connection began, headers of IP and UDP included. Asked at the end of
    /// the set-up, where each flight waits for the one before, it is no more than the way carries.
    #[must_use]
    pub fn carried(&self) -> f64 {
        let stats = self.inner.stats();
        let bytes =
            stats.udp_tx.bytes + stats.udp_rx.bytes + 28 * (stats.udp_tx.datagrams + stats.udp_rx.datagrams);
        bytes as f64 * 8.0 / self.set_up.began.elapsed().as_secs_f64().max(0.001)
    }

    /// Bytes of UDP payload sent so far.
    #[must_use]
    pub fn udp_bytes_sent(&self) -> u64 {
        self.inner.stats().udp_tx.bytes
    }
}
