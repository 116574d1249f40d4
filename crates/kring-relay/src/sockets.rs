//! The relay's sockets: one UDP socket for each thread, all on one port, and one for TCP.
//!
//! Guarantee: a port that another program has is an error, also where several sockets of one's own may share it.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// What the system is asked for to hold datagrams; it gives less if net.core.rmem_max is lower.
const BUFFER: usize = 4 << 20;
/// TCP connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Tries to find a port that is free with both.
const TRIES: usize = 16;

fn udp(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // One socket for both kinds of addresses, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    #[cfg(unix)]
    if shared {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(unix))]
    let _ = shared;
    // Smaller ones serve as well.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A port whose last connections are still fading away is free.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// `threads` sockets of UDP and, if wanted, one of TCP, all on one port of `address`.
pub(crate) fn open(
    address: SocketAddr,
    threads: usize,
    with_tcp: bool,
) -> io::Result<(Vec<UdpSocket>, Option<TcpListener>)> {
    let mut tries = 0;
    loop {
        // Without sharing first: with it, another relay's port would be taken for free.
        let found = udp(address, false)?.local_addr()?;
        let sockets: io::Result<Vec<_>> = (0..threads).map(|_| udp(found, threads > 1)).collect();
        let all = sockets.and_then(|udp| Ok((udp, with_tcp.then(|| tcp(found)).transpose()?)));
        tries += 1;
        match all {
            // The system chose it for UDP; with TCP it can be taken.
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && address.port() == 0 && tries < TRIES => {}
            all => return all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sockets_have_one_port_and_nobody_else_gets_it() {
        for address in ["127.0.0.1:0", "[::]:0"] {
            let (sockets, tcp) = open(address.parse().unwrap(), 3, true).unwrap();
            let port = tcp.unwrap().local_addr().unwrap().port();
            assert!(sockets.iter().all(|socket| socket.local_addr().unwrap().port() == port));
            let mut same: SocketAddr = address.parse().unwrap();
            same.set_port(port);
            assert_eq!(open(same, 3, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
    }
}
