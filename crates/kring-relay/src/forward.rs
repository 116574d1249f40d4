//! The way of a packet through the relay: read with many others, its header changed, sent with those that go the same way.
//!
//! Guarantee: for each datagram that comes at most one goes out, never longer than it; QUIC's go to QUIC, and what is
//! neither is dropped. Nothing here waits: what the system does not take at once is lost, as on any link.

use crate::batch::{Batch, Way};
use crate::metrics::{Metrics, count};
use crate::port::Port;
use crate::quic::Inbox;
use crate::send::Sender;
use crate::sessions::{Dropped, Place, Sessions, Table};
use kring_net::relay::shim::{self, HEADER, Packet};
use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The most that one read gives for one buffer: 64 datagrams of one sender, 64 KiB together.
const BUFFER: usize = u16::MAX as usize;
/// From so many packets a second on, the thread waits for some more before it looks: waking up costs as much as some packets do.
const BUSY: f64 = 20_000.0;
/// How long; it is what a packet then may wait here.
const NAP: Duration = Duration::from_micros(100);
/// QUIC's packets have this bit (RFC 9000, section 17); clients do not grease it.
const QUIC_BIT: u8 = 0x40;

/// One thread's socket, and what it needs.
pub(crate) struct Forwarder {
    pub(crate) port: Port,
    pub(crate) state: UdpSocketState,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inbox: Arc<Inbox>,
    /// Bits a second of one side.
    pub(crate) limit: f64,
    /// Nanoseconds at work.
    pub(crate) busy: Arc<AtomicU64>,
}

/// What goes out next, and by what.
struct Outgoing<'a> {
    forwarder: &'a Forwarder,
    batch: Batch,
    sender: Sender,
}

impl Outgoing<'_> {
    fn flush(&mut self) {
        let (packets, bytes) = self.batch.size();
        if packets == 0 {
            return;
        }
        let lost = self.sender.send(&self.forwarder.port, &self.forwarder.state, &self.batch);
        self.batch.clear();
        let metrics = &self.forwarder.metrics;
        metrics.dropped_busy_total.fetch_add(lost, Ordering::Relaxed);
        metrics.packets_total.fetch_add(packets, Ordering::Relaxed);
        metrics.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Forwarder {
    /// Forwards until told to stop.
    pub(crate) fn run(self, stopped: &watch::Receiver<bool>) -> io::Result<()> {
        let mut storage = vec![0; BUFFER * BATCH_SIZE];
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let mut out = Outgoing { forwarder: &self, batch: Batch::new(), sender: Sender::new(&self.state) };
        let mut before = Instant::now();
        while !*stopped.borrow() {
            if !self.port.wait()? {
                continue;
            }
            let began = Instant::now();
            let (mut now, mut packets) = (began, 0);
            loop {
                let mut buffers: [IoSliceMut<'_>; BATCH_SIZE] = {
                    let mut chunks = storage.chunks_exact_mut(BUFFER);
                    std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("one for each")))
                };
                match self.port.recv(&self.state, &mut buffers, &mut meta) {
                    Ok(count) => {
                        packets += count;
                        let table = self.sessions.table();
                        for (buffer, meta) in buffers.iter().zip(&meta[..count]) {
                            self.take(&table, &buffer[..meta.len], meta, now, &mut out);
                        }
                        drop(table);
                        // While there is more to read, more goes the same way.
                        if count < BATCH_SIZE {
                            break;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // What an earlier packet met (ICMP) is no reason to stop.
                    Err(_) => {}
                }
                now = Instant::now();
                // Whether it has to stop is looked at now and then, and how busy it is is shown.
                if now.duration_since(began).as_millis() >= 10 {
                    break;
                }
            }
            out.flush();
            now = Instant::now();
            self.busy.fetch_add(now.duration_since(began).as_nanos() as u64, Ordering::Relaxed);
            let busy = packets as f64 > BUSY * now.duration_since(before).as_secs_f64();
            before = now;
            if busy && packets < BATCH_SIZE {
                std::thread::sleep(NAP);
            }
        }
        Ok(())
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
                            if out.batch.is_full() {
                                out.flush();
                            }
                            let way = Way { to, from: local, ecn: meta.ecn };
                            out.batch.add(token.0, way, out.sender.most(), &head, payload);
                        }
                        Ok((token, Place::Tcp(_, queue))) => {
                            self.metrics.packets_total.fetch_add(1, Ordering::Relaxed);
                            self.metrics.bytes_total.fetch_add(datagram.len() as u64, Ordering::Relaxed);
                            if queue.try_send(shim::wrap(token, payload)).is_err() {
                                count(&self.metrics.dropped_busy_total);
                            }
                        }
                        Err(why) => dropped(&self.metrics, why),
                    }
                }
                Some(Packet::Bind(bind)) => {
                    let from = Place::Udp(meta.addr, meta.dst_ip);
                    if let Some(answer) = table.bind(&bind, from, now) {
                        let transmit = Transmit {
                            destination: meta.addr,
                            ecn: None,
                            contents: &answer,
                            segment_size: None,
                            src_ip: meta.dst_ip,
                        };
                        let _ = self.state.send(self.port.as_ref(), &transmit);
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
