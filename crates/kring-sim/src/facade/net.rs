//! A network of two sockets that exists in memory only.
//!
//! Guarantee: what becomes of a packet is drawn from the seed; time passes on tokio's (paused) clock; packets in
//! flight are bounded, and a flood ends the network rather than the machine.

use crate::link::{Link, Spec, Term};
use crate::rng::Rng;
use crate::scenario::of;
use kring::simulation::Socket;
use kring_core::handshake::Role;
use kring_core::time::Time;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// IP and UDP in front of each packet, in bytes.
const HEADERS: usize = 28;
/// More packets than any call of two minutes sends: somebody answers himself without end.
const MAX_PACKETS: u64 = 400_000;
/// The most that wait at one socket; a system's buffer would be full, too.
const MAX_WAITING: usize = 2048;

#[derive(Clone, Debug)]
struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    ecn: Option<EcnCodepoint>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Port {
    /// As others see it.
    address: SocketAddr,
    waiting: VecDeque<Packet>,
    reader: Option<Waker>,
    /// Its program is gone.
    dead: bool,
}

#[derive(Debug)]
struct State {
    /// By who sends; see [`of`].
    links: [Link<Packet>; 2],
    ports: [Port; 2],
    plugged: bool,
    sent: u64,
    /// How many of the packets to come from this side are lost, whatever the link says.
    swallow: [u32; 2],
    /// Bytes that came to each side, headers included, by second.
    came: [Vec<u64>; 2],
}

/// The network.
#[derive(Debug)]
pub struct Net {
    state: Mutex<State>,
    changed: Notify,
    origin: Instant,
}

/// Where the two are found at first.
#[must_use]
pub fn address(who: Role) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + who.leaf()], 4433))
}

impl Net {
    /// A network like `links` that begins now.
    #[must_use]
    pub fn new(seed: u64, links: &[Spec; 2]) -> Arc<Net> {
        let link = |who, name| Link::new(&links[of(who)], Rng::new(seed, name));
        let port = |who| Port { address: address(who), waiting: VecDeque::new(), reader: None, dead: false };
        let state = State {
            links: [link(Role::Callee, "link callee"), link(Role::Caller, "link caller")],
            ports: [port(Role::Callee), port(Role::Caller)],
            plugged: true,
            sent: 0,
            swallow: [0; 2],
            came: Default::default(),
        };
        Arc::new(Net { state: Mutex::new(state), changed: Notify::new(), origin: Instant::now() })
    }

    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().expect("nothing panics with this lock held"))
    }

    /// The world's time.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    /// The moment of a world's time.
    #[must_use]
    pub fn instant(&self, at: Time) -> Instant {
        self.origin + at.since(Time::ZERO)
    }

    /// That side's socket.
    #[must_use]
    pub fn socket(self: &Arc<Net>, who: Role) -> Arc<dyn Socket> {
        Arc::new(Simulated { net: self.clone(), who: of(who) })
    }

    /// Whether anything passes.
    pub fn plug(&self, plugged: bool) {
        self.state(|state| state.plugged = plugged);
    }

    /// That side's program is gone: it neither sends nor hears.
    pub fn crash(&self, who: Role) {
        self.state(|state| state.ports[of(who)].dead = true);
    }

    /// The next `count` packets of that side are lost.
    pub fn swallow(&self, who: Role, count: u32) {
        self.state(|state| state.swallow[of(who)] = count);
    }

    /// Whether more was sent than any call sends.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.state(|state| state.sent >= MAX_PACKETS)
    }

    /// Bytes that came to each side so far, headers included, by second; see [`of`].
    #[must_use]
    pub fn came(&self) -> [Vec<u64>; 2] {
        self.state(|state| state.came.clone())
    }

    /// Carries packets, for ever. With `moves`, the caller is seen from another address whenever its path changes.
    pub async fn run(self: Arc<Net>, caller: &Spec, moves: bool) {
        let path = |term: &Term| if let Term::Path(at) = term { Some(*at) } else { None };
        let mut changes: Vec<Time> = caller.0.iter().filter_map(path).filter(|_| moves).collect();
        changes.sort_by_key(|at| std::cmp::Reverse(*at));
        loop {
            let now = self.now();
            while changes.pop_if(|at| *at <= now).is_some() {
                self.state(|state| {
                    let address = &mut state.ports[of(Role::Caller)].address;
                    address.set_port(address.port() + 1);
                });
            }
            self.deliver(now);
            let due = self.state(|state| state.links.iter().filter_map(Link::due).min());
            let due = due.into_iter().chain(changes.last().copied()).min();
            match due {
                Some(due) => tokio::select! {
                    biased;
                    () = sleep_until(self.instant(due)) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    fn deliver(&self, now: Time) {
        self.state(|state| {
            for sender in [0, 1] {
                while let Some(parcel) = state.links[sender].receive(now) {
                    let mut packet = parcel.item;
                    if let Some(damage) = parcel.damage {
                        damage.apply(&mut packet.bytes);
                    }
                    let port = &mut state.ports[1 - sender];
                    let second = now.since(Time::ZERO).as_secs() as usize;
                    let heard = state.plugged && !port.dead && packet.to == port.address;
                    if heard && port.waiting.len() < MAX_WAITING {
                        let came = &mut state.came[1 - sender];
                        came.resize(came.len().max(second + 1), 0);
                        came[second] += (packet.bytes.len() + HEADERS) as u64;
                        port.waiting.push_back(packet);
                        port.reader.take().into_iter().for_each(Waker::wake);
                    }
                }
            }
        });
    }

    fn send(&self, who: usize, transmit: &Transmit<'_>) {
        let now = self.now();
        self.state(|state| {
            state.sent += 1;
            let dropped = state.swallow[who] > 0;
            state.swallow[who] -= u32::from(dropped);
            if dropped || !state.plugged || state.ports[who].dead || state.sent >= MAX_PACKETS {
                return;
            }
            let packet = Packet {
                from: state.ports[who].address,
                to: transmit.destination,
                ecn: transmit.ecn,
                bytes: transmit.contents.to_vec(),
            };
            state.links[who].send(now, packet.bytes.len() + HEADERS, packet);
        });
        self.changed.notify_one();
    }
}

#[derive(Debug)]
struct Simulated {
    net: Arc<Net>,
    who: usize,
}

/// There is always room to send.
#[derive(Debug)]
struct Writable;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Simulated {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.net.send(self.who, transmit);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.net.state(|state| {
            let port = &mut state.ports[self.who];
            let mut count = 0;
            for (buffer, meta) in bufs.iter_mut().zip(meta) {
                let Some(packet) = port.waiting.pop_front() else { break };
                let len = packet.bytes.len().min(buffer.len());
                buffer[..len].copy_from_slice(&packet.bytes[..len]);
                *meta = RecvMeta { addr: packet.from, len, stride: len, ecn: packet.ecn, dst_ip: None };
                count += 1;
            }
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            port.reader = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.net.state(|state| state.ports[self.who].address))
    }

    fn may_fragment(&self) -> bool {
        false
    }
}
