//! A connection to a relay: its control stream as messages, and packets beside it. docs/protocol.md, section 14.
//!
//! Guarantee: at most one frame is buffered, and as many packets as one connection may have waiting.

use super::socket::{Packets, Split};
use crate::link::Came;
use crate::log::Fault;
use crate::messages::{among_unknown, field, numbered};
use crate::side::Message;
use crate::tls::{Offered, client};
use kring_core::fuzzing::raw;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError, EndpointConfig, TokioRuntime};
use rustls::pki_types::{CertificateDer, ServerName};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

pub(super) const ALPN: &[u8] = b"kring-relay/1";
const EXPORTER: &[u8] = b"EXPORTER-kring-relay-1";
/// The most that a frame's length says.
const MAX_FRAME: usize = 2049;

pub(super) const LISTEN: u64 = 1;
pub(super) const UNLISTEN: u64 = 2;
pub(super) const DIAL: u64 = 3;
pub(super) const REJOIN: u64 = 4;
pub(super) const CLOSE: u64 = 5;
pub(super) const PING: u64 = 6;
pub(super) const OBSERVED: u64 = 16;
pub(super) const LISTENING: u64 = 17;
pub(super) const SESSION: u64 = 18;
pub(super) const REFUSED: u64 = 19;
pub(super) const CLOSED: u64 = 20;
pub(super) const DRAINING: u64 = 21;
pub(super) const PONG: u64 = 22;

/// How a client is connected.
enum Way {
    Quic {
        connection: quinn::Connection,
        socket: std::net::UdpSocket,
        packets: Packets,
        _endpoint: quinn::Endpoint,
    },
    Tcp(VecDeque<Vec<u8>>),
}

/// A connection to a relay.
pub(super) struct Client {
    way: Way,
    send: Box<dyn AsyncWrite + Unpin + Send>,
    recv: Box<dyn AsyncRead + Unpin + Send>,
    buffer: Vec<u8>,
    relay: SocketAddr,
    /// SHA-256 of the relay's key, and TLS's exporter.
    pub(super) pin: [u8; 32],
    pub(super) exporter: [u8; 32],
    patience: Duration,
}

fn no_connection(came: impl std::fmt::Display) -> Fault {
    Fault::new("14.1", "a connection", "TLS as in section 4 with ALPN kring-relay/1", came)
}

fn pin(key: &[CertificateDer<'_>]) -> Result<[u8; 32], Fault> {
    let key = key.first().ok_or_else(|| no_connection("no key of the relay's"))?;
    Ok(Sha256::digest(key.as_ref()).into())
}

/// Any address of this machine, of the same family.
pub(super) fn here(relay: SocketAddr) -> SocketAddr {
    if relay.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() }
}

impl Client {
    /// By QUIC.
    pub(super) async fn quic(relay: SocketAddr, patience: Duration) -> Result<Client, Fault> {
        let socket = std::net::UdpSocket::bind(here(relay)).map_err(no_connection)?;
        let own = socket.try_clone().map_err(no_connection)?;
        let (split, packets) = Split::new(socket).map_err(no_connection)?;
        let mut config = EndpointConfig::default();
        config.grease_quic_bit(false);
        let endpoint = quinn::Endpoint::new_with_abstract_socket(config, None, split, Arc::new(TokioRuntime));
        let endpoint = endpoint.map_err(no_connection)?;
        let (tls, initial) = client(Offered::right(ALPN), None).map_err(no_connection)?;
        let crypto = QuicClientConfig::with_initial(Arc::new(tls), initial).map_err(no_connection)?;
        let connecting = endpoint.connect_with(ClientConfig::new(Arc::new(crypto)), relay, "kring");
        let connecting = connecting.map_err(no_connection)?;
        let connection = timeout(patience, connecting).await;
        let connection = connection.map_err(no_connection)?.map_err(no_connection)?;
        let key =
            connection.peer_identity().and_then(|key| key.downcast::<Vec<CertificateDer<'static>>>().ok());
        let pin = pin(key.as_deref().map_or(&[][..], Vec::as_slice))?;
        let mut exporter = [0; 32];
        if connection.export_keying_material(&mut exporter, EXPORTER, b"").is_err() {
            return Err(no_connection("no exporter"));
        }
        let stream = timeout(patience, connection.open_bi()).await;
        let (send, recv) = stream.map_err(no_connection)?.map_err(no_connection)?;
        let way = Way::Quic { connection, socket: own, packets, _endpoint: endpoint };
        let (send, recv) = (Box::new(send), Box::new(recv));
        Ok(Client { way, send, recv, buffer: Vec::new(), relay, pin, exporter, patience })
    }

    /// By TLS over TCP.
    pub(super) async fn tcp(relay: SocketAddr, patience: Duration) -> Result<Client, Fault> {
        let (tls, _) = client(Offered::right(ALPN), None).map_err(no_connection)?;
        let connected = timeout(patience, async {
            let tcp = TcpStream::connect(relay).await?;
            let name = ServerName::try_from("kring").expect("a name");
            TlsConnector::from(Arc::new(tls)).connect(name, tcp).await
        });
        let stream = connected.await.map_err(no_connection)?.map_err(no_connection)?;
        let (_, tls) = stream.get_ref();
        let pin = pin(tls.peer_certificates().unwrap_or_default())?;
        let exporter = tls.export_keying_material([0; 32], EXPORTER, Some(b"")).map_err(no_connection)?;
        let (recv, send) = tokio::io::split(stream);
        let way = Way::Tcp(VecDeque::new());
        let (send, recv) = (Box::new(send), Box::new(recv));
        Ok(Client { way, send, recv, buffer: Vec::new(), relay, pin, exporter, patience })
    }

    /// Writes bytes on the stream as they are.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        let _ = timeout(self.patience, async {
            self.send.write_all(bytes).await?;
            self.send.flush().await
        })
        .await;
    }

    pub(super) async fn frame(&mut self, class: u8, body: &[u8]) {
        let len = u16::try_from(body.len() + 1).expect("no frame of ours is longer than 65,535 bytes");
        self.write(&[&len.to_be_bytes()[..], &[class], body].concat()).await;
    }

    /// Says a message, among fields that mean nothing.
    pub(super) async fn say(&mut self, kind: u64, value: &[u8]) {
        self.frame(0, &among_unknown(&field(kind, &[value, &field(31 * 9 + 33, b"grease")].concat()))).await;
    }

    /// The port that it connects from, by QUIC.
    pub(super) fn local_port(&self) -> Option<u16> {
        match &self.way {
            Way::Quic { socket, .. } => socket.local_addr().ok().map(|at| at.port()),
            Way::Tcp(_) => None,
        }
    }

    /// Sends a packet by the way of the control connection.
    pub(super) async fn send(&mut self, packet: &[u8]) {
        match &self.way {
            Way::Quic { socket, .. } => {
                let _ = socket.send_to(packet, self.relay);
            }
            Way::Tcp(_) => self.frame(1, packet).await,
        }
    }

    /// The next packet that comes by that way.
    pub(super) async fn packet(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let until = Instant::now() + patience;
        loop {
            match &mut self.way {
                Way::Quic { packets, .. } => {
                    let (from, packet) = timeout_at(until, packets.recv()).await.ok()??;
                    if from == self.relay {
                        return Some(packet);
                    }
                }
                Way::Tcp(packets) => {
                    if let Some(packet) = packets.pop_front() {
                        return Some(packet);
                    }
                    let (class, body) = self.next_frame(until).await.ok()?;
                    if class == 1 {
                        return Some(body);
                    }
                }
            }
        }
    }

    async fn next_frame(&mut self, until: Instant) -> Result<(u8, Vec<u8>), Came> {
        loop {
            if let Some((len, rest)) = self.buffer.split_first_chunk::<2>() {
                let len = usize::from(u16::from_be_bytes(*len));
                if !(1..=MAX_FRAME).contains(&len) {
                    return Err(Came::TooLong(len));
                }
                if rest.len() >= len {
                    let frame = (rest[0], rest[1..len].to_vec());
                    self.buffer.drain(..2 + len);
                    return Ok(frame);
                }
            }
            match timeout_at(until, self.recv.read_buf(&mut self.buffer)).await {
                Ok(Ok(n)) if n > 0 => {}
                Ok(_) => return Err(self.closed(until).await),
                Err(_) => return Err(Came::Nothing(self.patience)),
            }
        }
    }

    /// How the connection ended.
    pub(super) async fn closed(&self, until: Instant) -> Came {
        let Way::Quic { connection, .. } = &self.way else { return Came::Broken };
        match timeout_at(until, connection.closed()).await {
            Ok(ConnectionError::ApplicationClosed(close)) => Came::Close(close.error_code.into_inner()),
            Ok(_) => Came::Broken,
            Err(_) => Came::Nothing(self.patience),
        }
    }

    /// Whether a second stream is refused.
    pub(super) async fn has_one_stream(&self) -> bool {
        let Way::Quic { connection, .. } = &self.way else { return true };
        timeout(Duration::from_millis(300), connection.open_bi()).await.is_err()
    }

    /// The next message of the relay's that version 1 knows.
    pub(super) async fn next(&mut self) -> Result<Message, Result<Came, Fault>> {
        let until = Instant::now() + self.patience;
        loop {
            let (class, body) = self.next_frame(until).await.map_err(Ok)?;
            if let (1, Way::Tcp(packets)) = (class, &mut self.way) {
                packets.push_back(body);
                continue;
            }
            if class != 0 {
                continue;
            }
            let wrong = |came: &str| {
                Fault::new(
                    "14.1",
                    "a relay's messages are fields, one of them known",
                    "one known field",
                    came,
                )
            };
            let fields = raw::fields(&body).ok_or_else(|| Err(wrong("a malformed field")))?;
            let mut known = fields.iter().filter(|(kind, _)| (OBSERVED..=PONG).contains(kind));
            let Some((kind, value)) = known.next() else { continue };
            if known.next().is_some() {
                return Err(Err(wrong("two")));
            }
            return Ok(Message { kind: *kind, value: value.to_vec() });
        }
    }

    /// The next message but those that may come at any time.
    pub(super) async fn answer(
        &mut self,
        what: &'static str,
        expected: &'static str,
    ) -> Result<Message, Fault> {
        loop {
            match self.next().await {
                Ok(message) if matches!(message.kind, OBSERVED | DRAINING) => {}
                Ok(message) => return Ok(message),
                Err(Ok(came)) => return Err(Fault::new("14.1", what, expected, came)),
                Err(Err(fault)) => return Err(fault),
            }
        }
    }

    /// Whether the relay has read all that came before and is there.
    pub(super) async fn ping(&mut self, what: &'static str, number: u64) -> Result<(), Fault> {
        self.say(PING, &numbered(11, number)).await;
        let expected = "pong with the ping's number";
        let pong = self.answer(what, expected).await?;
        if pong.kind == PONG && pong.number(11) == Some(number) {
            return Ok(());
        }
        Err(Fault::new("14.1", what, expected, format!("message {} with {:?}", pong.kind, pong.number(11))))
    }
}
