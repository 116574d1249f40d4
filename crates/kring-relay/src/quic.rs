//! QUIC on the socket that packets share: the forwarders read, and hand on what is QUIC's.
//!
//! Guarantee: at most [`WAITING`] datagrams wait; before an address has answered, QUIC sends it no more bytes than came
//! from there (RFC 9000, section 8.1, would allow three times as many). All that depends on quinn's socket traits is
//! in this file.

use kring_net::relay::hop::RelayKey;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, EndpointConfig, Runtime, TokioRuntime, UdpPoller};
use quinn_proto::HashedConnectionIdGenerator;
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Datagrams that wait for QUIC; a burst of clients that come back sends three or four each.
const WAITING: usize = 8192;
/// Strangers whose bytes are counted; beyond, new ones are not answered until old ones are forgotten.
const STRANGERS: usize = 8192;
/// How long an address that has not answered is remembered.
const MEMORY: Duration = Duration::from_secs(15);
/// A packet with this bit is of a handshake, or of the negotiation before it.
const LONG: u8 = 0x80;

#[derive(Default)]
struct Waiting {
    datagrams: VecDeque<(RecvMeta, Box<[u8]>)>,
    reader: Option<Waker>,
}

/// An address that QUIC has not heard an answer from yet.
struct Stranger {
    since: Instant,
    came: usize,
    went: usize,
    /// A handshake with it is complete.
    answered: bool,
}

/// What came for QUIC.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    strangers: Mutex<HashMap<SocketAddr, Stranger>>,
}

impl Inbox {
    /// Hands a datagram on.
    pub(crate) fn put(&self, meta: &RecvMeta, datagram: &[u8]) {
        self.came(meta.addr, datagram);
        let mut waiting = self.waiting.lock().expect("nothing panics with this lock held");
        if waiting.datagrams.len() < WAITING {
            let meta = RecvMeta { len: datagram.len(), stride: datagram.len(), ..*meta };
            waiting.datagrams.push_back((meta, datagram.into()));
        }
        if let Some(reader) = waiting.reader.take() {
            reader.wake();
        }
    }

    fn strangers(&self) -> MutexGuard<'_, HashMap<SocketAddr, Stranger>> {
        self.strangers.lock().expect("nothing panics with this lock held")
    }

    fn came(&self, from: SocketAddr, datagram: &[u8]) {
        let mut strangers = self.strangers();
        if datagram[0] & LONG == 0 {
            if let Some(stranger) = strangers.get_mut(&from) {
                stranger.came += datagram.len();
            }
            return;
        }
        let now = Instant::now();
        if strangers.len() >= STRANGERS && !strangers.contains_key(&from) {
            strangers.retain(|_, stranger| now.duration_since(stranger.since) < MEMORY);
            if strangers.len() >= STRANGERS {
                return;
            }
        }
        let new = || Stranger { since: now, came: 0, went: 0, answered: false };
        let stranger = strangers.entry(from).or_insert_with(new);
        if now.duration_since(stranger.since) >= MEMORY {
            *stranger = new();
        }
        stranger.came += datagram.len();
    }

    /// A handshake with `address` is complete, so packets arrive there.
    pub(crate) fn answered(&self, address: SocketAddr) {
        if let Some(stranger) = self.strangers().get_mut(&address) {
            stranger.answered = true;
        }
    }

    /// Whether `packet` may go to `to`.
    fn may_go(&self, to: SocketAddr, packet: &[u8]) -> bool {
        let mut strangers = self.strangers();
        let Some(stranger) = strangers.get_mut(&to) else {
            // Of a connection that is there, or an answer to a handshake that has been forgotten.
            return packet.first().is_some_and(|first| first & LONG == 0);
        };
        let fits = stranger.answered || stranger.went + packet.len() <= stranger.came;
        if fits {
            stranger.went += packet.len();
        }
        fits
    }
}

/// The socket as quinn sees it.
pub(crate) struct QuicSocket {
    /// Sends.
    socket: Arc<dyn AsyncUdpSocket>,
    inbox: Arc<Inbox>,
}

impl QuicSocket {
    /// Sends by `socket`, which nobody else reads from in quinn's place; reads from `inbox`.
    pub(crate) fn new(socket: UdpSocket, inbox: Arc<Inbox>) -> io::Result<Arc<QuicSocket>> {
        Ok(Arc::new(QuicSocket { socket: TokioRuntime.wrap_udp_socket(socket)?, inbox }))
    }
}

impl std::fmt::Debug for QuicSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuicSocket").finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for QuicSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if !self.inbox.may_go(transmit.destination, transmit.contents) {
            return Ok(());
        }
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut waiting = self.inbox.waiting.lock().expect("nothing panics with this lock held");
        let mut count = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let Some((about, datagram)) = waiting.datagrams.pop_front() else { break };
            let len = datagram.len().min(buf.len());
            buf[..len].copy_from_slice(&datagram[..len]);
            *meta = RecvMeta { len, stride: len, ..about };
            count += 1;
        }
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        waiting.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// What of QUIC outlives a restart if the key does: a client of before then learns at its next packet that its
/// connection is over (RFC 9000, section 10.3).
pub(crate) fn endpoint_config(key: &RelayKey) -> EndpointConfig {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key};
    let reset = Key::new(HMAC_SHA256, &*key.derive(b"kring relay reset"));
    let mut config = EndpointConfig::new(Arc::new(reset));
    let ids = u64::from_be_bytes(key.derive(b"kring relay ids")[..8].try_into().expect("eight bytes"));
    config
        .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)))
        .grease_quic_bit(false)
        // quinn's 20 ms would let 50 clients a second know; a reset is shorter than what it answers.
        .min_reset_interval(Duration::from_micros(200));
    config
}
