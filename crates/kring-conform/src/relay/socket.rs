//! A UDP socket whose datagrams are QUIC's but for a relay's packets.
//!
//! Guarantee: quinn never sees what begins with 0x10 to 0x12; of that, what is not taken in time is lost. All that depends on
//! quinn's socket traits is in this file.

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Packets that wait.
const WAITING: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Split {
    inner: Arc<dyn AsyncUdpSocket>,
    packets: mpsc::Sender<(SocketAddr, Vec<u8>)>,
}

/// Packets, and where they came from.
pub(crate) type Packets = mpsc::Receiver<(SocketAddr, Vec<u8>)>;

impl Split {
    /// # Errors
    /// What the system says.
    pub(crate) fn new(socket: UdpSocket) -> io::Result<(Arc<Split>, Packets)> {
        let (packets, taken) = mpsc::channel(WAITING);
        Ok((Arc::new(Split { inner: TokioRuntime.wrap_udp_socket(socket)?, packets }), taken))
    }
}

impl AsyncUdpSocket for Split {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let came = self.inner.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(count)) = came {
            for (buf, meta) in bufs.iter().zip(&mut *meta).take(count) {
                if !buf.first().is_some_and(|first| (0x10..=0x12).contains(first)) {
                    continue;
                }
                // Several of one length may come as one.
                for packet in buf[..meta.len].chunks(meta.stride.max(1)) {
                    let _ = self.packets.try_send((meta.addr, packet.to_vec()));
                }
                (meta.len, meta.stride) = (0, 0);
            }
        }
        came
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
