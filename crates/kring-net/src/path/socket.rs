//! The socket under QUIC that sends each packet by the way that its name has, and tells from whom each comes. With
//! `socket.rs` beside `path`, all that depends on quinn's socket traits.
//!
//! Guarantee: while no call needs another way than QUIC's own, it costs a datagram one atomic load, and else a system call one
//! lock; nothing is ever sent to a name.

use super::names::is_name;
use super::table::{Route, Sorted, Table};
use crate::relay::shim;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tokio::sync::watch;
use tokio::time::Instant;

/// Datagrams that came by other ways and wait for QUIC; beyond that they are lost.
const MAX_WAITING: usize = 256;
/// Relays whose word on where this side is seen is kept.
const MAX_SEEN: usize = 8;

/// What tasks have of the socket: the table, and a way to send beside QUIC.
pub(crate) struct Switch {
    inner: Arc<dyn AsyncUdpSocket>,
    table: Mutex<Table>,
    any: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Counts changes of the network.
    moved: watch::Sender<u64>,
    /// Where relays see this socket's packets come from, by relay.
    seen: watch::Sender<Vec<(SocketAddr, SocketAddr)>>,
    /// Where a router forwards to this socket, because it was asked to.
    mapped: watch::Sender<Option<SocketAddr>>,
    v6: bool,
}

#[derive(Default)]
struct Waiting {
    datagrams: VecDeque<(RecvMeta, Vec<u8>)>,
    reader: Option<Waker>,
}

impl Waiting {
    fn push(&mut self, meta: RecvMeta, datagram: Vec<u8>) {
        if self.datagrams.len() < MAX_WAITING {
            self.datagrams.push_back((meta, datagram));
        }
    }
}

impl Switch {
    /// Does something with the table.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock().expect("nothing panics with this lock held");
        let result = f(&mut table);
        self.any.store(!table.is_empty(), Ordering::Relaxed);
        result
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics with this lock held")
    }

    /// Sends a datagram beside QUIC's; one that has no room is lost.
    pub(crate) fn send(&self, to: SocketAddr, from: Option<IpAddr>, datagram: &[u8]) {
        let _ = self.inner.try_send(&Transmit {
            destination: self.outward(to),
            ecn: None,
            contents: datagram,
            segment_size: None,
            src_ip: from,
        });
    }

    /// What came from a relay over TCP.
    pub(crate) fn received(&self, relay: SocketAddr, datagram: &[u8]) {
        let sorted = self.with(|table| table.relayed(Instant::now(), super::table::key(relay), datagram));
        if let Sorted::Quic(from, skip) = sorted {
            let bytes = datagram[skip..].to_vec();
            let meta = RecvMeta {
                addr: self.outward(from),
                len: bytes.len(),
                stride: bytes.len(),
                ecn: None,
                dst_ip: None,
            };
            let mut waiting = self.waiting();
            waiting.push(meta, bytes);
            waiting.reader.iter().for_each(Waker::wake_by_ref);
        }
    }

    /// Whether the socket is one for IPv6 (and IPv4 within it).
    pub(crate) fn is_v6(&self) -> bool {
        self.v6
    }

    /// Where the socket is bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The network has changed, or may have.
    pub(crate) fn network_changed(&self) {
        // Where this side was seen it is no more.
        self.seen.send_if_modified(|seen| !std::mem::take(seen).is_empty());
        self.moved.send_modify(|count| *count += 1);
    }

    /// A relay sees this socket's packets come from there.
    pub(crate) fn seen_at(&self, relay: SocketAddr, address: SocketAddr) {
        self.seen.send_if_modified(|seen| {
            if let Some((_, old)) = seen.iter_mut().find(|(other, _)| *other == relay) {
                return std::mem::replace(old, address) != address;
            }
            let room = seen.len() < MAX_SEEN;
            if room {
                seen.push((relay, address));
            }
            room
        });
    }

    /// Where relays see this socket's packets come from, each with the relay that does.
    pub(crate) fn seen(&self) -> watch::Receiver<Vec<(SocketAddr, SocketAddr)>> {
        self.seen.subscribe()
    }

    /// A router forwards what comes there to this socket, or does not any more.
    #[cfg(feature = "port-mapping")]
    pub(crate) fn mapped_at(&self, address: Option<SocketAddr>) {
        self.mapped.send_if_modified(|mapped| std::mem::replace(mapped, address) != address);
    }

    /// Where a router forwards to this socket.
    pub(crate) fn mapped(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.mapped.subscribe()
    }

    /// Whether any call may need another way than QUIC's own.
    pub(crate) fn is_used(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Tells of changes of the network.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// An address as this socket writes it.
    fn outward(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) if self.is_v6() => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            _ => address,
        }
    }

    /// Sends what QUIC has for a name.
    fn forward(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let now = Instant::now();
        let table = self.table.lock().expect("nothing panics with this lock held");
        let route = table.route(now, transmit.destination);
        drop(table);
        match route {
            Route::Plain => self.inner.try_send(transmit),
            Route::None => Ok(()),
            Route::Direct(direct) => self.inner.try_send(&Transmit {
                destination: self.outward(direct.to),
                ecn: transmit.ecn,
                contents: transmit.contents,
                segment_size: transmit.segment_size,
                src_ip: Some(direct.from),
            }),
            Route::Relayed(lane) => {
                let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
                let packets = transmit.contents.chunks(segment).map(|bytes| shim::wrap(lane.token(), bytes));
                if let Some(tcp) = lane.tcp() {
                    // What has no room is lost, as it would be on any other way.
                    packets.for_each(|packet| {
                        tcp.send_packet(packet);
                    });
                    return Ok(());
                }
                let contents: Vec<u8> = packets.flatten().collect();
                self.inner.try_send(&Transmit {
                    destination: self.outward(lane.relay()),
                    ecn: None,
                    contents: &contents,
                    segment_size: transmit.segment_size.map(|size| size + shim::HEADER),
                    src_ip: None,
                })
            }
        }
    }

    /// Looks at what came in one buffer; what is not QUIC's goes elsewhere, and the rest gets its name.
    fn sort(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        let (now, stride, from) = (Instant::now(), meta.stride.max(1), meta.addr);
        // Where what is kept ends, from whom it is, how long each is, and whether one was shorter.
        let (mut kept, mut first, mut closed) = (0, None, false);
        let mut begin = 0;
        // Once for all that one system call brought.
        let mut table = self.table.lock().expect("nothing panics with this lock held");
        while begin < meta.len {
            let end = meta.len.min(begin + stride);
            let sorted = table.sort(now, from, meta.dst_ip, &buffer[begin..end]);
            if let Sorted::Quic(name, skip) = sorted {
                let (name, len) = (self.outward(name), end - begin - skip);
                let (whose, size) = *first.get_or_insert((name, len));
                if whose == name && len <= size && !closed {
                    buffer.copy_within(begin + skip..end, kept);
                    kept += len;
                    closed = len < size;
                } else {
                    let dst_ip = meta.dst_ip.filter(|_| skip == 0);
                    let alone = RecvMeta { addr: name, len, stride: len, dst_ip, ..*meta };
                    self.waiting().push(alone, buffer[begin + skip..end].to_vec());
                }
            }
            begin = end;
        }
        drop(table);
        meta.len = kept;
        if let Some((name, size)) = first {
            if name != from {
                meta.dst_ip = None;
            }
            (meta.addr, meta.stride) = (name, size.max(1));
        }
    }
}

/// The socket that QUIC is given.
pub(crate) struct PathSocket {
    switch: Arc<Switch>,
}

impl PathSocket {
    /// Puts itself around `inner`.
    pub(crate) fn over(inner: Arc<dyn AsyncUdpSocket>) -> (Arc<PathSocket>, Arc<Switch>) {
        let v6 = inner.local_addr().is_ok_and(|address| address.is_ipv6());
        let switch = Arc::new(Switch {
            inner,
            table: Mutex::default(),
            any: AtomicBool::new(false),
            waiting: Mutex::default(),
            moved: watch::Sender::new(0),
            seen: watch::Sender::new(Vec::new()),
            mapped: watch::Sender::new(None),
            v6,
        });
        (Arc::new(PathSocket { switch: switch.clone() }), switch)
    }
}

impl AsyncUdpSocket for PathSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.switch.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.switch.any.load(Ordering::Relaxed) {
            return self.switch.forward(transmit);
        }
        // Who had that name is gone.
        if is_name(&transmit.destination) {
            return Ok(());
        }
        self.switch.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        {
            let mut waiting = self.switch.waiting();
            let room = bufs.iter_mut().zip(meta.iter_mut());
            let mut count = 0;
            let waiting_datagrams = std::iter::from_fn(|| waiting.datagrams.pop_front());
            for ((buf, meta), (about, datagram)) in room.zip(waiting_datagrams) {
                let len = datagram.len().min(buf.len());
                buf[..len].copy_from_slice(&datagram[..len]);
                *meta = RecvMeta { len, ..about };
                count += 1;
            }
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            if waiting.reader.as_ref().is_none_or(|reader| !reader.will_wake(cx.waker())) {
                waiting.reader = Some(cx.waker().clone());
            }
        }
        let result = self.switch.inner.poll_recv(cx, bufs, meta);
        if let (Poll::Ready(Ok(count)), true) = (&result, self.switch.any.load(Ordering::Relaxed)) {
            for (buf, meta) in bufs.iter_mut().zip(meta).take(*count) {
                self.switch.sort(buf, meta);
            }
        }
        result
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.switch.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.switch.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.switch.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.switch.inner.may_fragment()
    }
}

impl std::fmt::Debug for PathSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PathSocket").field("inner", &self.switch.inner).finish_non_exhaustive()
    }
}
