//! Processor time for each packet, beside coturn's in the same run, and beside that of a forwarder that does nothing else.
//!
//! Each server has one thread that forwards. Packets go one way, through the server once, over loopback, interleaved: one of each
//! session in turn. Reported are packets that arrived for each second of processor time (user and system) that the server used,
//! so that other programs on the machine matter little. Nobody sleeps in a read for a packet: on a network, too,
//! those who receive are woken by a machine of their own.

use crate::{Server, bare, bind, relay, sessions, turn};
use quinn::udp::{Transmit, UdpSocketState};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(3);
/// Packets on their way at a time: what the servers' sockets hold.
const WINDOW: usize = 512;

/// What is sent.
struct Pattern {
    /// Senders, each with a receiver of its own.
    pairs: usize,
    /// Bytes of a packet before the server's header.
    payload: usize,
    /// Packets of one sender in one go.
    burst: usize,
}

/// QUIC's packets of a picture, those of voice, many calls, and a picture's packets together.
const PATTERNS: [Pattern; 5] = [
    Pattern { pairs: 32, payload: 1200, burst: 1 },
    Pattern { pairs: 32, payload: 120, burst: 1 },
    Pattern { pairs: 400, payload: 1200, burst: 1 },
    Pattern { pairs: 400, payload: 120, burst: 1 },
    Pattern { pairs: 32, payload: 1200, burst: 16 },
];

/// Who sends, with what in front; and who receives.
struct Pair {
    sender: UdpSocket,
    receiver: UdpSocket,
    packet: Vec<u8>,
}

/// Reads what arrives, every now and then, until told to stop.
fn receive(receivers: &[UdpSocket], least: usize, stop: &AtomicBool, arrived: &AtomicU64) {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        for receiver in receivers {
            let mut count = 0;
            while receiver.recv(&mut buffer).is_ok_and(|len| len >= least) {
                count += 1;
            }
            arrived.fetch_add(count, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Sends for a while: arrived packets for each second of the server's processor time, and for each second.
fn measure(server: &Server, pairs: &[Pair], to: SocketAddr, pattern: &Pattern) -> (f64, f64) {
    let (stop, arrived) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let receivers: Vec<_> = pairs.iter().map(|pair| pair.receiver.try_clone().expect("a socket")).collect();
    let receiving = {
        let (stop, arrived, least) = (stop.clone(), arrived.clone(), pattern.payload);
        std::thread::spawn(move || {
            for receiver in &receivers {
                receiver.set_nonblocking(true).expect("a socket");
            }
            receive(&receivers, least, &stop, &arrived);
        })
    };
    let states: Vec<_> =
        pairs.iter().map(|pair| UdpSocketState::new((&pair.sender).into()).expect("a socket")).collect();
    let bursts: Vec<_> = pairs.iter().map(|pair| pair.packet.repeat(pattern.burst)).collect();
    let (begun, cpu) = (Instant::now(), server.cpu());
    let mut sent = 0u64;
    while begun.elapsed() < TIME {
        for ((pair, state), burst) in pairs.iter().zip(&states).zip(&bursts) {
            let transmit = Transmit {
                destination: to,
                ecn: None,
                contents: burst,
                segment_size: (pattern.burst > 1).then_some(pair.packet.len()),
                src_ip: None,
            };
            match state.try_send((&pair.sender).into(), &transmit) {
                Ok(()) => sent += pattern.burst as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("sending: {error}"),
            }
            // Not faster than the server takes it: what is dropped in its socket's buffer would cost it nothing.
            while sent.saturating_sub(arrived.load(Ordering::Relaxed)) > WINDOW as u64
                && begun.elapsed() < TIME
            {
                if stalled(&arrived) {
                    sent = arrived.load(Ordering::Relaxed);
                }
            }
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    stop.store(true, Ordering::Relaxed);
    receiving.join().expect("it ends");
    let (arrived, cpu) = (arrived.load(Ordering::Relaxed) as f64, server.cpu() - cpu);
    (arrived / cpu.max(0.01), arrived / TIME.as_secs_f64())
}

/// Whether nothing arrives for a while, so that something was lost.
fn stalled(arrived: &AtomicU64) -> bool {
    let before = arrived.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_micros(50));
    let waited = Instant::now();
    while arrived.load(Ordering::Relaxed) == before {
        if waited.elapsed() > Duration::from_millis(5) {
            return true;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    false
}

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a socket")
}

/// Measures all patterns.
pub(crate) fn run(runtime: &tokio::runtime::Runtime) {
    println!("arrived packets for each second of the server's processor time (for each second in fact)");
    for pattern in PATTERNS {
        let Pattern { pairs: count, payload, burst } = pattern;
        let payload = vec![0x40; payload];
        let ours = {
            let (server, address) = relay(1.0, &[]);
            let sessions = runtime.block_on(sessions(address, count));
            let pair = |[near, far]: &[_; 2]| {
                let near: &kring_net::relay::Session = near;
                Pair { sender: bind(near), receiver: bind(far), packet: near.wrap(&payload) }
            };
            let pairs: Vec<_> = sessions.iter().map(pair).collect();
            measure(&server, &pairs, address, &pattern)
        };
        let bare = {
            let (server, address) = bare::server();
            let pair = |_| {
                let (sender, receiver) = (socket(), socket());
                let port = receiver.local_addr().expect("an address").port();
                Pair { sender, receiver, packet: bare::packet(port, &payload) }
            };
            let pairs: Vec<_> = (0..count).map(pair).collect();
            measure(&server, &pairs, address, &pattern)
        };
        let theirs = turn::server().map(|(server, address)| {
            let server = Server(server);
            let pair = |_| {
                let (sender, receiver, packet) = turn::allocate(address, &payload);
                Pair { sender, receiver, packet }
            };
            let pairs: Vec<_> = (0..count).map(pair).collect();
            measure(&server, &pairs, address, &pattern)
        });
        let text = |(rate, fact): (f64, f64)| format!("{:.0}k ({:.0}k)", rate / 1e3, fact / 1e3);
        let coturn = theirs.map_or("not here".into(), text);
        let ratio = theirs.map_or(f64::NAN, |theirs| ours.0 / theirs.0);
        println!(
            "{count} senders, {} B, {burst} in one go: kring-relay {}, coturn {coturn}, ratio {ratio:.2}; bare {}, which is {:.2} of coturn",
            payload.len(),
            text(ours),
            text(bare),
            theirs.map_or(f64::NAN, |theirs| bare.0 / theirs.0),
        );
    }
}
