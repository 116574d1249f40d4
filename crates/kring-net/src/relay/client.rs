//! A client of a relay: its control connection, over QUIC or, where UDP does not get through, TLS over TCP.
//!
//! Guarantee: what a relay sends is bounded and believed in nothing but where it saw packets come from and what it
//! promises to forward; a session of which nobody waits any more is given back; dropping the last [`Client`] closes.

use super::frame::{self, MESSAGE, PACKET};
use super::hop::{self, CLOSE_DONE, CLOSE_MALFORMED, EXPORTER, IDLE, KEEP_ALIVE};
use super::keys::{Mailbox, MailboxKey, Pin, Token};
use super::message::{About, Handle, Reason, Refused, Reply, Request, Resume, grease};
use super::shim;
use super::{ConnectError, RequestError};
use crate::{Connection, Endpoint};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Messages that wait to be written, events that wait to be read; beyond that the relay waits.
const QUEUE: usize = 64;
/// Packets that wait in either direction over TCP; beyond that they are lost, as with UDP.
const PACKETS: usize = 256;
/// How long TCP and TLS may take together.
const SET_UP: Duration = Duration::from_secs(10);

/// How packets get to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As UDP to the relay's address, from the socket that the control connection runs on.
    Udp,
    /// By [`Client::send_packet`], on the control connection itself.
    Tcp,
}

/// A way to somebody through a relay.
#[derive(Debug, Clone)]
pub struct Session {
    /// This side's end.
    pub handle: Handle,
    /// Where packets for the other side go.
    pub relay: SocketAddr,
    /// How they get there.
    pub way: Way,
}

impl Session {
    /// The packet that brings `payload` (at most [`MAX_PAYLOAD`](super::shim::MAX_PAYLOAD) bytes) to the other side.
    #[must_use]
    pub fn wrap(&self, payload: &[u8]) -> Vec<u8> {
        shim::wrap(self.handle.token, payload)
    }
}

/// What a relay says unasked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Where it sees this client; the first time soon after connecting, later when that has changed.
    Observed(SocketAddr),
    /// Somebody dialled a mailbox.
    Incoming {
        /// Which.
        mailbox: Mailbox,
        /// The way to whoever it was.
        session: Session,
    },
    /// A session is over.
    Closed {
        /// Which.
        token: Token,
        /// Why.
        reason: Reason,
    },
    /// What is dialled at a mailbox comes here no longer.
    Unheard {
        /// Which.
        mailbox: Mailbox,
        /// Why.
        refused: Refused,
    },
    /// The relay will stop; sessions go on until then.
    Draining {
        /// How long that is.
        within: Duration,
        /// Relays to go to.
        others: Vec<super::RelayAddress>,
    },
}

type Answer = oneshot::Sender<Result<Handle, RequestError>>;

#[derive(Default)]
struct Pending {
    next: u64,
    sessions: HashMap<u64, Answer>,
    listens: HashMap<Mailbox, Vec<oneshot::Sender<Result<(), RequestError>>>>,
    /// Where the relay sees this client.
    observed: Option<SocketAddr>,
    /// Why the relay turned the client away as a whole.
    refused: Option<Refused>,
    over: bool,
}

struct Shared {
    pending: Mutex<Pending>,
    relay: SocketAddr,
    pin: Pin,
    exporter: [u8; 32],
    way: Way,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().expect("nothing panics with this lock held")
    }

    fn session(&self, handle: Handle) -> Session {
        Session { handle, relay: self.relay, way: self.way }
    }

    fn lost(pending: &Pending) -> RequestError {
        pending.refused.clone().map_or(RequestError::Lost, RequestError::Refused)
    }
}

/// A control connection; clones share it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    messages: mpsc::Sender<Zeroizing<Vec<u8>>>,
    packets: mpsc::Sender<Vec<u8>>,
}

/// What comes over a control connection unasked. It has to be read: the relay waits for it.
pub struct Events(mpsc::Receiver<Event>);

impl Events {
    /// The next; `None` once the connection is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

/// Packets that come over TCP: what UDP would bring, with its header.
pub struct Packets(mpsc::Receiver<Vec<u8>>);

impl Packets {
    /// The next; `None` once the connection is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }
}

impl Client {
    /// Connects over QUIC, from the socket of `endpoint`; packets then go through that socket as well.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect(
        endpoint: &Endpoint,
        relay: SocketAddr,
        pin: Option<Pin>,
    ) -> Result<(Client, Events), ConnectError> {
        let connection = endpoint.connect_with(hop::quic_client(pin)?, relay).await?;
        let (key, exporter) = (connection.peer_key(), connection.exporter(EXPORTER));
        let (Some(key), Some(exporter)) = (key, exporter) else { return Err(ConnectError::Lost) };
        let (writer, reader) = connection.open_stream().await.map_err(|_| ConnectError::Lost)?;
        let shared = Shared { pending: Mutex::default(), relay, pin: Pin::of(&key), exporter, way: Way::Udp };
        let (client, events, _) = Client::over(shared, reader, writer, Some(connection));
        Ok((client, events))
    }

    /// Connects by TLS over TCP; packets go over the same connection.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect_tcp(
        relay: SocketAddr,
        pin: Option<Pin>,
    ) -> Result<(Client, Events, Packets), ConnectError> {
        let failed = |source| ConnectError::Tcp { address: relay, source };
        let connector = tokio_rustls::TlsConnector::from(Arc::new(hop::tls_client(pin)?));
        let name = rustls::pki_types::ServerName::try_from(crate::SERVER_NAME).expect("a valid name");
        let tls = timeout(SET_UP, async {
            let tcp = TcpStream::connect(relay).await?;
            tcp.set_nodelay(true)?;
            connector.connect(name, tcp).await
        });
        let tls = tls.await.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
        let session = tls.get_ref().1;
        let key = session.peer_certificates().and_then(<[_]>::first).ok_or(ConnectError::Lost)?;
        let pin = Pin::of(key);
        let exporter =
            session.export_keying_material([0; 32], EXPORTER, None).map_err(|_| ConnectError::Lost)?;
        let (reader, writer) = tokio::io::split(tls);
        let shared = Shared { pending: Mutex::default(), relay, pin, exporter, way: Way::Tcp };
        Ok(Client::over(shared, reader, writer, None))
    }

    fn over(
        shared: Shared,
        reader: impl AsyncRead + Unpin + Send + 'static,
        writer: impl AsyncWrite + Unpin + Send + 'static,
        connection: Option<Connection>,
    ) -> (Client, Events, Packets) {
        let shared = Arc::new(shared);
        let (messages, outgoing) = mpsc::channel(QUEUE);
        let (packets, outgoing_packets) = mpsc::channel(PACKETS);
        let (events, incoming) = mpsc::channel(QUEUE);
        let (packets_in, incoming_packets) = mpsc::channel(PACKETS);
        let client = Client { shared: shared.clone(), messages: messages.clone(), packets };
        let weak = messages.downgrade();
        tokio::spawn(async move {
            let reading = Reading { shared: &shared, messages: weak, events, packets: packets_in };
            let malformed = tokio::select! {
                malformed = reading.run(reader, connection.as_ref()) => malformed,
                () = write(writer, outgoing, outgoing_packets) => false,
            };
            if let Some(connection) = connection {
                connection.close(if malformed { CLOSE_MALFORMED } else { CLOSE_DONE }.into());
            }
            let mut pending = shared.pending();
            pending.over = true;
            let lost = Shared::lost(&pending);
            for (_, waiting) in pending.sessions.drain() {
                let _ = waiting.send(Err(lost.clone()));
            }
            for waiting in pending.listens.drain().flat_map(|(_, waiting)| waiting) {
                let _ = waiting.send(Err(lost.clone()));
            }
        });
        // A relay answers only who has said something.
        let _ = messages.try_send(Request::Ping { number: 0 }.encode());
        (client, Events(incoming), Packets(incoming_packets))
    }

    /// Asks for what is dialled at the mailbox of `key`, which then comes as [`Event::Incoming`].
    ///
    /// # Errors
    /// A [`RequestError`].
    pub async fn listen(&self, key: &MailboxKey) -> Result<(), RequestError> {
        let (mailbox, signature) = (key.mailbox(), key.sign(&self.shared.pin, &self.shared.exporter));
        let (answer, answered) = oneshot::channel();
        {
            let mut pending = self.shared.pending();
            if pending.over {
                return Err(Shared::lost(&pending));
            }
            pending.listens.entry(mailbox).or_default().push(answer);
        }
        self.send(&Request::Listen { mailbox, signature: Box::new(signature) }).await?;
        answered.await.unwrap_or(Err(RequestError::Lost))
    }

    /// Wants nothing more of what is dialled there.
    ///
    /// # Errors
    /// [`RequestError::Lost`].
    pub async fn unlisten(&self, mailbox: Mailbox) -> Result<(), RequestError> {
        self.send(&Request::Unlisten { mailbox }).await
    }

    /// Asks for a session with whoever listens at `mailbox`.
    ///
    /// # Errors
    /// A [`RequestError`].
    pub async fn dial(&self, mailbox: Mailbox) -> Result<Session, RequestError> {
        self.session(|request| Request::Dial { request, mailbox }).await
    }

    /// Asks for a session with whoever asks with the same `resume`, after the relay that both knew has restarted.
    ///
    /// # Errors
    /// A [`RequestError`].
    pub async fn rejoin(&self, resume: &Resume) -> Result<Session, RequestError> {
        self.session(|request| Request::Rejoin { request, resume: resume.clone() }).await
    }

    async fn session(&self, ask: impl FnOnce(u64) -> Request) -> Result<Session, RequestError> {
        let (answer, answered) = oneshot::channel();
        let request = {
            let mut pending = self.shared.pending();
            if pending.over {
                return Err(Shared::lost(&pending));
            }
            pending.next += 1;
            let request = pending.next;
            pending.sessions.insert(request, answer);
            request
        };
        self.send(&ask(request)).await?;
        let handle = answered.await.unwrap_or(Err(RequestError::Lost))?;
        Ok(self.shared.session(handle))
    }

    /// Gives a session back.
    ///
    /// # Errors
    /// [`RequestError::Lost`].
    pub async fn close(&self, token: Token) -> Result<(), RequestError> {
        self.send(&Request::Close { token }).await
    }

    async fn send(&self, request: &Request) -> Result<(), RequestError> {
        let mut bytes = request.encode();
        bytes.extend_from_slice(&grease().unwrap_or_default());
        self.messages.send(bytes).await.map_err(|_| Shared::lost(&self.shared.pending()))
    }

    /// Sends a packet of [`shim`](super::shim) over TCP; says whether there was room. For [`Way::Tcp`] only.
    pub fn send_packet(&self, packet: Vec<u8>) -> bool {
        self.packets.try_send(packet).is_ok()
    }

    /// Where the relay sees this client, once it has said so.
    #[must_use]
    pub fn observed(&self) -> Option<SocketAddr> {
        self.shared.pending().observed
    }

    /// What the relay said if it turned this client away as a whole.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        self.shared.pending().refused.clone()
    }

    /// The relay's own address.
    #[must_use]
    pub fn relay(&self) -> SocketAddr {
        self.shared.relay
    }

    /// By what this relay is known again.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.shared.pin
    }

    /// How packets get to the relay.
    #[must_use]
    pub fn way(&self) -> Way {
        self.shared.way
    }
}

/// Writes until nobody can send any more, or nobody reads.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut messages: mpsc::Receiver<Zeroizing<Vec<u8>>>,
    mut packets: mpsc::Receiver<Vec<u8>>,
) {
    let mut ping = tokio::time::interval(KEEP_ALIVE);
    ping.reset();
    let mut number = 0;
    loop {
        let written = tokio::select! {
            biased;
            message = messages.recv() => match message {
                Some(message) => frame::write(&mut writer, MESSAGE, &message).await,
                None => return,
            },
            Some(packet) = packets.recv() => frame::write(&mut writer, PACKET, &packet).await,
            _ = ping.tick() => {
                number += 1;
                frame::write(&mut writer, MESSAGE, &Request::Ping { number }.encode()).await
            }
        };
        if written.is_err() {
            return;
        }
    }
}

struct Reading<'a> {
    shared: &'a Shared,
    messages: mpsc::WeakSender<Zeroizing<Vec<u8>>>,
    events: mpsc::Sender<Event>,
    packets: mpsc::Sender<Vec<u8>>,
}

impl Reading<'_> {
    /// Reads to the end; says whether that was because what came makes no sense.
    async fn run(&self, mut reader: impl AsyncRead + Unpin, connection: Option<&Connection>) -> bool {
        let mut first = true;
        loop {
            let (class, body) = match timeout(IDLE, frame::read(&mut reader)).await {
                Ok(Ok(Some(frame))) => frame,
                Ok(Err(error)) => return error.kind() == io::ErrorKind::InvalidData,
                Ok(Ok(None)) | Err(_) => return false,
            };
            if let (true, Some(connection)) = (std::mem::take(&mut first), connection) {
                connection.answered();
                connection.settle();
            }
            match class {
                MESSAGE => match Reply::decode(&body) {
                    Ok(Some(reply)) => {
                        if !self.handle(reply).await {
                            return false;
                        }
                    }
                    Ok(None) => {}
                    Err(_) => return true,
                },
                PACKET if connection.is_none() => drop(self.packets.try_send(body.to_vec())),
                _ => {}
            }
        }
    }

    /// Does what a message asks for; says whether anybody still listens.
    async fn handle(&self, reply: Reply) -> bool {
        let event = match reply {
            Reply::Observed { address } => {
                self.shared.pending().observed = Some(address);
                Event::Observed(address)
            }
            Reply::Listening { mailbox } => {
                self.listened(mailbox, &Ok(()));
                return true;
            }
            Reply::Session { about: About::Request(request), handle } => {
                let waiting = self.shared.pending().sessions.remove(&request);
                let token = handle.token;
                if waiting.is_none_or(|waiting| waiting.send(Ok(handle)).is_err()) {
                    self.give_back(token).await;
                }
                return true;
            }
            Reply::Session { about: About::Mailbox(mailbox), handle } => {
                Event::Incoming { mailbox, session: self.shared.session(handle) }
            }
            Reply::Session { about: About::Client, .. } | Reply::Pong { .. } => return true,
            Reply::Refused { about: About::Request(request), refused } => {
                if let Some(waiting) = self.shared.pending().sessions.remove(&request) {
                    let _ = waiting.send(Err(RequestError::Refused(refused)));
                }
                return true;
            }
            Reply::Refused { about: About::Mailbox(mailbox), refused } => {
                if self.listened(mailbox, &Err(RequestError::Refused(refused.clone()))) {
                    return true;
                }
                Event::Unheard { mailbox, refused }
            }
            Reply::Refused { about: About::Client, refused } => {
                self.shared.pending().refused = Some(refused);
                return true;
            }
            Reply::Closed { token, reason } => Event::Closed { token, reason },
            Reply::Draining { within, others } => Event::Draining { within, others },
        };
        self.events.send(event).await.is_ok()
    }

    /// Tells whoever waits for that mailbox; says whether anybody did.
    fn listened(&self, mailbox: Mailbox, result: &Result<(), RequestError>) -> bool {
        let waiting = self.shared.pending().listens.remove(&mailbox).unwrap_or_default();
        let any = !waiting.is_empty();
        for waiting in waiting {
            let _ = waiting.send(result.clone());
        }
        any
    }

    async fn give_back(&self, token: Token) {
        if let Some(messages) = self.messages.upgrade() {
            let _ = messages.send(Request::Close { token }.encode()).await;
        }
    }
}
