//! A forwarder that does nothing but forward: what the system leaves to any that takes a packet from one socket and sends it by
//! another call. It reads with `recvmmsg`, takes the port that the packet names, and sends with `sendmmsg`.

use crate::{Server, start};
use kring_net::relay::shim::HEADER;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;

const TOGETHER: usize = 64;

/// Starts it as a process of its own.
pub(crate) fn server() -> (Server, SocketAddr) {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.arg("bare");
    start(program)
}

/// A packet for it that holds `payload`, to be sent on to `port` of this machine.
pub(crate) fn packet(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; HEADER];
    packet[HEADER - 2..].copy_from_slice(&port.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// Is it, until the process is ended.
pub(crate) fn run() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
    eprintln!("bare: listening at {}, no pin", socket.local_addr().expect("an address"));
    let mut storage = vec![[0; 2048]; TOGETHER];
    let mut receiving = MultiHeaders::<SockaddrIn>::preallocate(TOGETHER, None);
    let mut sending = MultiHeaders::<SockaddrIn>::preallocate(TOGETHER, None);
    let fd = socket.as_raw_fd();
    loop {
        let lengths: Vec<usize> = {
            let mut buffers: Vec<_> = storage.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let flags = MsgFlags::MSG_WAITFORONE;
            match recvmmsg(fd, &mut receiving, buffers.iter_mut(), flags, None) {
                Ok(read) => read.map(|message| message.bytes).collect(),
                Err(_) => continue,
            }
        };
        let packets = storage.iter().zip(&lengths);
        let (contents, addresses): (Vec<_>, Vec<_>) = packets
            .map(|(buffer, &len)| {
                let port = u16::from_be_bytes([buffer[HEADER - 2], buffer[HEADER - 1]]);
                let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
                ([IoSlice::new(&buffer[..len])], Some(SockaddrIn::from(to)))
            })
            .unzip();
        let mut at = 0;
        while at < contents.len() {
            let sent = sendmmsg(fd, &mut sending, &contents[at..], &addresses[at..], [], MsgFlags::empty());
            at += sent.map_or(1, Iterator::count).max(1);
        }
    }
}
