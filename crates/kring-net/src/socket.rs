//! The socket under QUIC: passes everything through, sends the datagrams of a call's set-up again, and lets those wait
//! that came too early (see [`repeat`](crate::repeat)). All that depends on quinn's socket traits is in this file.
//!
//! Guarantee: without a set-up under way it costs a datagram one atomic load.

use crate::header::is_long;
use crate::repeat::{Copy, Flows, key};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// The set-ups under way on a socket.
#[derive(Default)]
pub(crate) struct SetUps {
    flows: Mutex<Flows>,
    any: AtomicBool,
    changed: Notify,
    early: Mutex<Early>,
}

/// Datagrams that came too early.
#[derive(Default)]
struct Early {
    waiting: Vec<(RecvMeta, Vec<u8>)>,
    /// To be handed to QUIC next.
    ready: VecDeque<(RecvMeta, Vec<u8>)>,
    reader: Option<Waker>,
}

impl SetUps {
    fn with<T>(&self, f: impl FnOnce(&mut Flows) -> T) -> T {
        let mut flows = self.flows.lock().expect("nothing panics with this lock held");
        let result = f(&mut flows);
        self.any.store(!flows.is_empty(), Ordering::Relaxed);
        result
    }

    fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// A set-up with `address` begins here.
    pub(crate) fn begin(&self, address: SocketAddr) {
        self.with(|flows| flows.begin(Instant::now(), address));
    }

    /// The other side got all that was sent so far.
    pub(crate) fn answered(&self, address: SocketAddr) {
        self.with(|flows| flows.answered(Instant::now(), address));
    }

    /// Waits until all of the set-up with `address` has left.
    pub(crate) async fn left(&self, address: SocketAddr) {
        while self.with(|flows| flows.is_waiting(address)) {
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// From here on it is media that is sent.
    pub(crate) fn settle(&self, address: SocketAddr) {
        self.with(|flows| flows.settle(Instant::now(), address));
    }

    /// A connection has come about; what waited for that is handed on.
    pub(crate) fn connected(&self, address: SocketAddr) {
        self.with(|flows| flows.connected(Instant::now(), address));
        let mut early = self.early();
        let Early { waiting, ready, reader } = &mut *early;
        ready.extend(waiting.extract_if(.., |(meta, _)| key(meta.addr) == key(address)));
        if let Some(reader) = reader.take() {
            reader.wake();
        }
    }

    /// The set-up came to nothing.
    pub(crate) fn failed(&self, address: SocketAddr) {
        self.with(|flows| flows.failed(address));
        self.early().waiting.retain(|(meta, _)| key(meta.addr) != key(address));
    }

    /// A connection is over.
    pub(crate) fn disconnected(&self, address: SocketAddr) {
        self.with(|flows| flows.disconnected(address));
    }

    fn early(&self) -> std::sync::MutexGuard<'_, Early> {
        self.early.lock().expect("nothing panics with this lock held")
    }

    /// Looks at what came in one buffer; takes out what has to wait.
    fn received(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        let (stride, mut kept) = (meta.stride.max(1), 0);
        let mut begin = 0;
        while begin < meta.len {
            let end = meta.len.min(begin + stride);
            let datagram = &buffer[begin..end];
            let looked_at = is_long(datagram) || self.any();
            if looked_at && self.with(|flows| flows.received(Instant::now(), meta.addr, datagram)) {
                let alone = RecvMeta { len: end - begin, stride: end - begin, ..*meta };
                self.early().waiting.push((alone, datagram.to_vec()));
            } else {
                buffer.copy_within(begin..end, kept);
                kept += end - begin;
            }
            begin = end;
        }
        meta.len = kept;
    }
}

pub(crate) struct RepeatingSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    set_ups: Arc<SetUps>,
}

impl RepeatingSocket {
    /// Puts itself around `inner`; copies are sent by a task that ends with the socket.
    pub(crate) fn over(inner: Arc<dyn AsyncUdpSocket>) -> (Arc<RepeatingSocket>, Arc<SetUps>) {
        let set_ups = Arc::new(SetUps::default());
        let socket = Arc::new(RepeatingSocket { inner, set_ups: set_ups.clone() });
        tokio::spawn(send_copies(Arc::downgrade(&socket), set_ups.clone()));
        (socket, set_ups)
    }
}

impl Drop for RepeatingSocket {
    fn drop(&mut self) {
        self.set_ups.changed.notify_one();
    }
}

async fn send_copies(socket: Weak<RepeatingSocket>, set_ups: Arc<SetUps>) {
    loop {
        let Some(socket) = socket.upgrade() else { return };
        for copy in set_ups.with(|flows| flows.due(Instant::now())) {
            // What has no room is not worth waiting for: it is copied again.
            let _ = socket.inner.try_send(&Transmit {
                destination: copy.to,
                ecn: None,
                contents: &copy.bytes,
                segment_size: None,
                src_ip: copy.from,
            });
        }
        drop(socket);
        match set_ups.with(|flows| flows.next()) {
            Some(due) => tokio::select! {
                () = sleep_until(due) => {}
                () = set_ups.changed.notified() => {}
            },
            None => set_ups.changed.notified().await,
        }
    }
}

impl AsyncUdpSocket for RepeatingSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if !self.set_ups.any() {
            return self.inner.try_send(transmit);
        }
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let copy =
            |bytes: &[u8]| Copy { to: transmit.destination, from: transmit.src_ip, bytes: bytes.into() };
        let datagrams = || transmit.contents.chunks(segment).map(copy);
        let now = Instant::now();
        let goes = |flows: &mut Flows| datagrams().all(|d| !flows.is_needless(now, &d) && flows.may_send(&d));
        if is_long(transmit.contents) && !self.set_ups.with(goes) {
            return Ok(());
        }
        if self.set_ups.with(|flows| flows.is_thin(transmit.destination)) {
            for datagram in datagrams() {
                let Some(Copy { bytes, .. }) = self.set_ups.with(|flows| flows.wait(now, datagram)) else {
                    self.set_ups.changed.notify_one();
                    continue;
                };
                self.inner.try_send(&Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn,
                    contents: &bytes,
                    segment_size: None,
                    src_ip: transmit.src_ip,
                })?;
                self.set_ups.with(|flows| flows.sent(now, copy(&bytes)));
            }
            self.set_ups.changed.notify_one();
            return Ok(());
        }
        self.inner.try_send(transmit)?;
        let kept = self.set_ups.with(|flows| datagrams().filter(|d| flows.sent(now, d.clone())).count());
        if kept > 0 {
            self.set_ups.changed.notify_one();
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        {
            let mut early = self.set_ups.early();
            let room = bufs.iter_mut().zip(meta.iter_mut());
            let mut count = 0;
            for ((buf, meta), (about, datagram)) in room.zip(std::iter::from_fn(|| early.ready.pop_front())) {
                let len = datagram.len().min(buf.len());
                buf[..len].copy_from_slice(&datagram[..len]);
                *meta = RecvMeta { len, ..about };
                count += 1;
            }
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            early.reader = self.set_ups.any().then(|| cx.waker().clone());
        }
        let result = self.inner.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(count)) = result {
            for (buf, meta) in bufs.iter_mut().zip(meta).take(count) {
                self.set_ups.received(buf, meta);
            }
        }
        result
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

impl std::fmt::Debug for RepeatingSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RepeatingSocket").field("inner", &self.inner).finish_non_exhaustive()
    }
}
