//! A running relay: its threads, its endpoint, and how it ends.
//!
//! Guarantee: all that was begun by [`Relay::start`] has ended when [`Relay::stop`] or [`Relay::drain`] returns, and soon
//! after the value is dropped.

use crate::config::{Config, ConfigError};
use crate::control::{End, PACKETS, Seat, serve};
use crate::forward::Forwarder;
use crate::key::{self, KeyError};
use crate::limits::Origin;
use crate::metrics::{self, Metrics, count};
use crate::port::Port;
use crate::quic::{self, Inbox, QuicSocket};
use crate::shared::{Last, Shared};
use crate::sockets;
use kring_net::relay::frame::{self, MESSAGE};
use kring_net::relay::hop::{
    self, CLOSE_DONE, CLOSE_MALFORMED, CLOSE_REFUSED, CLOSE_STOPPING, EXPORTER, RelayKey,
};
use kring_net::relay::message::{About, Reply};
use kring_net::relay::{Pin, Reason};
use quinn::udp::UdpSocketState;
use quinn::{Endpoint, ServerConfig, TokioRuntime, VarInt};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Handshakes under way from which on an address has to be shown to be real first.
const UNPROVEN: usize = 256;
/// Connections that begin at a time.
const BEGINNING: usize = 4096;
/// What their first packets may take together.
const BEGINNING_BYTES: u64 = 16 << 20;
/// TLS handshakes over TCP at a time.
const TCP_BEGINNING: usize = 256;
/// How long a handshake, or the first stream after it, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last word to a client may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long clients have to read that the relay drains, even if nothing else keeps it.
const LAST_WORD: Duration = Duration::from_millis(250);

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its settings make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It has no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An address can't be had.
    #[error("cannot listen at {address}: {source}{}", hint(.source))]
    Socket {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// TLS refuses its settings.
    #[error(transparent)]
    Tls(#[from] kring_net::BindError),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another program has that port",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege: CAP_NET_BIND_SERVICE on Linux, as the systemd unit has it"
        }
        _ => "",
    }
}

/// A relay that runs.
pub struct Relay {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    /// Gone once QUIC has let go of it.
    quic: Weak<QuicSocket>,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    /// True once it has to end.
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Starts one; has to be called within a tokio runtime.
    ///
    /// # Errors
    /// A [`StartError`].
    pub async fn start(config: Config) -> Result<Relay, StartError> {
        config.check()?;
        let key = key::load(config.key_file.as_deref())?;
        let pin = key.pin()?;
        let failed = |source| StartError::Socket { address: config.bind, source };
        let (sockets, tcp) = sockets::open(config.bind, config.threads, config.tcp).map_err(failed)?;
        let address = sockets[0].local_addr().map_err(failed)?;
        let own = |socket: &UdpSocket| socket.try_clone().map_err(failed);

        let shared = Arc::new(Shared::new(&config, &key, pin, own(&sockets[0])?));
        let inbox = Arc::new(Inbox::default());
        let socket = QuicSocket::new(own(&sockets[0])?, inbox.clone()).map_err(failed)?;
        let quic = Arc::downgrade(&socket);
        let server = server(&key)?;
        let runtime = Arc::new(TokioRuntime);
        let endpoint =
            Endpoint::new_with_abstract_socket(quic::endpoint_config(&key), Some(server), socket, runtime)
                .map_err(failed)?;

        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let metrics_address = match config.metrics {
            None => None,
            Some(address) => {
                let failed = |source| StartError::Socket { address, source };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                let shared = shared.clone();
                tasks.spawn(metrics::serve(listener, move || {
                    shared.show();
                    shared.metrics.text()
                }));
                Some(address)
            }
        };
        if let Some(tcp) = tcp {
            let listener = TcpListener::from_std(tcp).map_err(failed)?;
            let tls = TlsAcceptor::from(Arc::new(hop::tls_server(&key)?));
            tasks.spawn(accept_tcp(shared.clone(), listener, tls, stopped.clone()));
        }
        tasks.spawn(accept_quic(shared.clone(), endpoint.clone(), inbox.clone()));
        tasks.spawn(tick(shared.clone()));
        let mut threads = Vec::new();
        for (index, socket) in sockets.into_iter().enumerate() {
            threads.push(forwarder(&shared, &inbox, socket, index, stopped.clone()).map_err(failed)?);
        }
        Ok(Relay { shared, endpoint, quic, address, metrics_address, stop, tasks, threads })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// By what clients know it.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.shared.pin
    }

    /// Where it shows its metrics.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// What it has counted, and what there is now.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.shared.show();
        &self.shared.metrics
    }

    /// Takes nothing new and tells its clients; returns when no session is left, or when the time that the settings give
    /// is over, and then stops.
    pub async fn drain(self, within: Duration) {
        self.shared.begin_drain();
        let begun = Instant::now();
        // Closing at once would take back what they were just told.
        tokio::time::sleep(LAST_WORD.min(within)).await;
        while !self.shared.sessions.is_empty() && begun.elapsed() < within {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.stop().await;
    }

    /// Ends at once; clients are told by the closing of their connections.
    pub async fn stop(mut self) {
        self.endpoint.close(VarInt::from_u32(CLOSE_STOPPING), b"");
        // The forwarders bring what clients answer to that, so they go after it.
        let _ = timeout(FAREWELL, self.endpoint.wait_idle()).await;
        self.stop.send_replace(true);
        self.tasks.shutdown().await;
        let threads = std::mem::take(&mut self.threads);
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|t| drop(t.join()))).await;
        // What is cancelled goes when its turn comes; then the port is free.
        let (shared, quic) = (Arc::downgrade(&self.shared), self.quic.clone());
        drop(self);
        let _ = timeout(FAREWELL, async {
            while shared.strong_count() + quic.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.endpoint.close(VarInt::from_u32(CLOSE_STOPPING), b"");
    }
}

fn server(key: &RelayKey) -> Result<ServerConfig, kring_net::BindError> {
    let mut server = hop::quic_server(key)?;
    server.max_incoming(BEGINNING).incoming_buffer_size(8 << 10).incoming_buffer_size_total(BEGINNING_BYTES);
    Ok(server)
}

/// A thread that forwards.
fn forwarder(
    shared: &Arc<Shared>,
    inbox: &Arc<Inbox>,
    socket: UdpSocket,
    index: usize,
    stopped: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let state = UdpSocketState::new((&socket).into())?;
    let (sessions, metrics, inbox) = (shared.sessions.clone(), shared.metrics.clone(), inbox.clone());
    let limit = shared.limits.session_mbit * 1e6;
    let busy = shared.busy[index].clone();
    let port = Port::new(socket)?;
    std::thread::Builder::new().name("kring-forward".into()).spawn(move || {
        let forwarder = Forwarder { port, state, sessions, metrics, inbox, limit, busy };
        if let Err(error) = forwarder.run(&stopped) {
            tracing::error!(%error, "a socket is lost");
        }
    })
}

/// Once a second.
async fn tick(shared: Arc<Shared>) {
    let mut last = Last { busy: vec![0; shared.busy.len()], bytes: 0 };
    let mut before = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = Instant::now();
        shared.tick(now, now.duration_since(before), &mut last);
        before = now;
    }
}

/// Why nobody is taken any more.
fn no_more_clients(shared: &Shared) -> Option<Reason> {
    match shared.clients().len() >= shared.limits.max_clients {
        _ if shared.is_draining() => Some(Reason::Draining),
        true => Some(Reason::Full),
        false => None,
    }
}

/// Why a client is turned away when it has just come. If it is not, it counts as one of its origin.
fn admit(shared: &Shared, origin: Origin) -> Option<Reason> {
    let reason = no_more_clients(shared);
    let enters = reason.is_none() && shared.origins().enter(origin, Instant::now());
    reason.or((!enters).then_some(Reason::TooMuch))
}

async fn accept_quic(shared: Arc<Shared>, endpoint: Endpoint, inbox: Arc<Inbox>) {
    let mut clients = JoinSet::new();
    let beginning = Arc::new(Semaphore::new(BEGINNING));
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = clients.join_next() => continue,
        };
        let Some(incoming) = incoming else { break };
        let Ok(place) = beginning.clone().try_acquire_owned() else {
            incoming.ignore();
            continue;
        };
        let crowded = BEGINNING - beginning.available_permits() > UNPROVEN;
        if crowded && !incoming.remote_address_validated() {
            let _ = incoming.retry();
            continue;
        }
        let (shared, inbox) = (shared.clone(), inbox.clone());
        clients.spawn(async move {
            let Ok(Ok(connection)) = timeout(PATIENCE, incoming).await else { return };
            inbox.answered(connection.remote_address());
            let origin = Origin::from(connection.remote_address().ip());
            let refused = admit(&shared, origin);
            // Those that are sent away keep their place until then, so that there are never more of them.
            let _place = refused.is_some().then_some(place);
            if let Ok(Ok((writer, reader))) = timeout(PATIENCE, connection.accept_bi()).await {
                Box::pin(quic_client(&shared, connection, writer, reader, refused)).await;
            }
            if refused.is_none() {
                shared.origins().leave(origin);
            }
        });
    }
    while clients.join_next().await.is_some() {}
}

async fn quic_client(
    shared: &Arc<Shared>,
    connection: quinn::Connection,
    mut writer: quinn::SendStream,
    reader: quinn::RecvStream,
    refused: Option<Reason>,
) {
    let code = if let Some(reason) = refused {
        let refused = shared.refusal(reason);
        let reply = Reply::Refused { about: About::Client, refused }.encode();
        if frame::write(&mut writer, MESSAGE, &reply).await.is_ok() && writer.finish().is_ok() {
            // Closing at once would take the message back.
            let _ = timeout(FAREWELL, writer.stopped()).await;
        }
        CLOSE_REFUSED
    } else {
        count(&shared.metrics.clients_quic_total);
        let mut exporter = [0; 32];
        let end = match connection.export_keying_material(&mut exporter, EXPORTER, b"") {
            Ok(()) => serve(shared, Seat::Quic(connection.clone()), exporter, reader, writer, None).await,
            Err(_) => End::Malformed,
        };
        match end {
            End::Gone => CLOSE_DONE,
            End::Malformed => CLOSE_MALFORMED,
            End::TooMuch => CLOSE_REFUSED,
        }
    };
    connection.close(VarInt::from_u32(code), b"");
}

async fn accept_tcp(
    shared: Arc<Shared>,
    listener: TcpListener,
    tls: TlsAcceptor,
    mut stopped: watch::Receiver<bool>,
) {
    let mut clients = JoinSet::new();
    let beginning = Arc::new(Semaphore::new(TCP_BEGINNING));
    loop {
        let place = beginning.clone().acquire_owned().await.expect("it is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = clients.join_next() => continue,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, address)) = accepted else {
            // Out of file descriptors, most likely.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let origin = Origin::from(address.ip());
        // Before TLS, so that nobody takes all places by saying nothing.
        if !shared.origins().enter(origin, Instant::now()) {
            count(&shared.metrics.refused_limit_total);
            continue;
        }
        let (shared, tls) = (shared.clone(), tls.clone());
        clients.spawn(async move {
            let tls = timeout(PATIENCE, async {
                stream.set_nodelay(true)?;
                tls.accept(stream).await
            });
            let tls = tls.await;
            drop(place);
            if let Ok(Ok(stream)) = tls {
                Box::pin(tcp_client(&shared, stream, address)).await;
            }
            shared.origins().leave(origin);
        });
    }
}

async fn tcp_client(
    shared: &Arc<Shared>,
    mut stream: tokio_rustls::server::TlsStream<TcpStream>,
    address: SocketAddr,
) {
    if let Some(reason) = no_more_clients(shared) {
        let reply = Reply::Refused { about: About::Client, refused: shared.refusal(reason) }.encode();
        let _ = timeout(FAREWELL, async {
            frame::write(&mut stream, MESSAGE, &reply).await?;
            stream.shutdown().await
        })
        .await;
        return;
    }
    count(&shared.metrics.clients_tcp_total);
    if let Ok(exporter) = stream.get_ref().1.export_keying_material([0; 32], EXPORTER, None) {
        let (reader, writer) = tokio::io::split(stream);
        let (queue, packets) = mpsc::channel(PACKETS);
        serve(shared, Seat::Tcp(address, queue), exporter, reader, writer, Some(packets)).await;
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sessions = self.shared.metrics.sessions.load(Ordering::Relaxed);
        f.debug_struct("Relay").field("sessions", &sessions).finish_non_exhaustive()
    }
}
