//! The way of a packet through the relay: read with many others, its header changed, sent with those that go the same way.
//!
//! Guarantee: for each datagram that comes at most one goes out, never longer than it; QUIC's go to QUIC, and what is
//! neither is dropped. Nothing here waits: what the system does not take at once is lost, as on any link.

use crate::metrics::{Metrics, count};
use crate::quic::Inbox;
use crate::sessions::{Dropped, Place, Sessions, Table};
use kring_net::relay::shim::{self, HEADER, Packet};
use quinn::udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The most that one read gives for one buffer: 64 datagrams of one sender, 64 KiB together.
const BUFFER: usize = u16::MAX as usize;
/// Ways that are put together at a time.
const RUNS: usize = 16;
/// The longest run, in bytes: what one IP packet holds, headers deducted.
const RUN: usize = 65_000;
/// QUIC's packets have this bit (RFC 9000, section 17); clients do not grease it.
const QUIC_BIT: u8 = 0x40;

/// One thread's socket, and what it needs.
pub(crate) struct Forwarder {
    pub(crate) socket: UdpSocket,
    pub(crate) state: UdpSocketState,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inbox: Arc<Inbox>,
    /// Bits a second of one side.
    pub(crate) limit: f64,
    /// Nanoseconds at work.
    pub(crate) busy: Arc<AtomicU64>,
}

/// Datagrams to one place, all of one length but the last, which may be shorter.
struct Run {
    to: SocketAddr,
    from: Option<IpAddr>,
    ecn: Option<EcnCodepoint>,
    segment: usize,
    count: usize,
    bytes: Vec<u8>,
}

/// What goes out at the end of a batch.
struct Outgoing<'a> {
    forwarder: &'a Forwarder,
    runs: Vec<Run>,
    /// Buffers of runs that went out.
    spare: Vec<Vec<u8>>,
    most: usize,
    packets: u64,
    bytes: u64,
}

impl Outgoing<'_> {
    /// Adds a datagram made of `head` and `tail`.
    fn add(
        &mut self,
        to: SocketAddr,
        from: Option<IpAddr>,
        ecn: Option<EcnCodepoint>,
        head: &[u8],
        tail: &[u8],
    ) {
        let len = head.len() + tail.len();
        self.packets += 1;
        self.bytes += len as u64;
        if let Some(at) = self.runs.iter().position(|run| run.to == to) {
            let run = &mut self.runs[at];
            let fits = run.from == from
                && run.ecn == ecn
                && len <= run.segment
                && run.bytes.len() == run.count * run.segment
                && run.count < self.most
                && run.bytes.len() + len <= RUN;
            if fits {
                run.count += 1;
                run.bytes.extend_from_slice(head);
                run.bytes.extend_from_slice(tail);
                return;
            }
            // In the order in which they came.
            let run = self.runs.remove(at);
            self.send(run);
        } else if self.runs.len() == RUNS {
            let run = self.runs.remove(0);
            self.send(run);
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(tail);
        self.runs.push(Run { to, from, ecn, segment: len, count: 1, bytes });
    }

    fn send(&mut self, mut run: Run) {
        let transmit = Transmit {
            destination: run.to,
            ecn: run.ecn,
            contents: &run.bytes,
            segment_size: (run.count > 1).then_some(run.segment),
            src_ip: run.from,
        };
        let sent = self.forwarder.state.send((&self.forwarder.socket).into(), &transmit);
        if sent.is_err() {
            self.forwarder.metrics.dropped_busy_total.fetch_add(run.count as u64, Ordering::Relaxed);
        }
        run.bytes.clear();
        self.spare.push(run.bytes);
    }

    fn flush(&mut self) {
        while let Some(run) = self.runs.pop() {
            self.send(run);
        }
        let metrics = &self.forwarder.metrics;
        metrics.packets_total.fetch_add(std::mem::take(&mut self.packets), Ordering::Relaxed);
        metrics.bytes_total.fetch_add(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Forwarder {
    /// Forwards until it is dropped.
    pub(crate) async fn run(self) -> io::Result<()> {
        let mut storage = vec![0; BUFFER * BATCH_SIZE];
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let mut out = Outgoing {
            forwarder: &self,
            runs: Vec::with_capacity(RUNS),
            spare: Vec::new(),
            most: 1,
            packets: 0,
            bytes: 0,
        };
        loop {
            self.socket.readable().await?;
            let began = Instant::now();
            let mut now = began;
            loop {
                let mut buffers: [IoSliceMut<'_>; BATCH_SIZE] = {
                    let mut chunks = storage.chunks_exact_mut(BUFFER);
                    std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("one for each")))
                };
                let read = self.socket.try_io(Interest::READABLE, || {
                    self.state.recv((&self.socket).into(), &mut buffers, &mut meta)
                });
                match read {
                    Ok(count) => {
                        // It shrinks to one if the network device turns out not to cut.
                        out.most = self.state.max_gso_segments();
                        let table = self.sessions.table();
                        for (buffer, meta) in buffers.iter().zip(&meta[..count]) {
                            self.take(&table, &buffer[..meta.len], meta, now, &mut out);
                        }
                        drop(table);
                        out.flush();
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // What an earlier packet met (ICMP) is no reason to stop.
                    Err(_) => {}
                }
                now = Instant::now();
                // Others of this thread, such as the wish to stop, get their turn.
                if now.duration_since(began).as_millis() >= 10 {
                    break;
                }
            }
            self.busy.fetch_add(now.duration_since(began).as_nanos() as u64, Ordering::Relaxed);
        }
    }

    /// Takes what came in one buffer.
    fn take(&self, table: &Table<'_>, buffer: &[u8], meta: &RecvMeta, now: Instant, out: &mut Outgoing<'_>) {
        for datagram in buffer.chunks(meta.stride.max(1)) {
            match shim::parse(datagram) {
                _ if datagram[0] & QUIC_BIT != 0 => self.inbox.put(meta, datagram),
                Some(Packet::Data { token, payload }) => {
                    let from = Place::Udp(meta.addr, meta.dst_ip);
                    match table.route(token, &from, datagram.len() * 8, self.limit, now) {
                        Ok((token, Place::Udp(to, local))) => {
                            let mut head = [shim::DATA; HEADER];
                            head[1..].copy_from_slice(&token.0.to_be_bytes());
                            out.add(to, local, meta.ecn, &head, payload);
                        }
                        Ok((token, Place::Tcp(_, queue))) => {
                            out.packets += 1;
                            out.bytes += datagram.len() as u64;
                            if queue.try_send(shim::wrap(token, payload)).is_err() {
                                count(&self.metrics.dropped_busy_total);
                            }
                        }
                        Err(why) => dropped(&self.metrics, why),
                    }
                }
                Some(Packet::Bind(bind)) => {
                    let from = Place::Udp(meta.addr, meta.dst_ip);
                    if let Some(answer) = self.sessions.bind(&bind, from, now) {
                        let transmit = Transmit {
                            destination: meta.addr,
                            ecn: None,
                            contents: &answer,
                            segment_size: None,
                            src_ip: meta.dst_ip,
                        };
                        let _ = self.state.send((&self.socket).into(), &transmit);
                    }
                }
                Some(Packet::Bound(_)) | None => count(&self.metrics.dropped_garbage_total),
            }
        }
    }
}

/// Counts a packet that goes nowhere.
pub(crate) fn dropped(metrics: &Metrics, why: Dropped) {
    count(match why {
        Dropped::UnknownToken => &metrics.dropped_token_total,
        Dropped::WrongPlace => &metrics.dropped_place_total,
        Dropped::TooMuch => &metrics.dropped_rate_total,
    });
}
