//! As much of a TURN client (RFC 8656) as sends channel data through coturn.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MAGIC: u32 = 0x2112_a442;
const ALLOCATE: u16 = 0x0003;
const CHANNEL_BIND: u16 = 0x0009;
const CHANNEL: u16 = 0x4000;

/// coturn with one relay thread and no passwords; `None` if it is not installed.
pub(crate) fn server() -> Option<(Child, SocketAddr)> {
    let port = UdpSocket::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let child = Command::new("turnserver")
        .args(["-n", "--no-auth", "--no-tls", "--no-dtls", "--no-tcp", "--no-cli", "--allow-loopback-peers"])
        .args(["--relay-threads", "1", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"])
        .args(["--listening-port", &port.to_string(), "--log-file", "stdout", "--realm", "bench"])
        .args(["--pidfile", "/dev/null", "--userdb", "/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    std::thread::sleep(Duration::from_secs(1));
    Some((child, SocketAddr::from(([127, 0, 0, 1], port))))
}

fn message(kind: u16, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend_from_slice(&kind.to_be_bytes());
        body.extend_from_slice(&(value.len() as u16).to_be_bytes());
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut out = kind.to_be_bytes().to_vec();
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend_from_slice(&[7; 12]);
    out.extend_from_slice(&body);
    out
}

/// XOR-PEER-ADDRESS (RFC 8656, section 18.3) of an IPv4 address.
fn xor(address: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(ip) = address.ip() else { panic!("IPv4") };
    let port = address.port() ^ (MAGIC >> 16) as u16;
    let ip = u32::from(ip) ^ MAGIC;
    [&[0, 1][..], &port.to_be_bytes(), &ip.to_be_bytes()].concat()
}

fn ask(socket: &UdpSocket, server: SocketAddr, kind: u16, attributes: &[(u16, Vec<u8>)]) {
    let mut buffer = [0; 2048];
    for _ in 0..10 {
        socket.send_to(&message(kind, attributes), server).expect("it is sent");
        if let Ok(len) = socket.recv(&mut buffer) {
            let answer = u16::from_be_bytes([buffer[0], buffer[1]]);
            assert_eq!(answer, kind | 0x0100, "{:x?}", &buffer[..len]);
            return;
        }
    }
    panic!("coturn does not answer");
}

/// A client of coturn, a peer, and the packet by which the one sends `payload` to the other.
pub(crate) fn allocate(server: SocketAddr, payload: &[u8]) -> (UdpSocket, UdpSocket, Vec<u8>) {
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    // REQUESTED-TRANSPORT: UDP.
    ask(&sender, server, ALLOCATE, &[(0x0019, vec![17, 0, 0, 0])]);
    let peer = xor(receiver.local_addr().expect("an address"));
    // CHANNEL-NUMBER, XOR-PEER-ADDRESS.
    let channel = [&CHANNEL.to_be_bytes()[..], &[0, 0]].concat();
    ask(&sender, server, CHANNEL_BIND, &[(0x000c, channel), (0x0012, peer)]);
    let length = (payload.len() as u16).to_be_bytes();
    let packet = [&CHANNEL.to_be_bytes()[..], &length, payload].concat();
    (sender, receiver, packet)
}
