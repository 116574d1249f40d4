//! What a relay costs: processor time for each packet, beside coturn's in the same run, and memory for each client.
//!
//!     cargo bench -p kring-relay --bench relay                 # packets; with coturn, if `turnserver` is installed
//!     cargo bench -p kring-relay --bench relay -- clients 10000
//!
//! Both servers are processes of their own with one thread that forwards. Packets go one way, through the server once, over
//! loopback; what is reported is packets that arrived for each second of processor time (user and system) that the
//! server used, so that other programs on the machine matter little. Linux only: it reads /proc.

#![allow(clippy::print_stdout)]

#[path = "relay/turn.rs"]
mod turn;

use kring_net::relay::shim::{self, Packet};
use kring_net::relay::{Binding, Client, Event, Events, MailboxKey, Session};
use kring_net::{Config, Endpoint};
use quinn::udp::{Transmit, UdpSocketState};
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Senders, each with a receiver of its own.
const PAIRS: usize = 32;
/// Bytes of a packet before the server's header: QUIC's of a call.
const PAYLOAD: usize = 1200;
/// Datagrams of a burst: a picture's.
const BURST: usize = 16;
const TIME: Duration = Duration::from_secs(5);

/// A server, ended with the value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Seconds of processor time so far.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a line").split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
        // Fields 14 and 15 of proc(5); a tick is a hundredth of a second.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// KiB of memory that are its own.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("RssAnon")).expect("a line");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }
}

/// A relay without limits that a bench meets.
fn relay() -> (Server, SocketAddr) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("relay.toml");
    let limits = "bind = \"127.0.0.1:0\"\nthreads = 1\n[limits]\nmax-clients = 1000000\nmax-sessions = 1000000\n\
                  max-load = 1.0\nsession-mbit = 1e6\nclients-per-address = 1000000\n\
                  client-rate-per-address = 1e6\nsessions-per-address = 1000000\n\
                  session-rate-per-address = 1e6\nsessions-per-mailbox = 1000000\n";
    std::fs::write(&config, limits).expect("a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kring-relay"))
        .arg("--config")
        .arg(&config)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the relay starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let line = lines.next().expect("a line").expect("text");
    let address = line.split("listening at ").nth(1).and_then(|rest| rest.split(',').next());
    let address = address.expect("an address").parse().expect("an address");
    std::thread::spawn(move || lines.for_each(drop));
    (Server(child), address)
}

/// Who sends, to where, with what in front; and who receives.
struct Pair {
    sender: UdpSocket,
    receiver: UdpSocket,
    packet: Vec<u8>,
}

/// Sends for a while and reports arrived packets for each second of the server's processor time.
fn measure(server: &Server, pairs: &[Pair], to: SocketAddr, burst: usize) -> (f64, f64) {
    let (stop, arrived) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let receivers: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let (stop, arrived) = (stop.clone(), arrived.clone());
            let socket = pair.receiver.try_clone().expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
            std::thread::spawn(move || {
                let mut buffer = [0; 2048];
                while !stop.load(Ordering::Relaxed) {
                    if socket.recv(&mut buffer).is_ok_and(|len| len >= PAYLOAD) {
                        arrived.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let states: Vec<_> =
        pairs.iter().map(|pair| UdpSocketState::new((&pair.sender).into()).expect("a socket")).collect();
    let bursts: Vec<_> = pairs.iter().map(|pair| pair.packet.repeat(burst)).collect();
    let (begun, cpu) = (Instant::now(), server.cpu());
    let mut sent = 0u64;
    while begun.elapsed() < TIME {
        for ((pair, state), burst_) in pairs.iter().zip(&states).zip(&bursts) {
            let transmit = Transmit {
                destination: to,
                ecn: None,
                contents: burst_,
                segment_size: (burst > 1).then_some(pair.packet.len()),
                src_ip: None,
            };
            match state.try_send((&pair.sender).into(), &transmit) {
                Ok(()) => sent += burst as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("sending: {error}"),
            }
        }
        // Not faster than the server takes it: what is dropped in its socket's buffer would cost it nothing.
        while sent.saturating_sub(arrived.load(Ordering::Relaxed)) > (PAIRS * burst) as u64
            && begun.elapsed() < TIME
        {
            if stalled(&arrived) {
                sent = arrived.load(Ordering::Relaxed);
            }
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    stop.store(true, Ordering::Relaxed);
    receivers.into_iter().for_each(|receiver| receiver.join().expect("it ends"));
    let (arrived, cpu) = (arrived.load(Ordering::Relaxed) as f64, server.cpu() - cpu);
    (arrived / cpu.max(0.01), arrived / TIME.as_secs_f64())
}

/// Whether nothing arrives for a while, so that something was lost.
fn stalled(arrived: &AtomicU64) -> bool {
    let before = arrived.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_micros(500));
    arrived.load(Ordering::Relaxed) == before
}

async fn client(endpoint: &Endpoint, relay: SocketAddr) -> (Client, Events) {
    Client::connect(endpoint, relay, None).await.expect("a connection")
}

fn endpoint() -> Endpoint {
    Endpoint::bind(&Config::new("127.0.0.1:0".parse().expect("an address"))).expect("a socket")
}

/// Binds a side to a socket of its own.
fn bind(session: &Session) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let now = tokio::time::Instant::now;
    let mut binding = Binding::new(session.handle.clone(), now());
    binding.moved(now());
    let mut buffer = [0; 2048];
    while !binding.is_bound() {
        if let Some(packet) = binding.poll(now()) {
            socket.send_to(&packet, session.relay).expect("it is sent");
        }
        if let Ok(len) = socket.recv(&mut buffer)
            && let Some(Packet::Bound(answer)) = shim::parse(&buffer[..len])
        {
            binding.handle_bound(&answer, now());
        }
    }
    socket
}

async fn relay_pairs(relay: SocketAddr) -> Vec<Pair> {
    let endpoint = endpoint();
    let (callee, mut events) = client(&endpoint, relay).await;
    let (caller, _events) = client(&endpoint, relay).await;
    let key = MailboxKey::generate().expect("randomness");
    callee.listen(&key).await.expect("it listens");
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let near = caller.dial(key.mailbox()).await.expect("a session");
        let far = loop {
            if let Event::Incoming { session, .. } = events.next().await.expect("an event") {
                break session;
            }
        };
        let packet = near.wrap(&[0x40; PAYLOAD]);
        pairs.push(Pair { sender: bind(&near), receiver: bind(&far), packet });
    }
    pairs
}

fn packets(runtime: &tokio::runtime::Runtime) {
    println!(
        "{PAIRS} senders, {PAYLOAD} bytes a packet; arrived packets for each second of the server's processor time"
    );
    for (name, burst) in [("one at a time", 1), ("bursts of 16", BURST)] {
        let (server, address) = relay();
        let pairs = runtime.block_on(relay_pairs(address));
        let (ours, rate) = measure(&server, &pairs, address, burst);
        println!("{name}: kring-relay {ours:.0} ({rate:.0} a second in fact)");
        drop(server);
        let Some((server, address)) = turn::server() else {
            println!("{name}: no coturn here");
            continue;
        };
        let server = Server(server);
        let pairs: Vec<Pair> = (0..PAIRS)
            .map(|_| {
                let (sender, receiver, packet) = turn::allocate(address, &[0x40; PAYLOAD]);
                Pair { sender, receiver, packet }
            })
            .collect();
        let (theirs, rate) = measure(&server, &pairs, address, burst);
        println!("{name}: coturn {theirs:.0} ({rate:.0} a second in fact); ratio {:.2}", ours / theirs);
    }
}

/// Memory for each idle client on QUIC that listens at a mailbox, and for each token of a session.
async fn clients(count: usize) {
    let (server, address) = relay();
    let endpoints: Vec<_> = (0..16).map(|_| endpoint()).collect();
    // What the first ones make it take for good.
    let mut all = vec![client(&endpoints[0], address).await];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, begun) = (server.memory(), Instant::now());
    for chunk in (0..count).collect::<Vec<_>>().chunks(32) {
        let mut joining = tokio::task::JoinSet::new();
        for n in chunk {
            let endpoint = endpoints[n % endpoints.len()].clone();
            joining.spawn(async move {
                let connected = client(&endpoint, address).await;
                connected.0.listen(&MailboxKey::generate().expect("randomness")).await.expect("it listens");
                connected
            });
        }
        all.extend(joining.join_all().await);
    }
    let connecting = begun.elapsed();
    // Idle for longer than a round of pings.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let each = (server.memory() - before) / count as f64;
    println!("{count} clients connected in {:.1} s: {each:.1} KiB each", connecting.as_secs_f64());
    let cpu = server.cpu();
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!("idle, they take {:.1} % of a core", (server.cpu() - cpu) * 10.0);

    let (callee, mut events) = all.pop().expect("a client");
    let (caller, _) = all.pop().expect("a client");
    let key = MailboxKey::generate().expect("randomness");
    callee.listen(&key).await.expect("it listens");
    let before = server.memory();
    let mut tokens = 0;
    let begun = Instant::now();
    while tokens < count && begun.elapsed() < Duration::from_secs(50) {
        // No faster than one client may ask.
        tokio::time::sleep(Duration::from_millis(55)).await;
        if caller.dial(key.mailbox()).await.is_ok() {
            tokens += 2;
        }
        while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, events.next()).await {}
    }
    let each = (server.memory() - before) / tokens as f64;
    println!("{tokens} tokens: {each:.2} KiB each");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match arguments.first().map(String::as_str) {
        Some("clients") => {
            let count = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(10_000);
            runtime.block_on(clients(count));
        }
        _ => packets(&runtime),
    }
}
