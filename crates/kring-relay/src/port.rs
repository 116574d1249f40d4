//! The socket of a thread that forwards, and how the thread waits for packets.
//!
//! Guarantee: a wait ends after [`PATIENCE`] at the latest, so that the thread notices that it has to stop. On Linux it costs one system call.

use quinn::udp::{RecvMeta, UdpSockRef, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::time::Duration;

/// The longest wait.
const PATIENCE: Duration = Duration::from_millis(100);

/// A socket that does not block.
#[cfg(target_os = "linux")]
pub(crate) struct Port(UdpSocket);

#[cfg(target_os = "linux")]
impl Port {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Port> {
        Ok(Port(socket))
    }

    /// Waits; says whether there is something to read.
    pub(crate) fn wait(&self) -> io::Result<bool> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let mut sockets = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).expect("it is short");
        match poll(&mut sockets, patience) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what is there.
    pub(crate) fn recv(
        &self,
        state: &UdpSocketState,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        state.recv(self.as_ref(), buffers, meta)
    }

    /// For sending.
    pub(crate) fn as_ref(&self) -> UdpSockRef<'_> {
        (&self.0).into()
    }

    /// For sending by the system's own calls.
    pub(crate) fn fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.0)
    }
}

/// A socket that does not block, and the runtime that waits for it.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Port {
    runtime: tokio::runtime::Runtime,
    socket: tokio::net::UdpSocket,
}

#[cfg(not(target_os = "linux"))]
impl Port {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Port> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = {
            let _entered = runtime.enter();
            tokio::net::UdpSocket::from_std(socket)?
        };
        Ok(Port { runtime, socket })
    }

    /// Waits; says whether there is something to read.
    pub(crate) fn wait(&self) -> io::Result<bool> {
        let ready = async { tokio::time::timeout(PATIENCE, self.socket.readable()).await };
        match self.runtime.block_on(ready) {
            Ok(ready) => ready.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Reads what is there.
    pub(crate) fn recv(
        &self,
        state: &UdpSocketState,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.socket.try_io(tokio::io::Interest::READABLE, || state.recv(self.as_ref(), buffers, meta))
    }

    /// For sending.
    pub(crate) fn as_ref(&self) -> UdpSockRef<'_> {
        (&self.socket).into()
    }
}
