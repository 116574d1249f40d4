//! One client's control connection: what it asks for, and what it is told.
//!
//! Guarantee: a client has what it has shown a right to; each request has one answer; who asks too often, reads too
//! slowly or makes no sense is let go. Nothing is kept of a client that is gone but its sessions, until they fall silent.

use crate::limits::{Bucket, Origin};
use crate::metrics::count;
use crate::rendezvous::{Listener, NoListener};
use crate::sessions::{Party, Place, Replies};
use crate::shared::Shared;
use kring_net::relay::frame::{self, MESSAGE, PACKET};
use kring_net::relay::hop::IDLE;
use kring_net::relay::message::{About, Reply, Request};
use kring_net::relay::shim::{self, Packet};
use kring_net::relay::{Mailbox, NoRandomness, Reason, Refused, Token};
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Messages that wait to be read by a client; one that lets more wait is let go.
const QUEUE: usize = 32;
/// Packets that wait for a client on TCP; more are lost.
pub(crate) const PACKETS: usize = 128;
/// Requests a second, and at once.
const REQUESTS: (f64, f64) = (20.0, 100.0);

/// How a client is connected.
#[derive(Clone)]
pub(crate) enum Seat {
    Quic(quinn::Connection),
    /// Its address, and the queue of its packets.
    Tcp(SocketAddr, mpsc::Sender<Vec<u8>>),
}

/// A client.
#[derive(Clone)]
pub(crate) struct Client {
    number: u64,
    origin: Origin,
    seat: Seat,
    replies: Replies,
}

impl Client {
    /// Where it is seen.
    fn observed(&self) -> SocketAddr {
        match &self.seat {
            Seat::Quic(connection) => connection.remote_address(),
            Seat::Tcp(address, _) => *address,
        }
    }

    fn place(&self) -> Place {
        match &self.seat {
            Seat::Quic(connection) => Place::Udp(connection.remote_address(), connection.local_ip()),
            Seat::Tcp(_, queue) => Place::Tcp(self.number, queue.clone()),
        }
    }

    /// Tells it something; says whether it reads.
    pub(crate) fn tell(&self, reply: &Reply) -> bool {
        self.replies.try_send(reply.encode()).is_ok()
    }
}

impl Listener for Client {
    fn client(&self) -> u64 {
        self.number
    }

    fn party(&self) -> Party {
        let (place, replies) = (self.place(), self.replies.clone());
        Party { client: self.number, place, replies, origin: self.origin }
    }
}

/// Why a client is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It went, or was lost.
    Gone,
    /// It said something that makes no sense.
    Malformed,
    /// It asked for too much, or does not read.
    TooMuch,
}

/// Serves a client until it is gone.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    seat: Seat,
    exporter: [u8; 32],
    reader: impl AsyncRead + Unpin + Send,
    writer: impl AsyncWrite + Unpin + Send,
    packets: Option<mpsc::Receiver<Vec<u8>>>,
) -> End {
    let (replies, outgoing) = mpsc::channel(QUEUE);
    let number = shared.next_client();
    let observed = match &seat {
        Seat::Quic(connection) => connection.remote_address(),
        Seat::Tcp(address, _) => *address,
    };
    let client = Client { number, origin: Origin::from(observed.ip()), seat, replies };
    let mut serving = Serving {
        shared,
        client,
        exporter,
        mailboxes: HashSet::new(),
        requests: Bucket::full(REQUESTS.1, Instant::now()),
        told: None,
    };
    shared.clients().insert(number, serving.client.replies.clone());
    let end = tokio::select! {
        end = serving.read(reader) => end,
        () = write(writer, outgoing, packets) => End::Gone,
    };
    shared.clients().remove(&number);
    shared.rendezvous().leave(number, serving.mailboxes.drain());
    end
}

/// Writes what a client is told, and its packets where they come this way.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut replies: mpsc::Receiver<Zeroizing<Vec<u8>>>,
    mut packets: Option<mpsc::Receiver<Vec<u8>>>,
) {
    loop {
        let packet = async {
            match &mut packets {
                Some(packets) => packets.recv().await,
                None => std::future::pending().await,
            }
        };
        let written = tokio::select! {
            biased;
            Some(reply) = replies.recv() => frame::write(&mut writer, MESSAGE, &reply).await,
            Some(packet) = packet => frame::write(&mut writer, PACKET, &packet).await,
            else => return,
        };
        if written.is_err() {
            return;
        }
    }
}

struct Serving<'a> {
    shared: &'a Arc<Shared>,
    client: Client,
    exporter: [u8; 32],
    mailboxes: HashSet<Mailbox>,
    requests: Bucket,
    /// Where it was told that it is seen.
    told: Option<SocketAddr>,
}

impl Serving<'_> {
    async fn read(&mut self, mut reader: impl AsyncRead + Unpin) -> End {
        loop {
            // A client pings more often than that.
            let (class, body) = match timeout(IDLE, frame::read(&mut reader)).await {
                Ok(Ok(Some(frame))) => frame,
                Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => return End::Malformed,
                Ok(Ok(None) | Err(_)) | Err(_) => return End::Gone,
            };
            match class {
                MESSAGE => {
                    if !self.requests.take(1.0, REQUESTS.0, REQUESTS.1, Instant::now()) {
                        return End::TooMuch;
                    }
                    let reads = match Request::decode(&body) {
                        Ok(Some(request)) => self.handle(request),
                        Ok(None) => true,
                        Err(_) => return End::Malformed,
                    };
                    if !reads {
                        return End::TooMuch;
                    }
                }
                PACKET => self.forward(&body),
                _ => {}
            }
        }
    }

    /// Does what is asked for; says whether the client reads the answers.
    fn handle(&mut self, request: Request) -> bool {
        let observed = self.client.observed();
        let mut reads = true;
        if self.told != Some(observed) {
            self.told = Some(observed);
            reads = self.client.tell(&Reply::Observed { address: observed });
        }
        reads
            && match request {
                Request::Ping { number } => self.client.tell(&Reply::Pong { number }),
                Request::Listen { mailbox, signature } => self.listen(mailbox, &signature),
                Request::Unlisten { mailbox } => {
                    self.mailboxes.remove(&mailbox);
                    self.shared.rendezvous().unlisten(mailbox, self.client.number);
                    true
                }
                Request::Dial { request, mailbox } => self.dial(request, mailbox),
                Request::Rejoin { request, resume } => self.rejoin(request, *resume.bytes()),
                Request::Close { token } => {
                    self.close(token);
                    true
                }
                // What this version does not know is passed over.
                _ => true,
            }
    }

    fn refuse(&self, about: About, reason: Reason) -> bool {
        let refused = self.shared.refusal(reason);
        self.client.tell(&Reply::Refused { about, refused })
    }

    fn listen(&mut self, mailbox: Mailbox, signature: &[u8; 64]) -> bool {
        let about = About::Mailbox(mailbox);
        if self.shared.is_draining() {
            return self.refuse(about, Reason::Draining);
        }
        let known = self.mailboxes.contains(&mailbox);
        if !known && self.mailboxes.len() >= self.shared.limits.mailboxes_per_client {
            return self.refuse(about, Reason::TooMuch);
        }
        if !mailbox.verify(&self.shared.pin, &self.exporter, signature) {
            return self.refuse(about, Reason::NotYours);
        }
        self.mailboxes.insert(mailbox);
        let before = self.shared.rendezvous().listen(mailbox, self.client.clone());
        if let Some(before) = before {
            let refused = Refused { reason: Reason::Displaced, retry_after: None, others: Vec::new() };
            before.tell(&Reply::Refused { about, refused });
        }
        self.client.tell(&Reply::Listening { mailbox })
    }

    fn dial(&self, request: u64, mailbox: Mailbox) -> bool {
        let about = About::Request(request);
        if let Some(reason) = self.shared.no_more_sessions() {
            return self.refuse(about, reason);
        }
        let now = Instant::now();
        if !self.shared.diallers().enter(self.client.origin, now) {
            return self.refuse(about, Reason::TooMuch);
        }
        let most = self.shared.limits.sessions_per_mailbox;
        let callee = self.shared.rendezvous().dial(mailbox, most);
        let callee = match callee {
            Ok(callee) => callee,
            Err(why) => {
                self.shared.diallers().leave(self.client.origin);
                return self.refuse(
                    about,
                    match why {
                        NoListener::NobodyThere => Reason::NobodyThere,
                        NoListener::TooMuch => Reason::TooMuch,
                    },
                );
            }
        };
        self.open(about, callee, About::Mailbox(mailbox), Some(mailbox), now)
    }

    fn rejoin(&self, request: u64, resume: [u8; 32]) -> bool {
        let about = About::Request(request);
        if let Some(reason) = self.shared.no_more_sessions() {
            return self.refuse(about, reason);
        }
        let now = Instant::now();
        // Whoever waits pays as if the session were there, so that waiting is bounded as well.
        if !self.shared.diallers().enter(self.client.origin, now) {
            return self.refuse(about, Reason::TooMuch);
        }
        let other = self.shared.rendezvous().rejoin(resume, request, self.client.clone(), now);
        let Some((other, their_request)) = other else { return true };
        self.shared.diallers().leave(other.origin);
        self.open(about, other.party(), About::Request(their_request), None, now)
    }

    /// Opens a session and tells both of it.
    fn open(
        &self,
        about: About,
        callee: Party,
        about_callee: About,
        mailbox: Option<Mailbox>,
        now: Instant,
    ) -> bool {
        let caller = self.client.party();
        let told = callee.replies.clone();
        match self.shared.open([caller, callee], mailbox, now) {
            Ok([mine, theirs]) => {
                let _ = told.try_send(Reply::Session { about: about_callee, handle: theirs }.encode());
                self.client.tell(&Reply::Session { about, handle: mine })
            }
            Err(NoRandomness) => self.refuse(about, Reason::Full),
        }
    }

    fn close(&self, token: Token) {
        if let Some(session) = self.shared.sessions.close(token, self.client.number) {
            self.shared.ended(&session, Reason::Ended, Some(self.client.number));
        }
    }

    /// A packet that came over TCP.
    fn forward(&self, packet: &[u8]) {
        let Seat::Tcp(_, queue) = &self.client.seat else { return };
        let from = Place::Tcp(self.client.number, queue.clone());
        match shim::parse(packet) {
            Some(Packet::Data { token, payload }) => self.shared.forward(token, &from, payload),
            Some(Packet::Bind(bind)) => {
                if let Some(answer) = self.shared.sessions.bind(&bind, from, Instant::now()) {
                    let _ = queue.try_send(answer.to_vec());
                }
            }
            Some(Packet::Bound(_)) | None => count(&self.shared.metrics.dropped_garbage_total),
        }
    }
}
