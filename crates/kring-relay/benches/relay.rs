//! What a relay costs and carries.
//!
//!     cargo bench -p kring-relay --bench relay                   # packets, beside coturn's and a bare forwarder's
//!     cargo bench -p kring-relay --bench relay -- clients 10000  # memory
//!     cargo bench -p kring-relay --bench relay -- load           # twice as much as it carries
//!     cargo bench -p kring-relay --bench relay -- restart 10000  # all come back
//!
//! The servers are processes of their own. Linux only: it reads /proc.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "relay/bare.rs"]
mod bare;
#[path = "relay/load.rs"]
mod load;
#[path = "relay/memory.rs"]
mod memory;
#[path = "relay/packets.rs"]
mod packets;
#[path = "relay/restart.rs"]
mod restart;
#[path = "relay/turn.rs"]
mod turn;

use kring_net::relay::shim::{self, Packet};
use kring_net::relay::{Binding, Client, Event, Events, MailboxKey, Session};
use kring_net::{Config, Endpoint};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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

/// A relay with one forwarding thread, these flags, and without limits that a bench meets; but it takes no more sessions if the thread
/// is busy for more than `max_load`.
fn relay(max_load: f64, flags: &[&str]) -> (Server, SocketAddr) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("relay.toml");
    let limits = format!(
        "bind = \"127.0.0.1:0\"\nthreads = 1\n[limits]\nmax-clients = 1000000\nmax-sessions = 1000000\n\
         max-load = {max_load:?}\nsession-mbit = 1e6\nclients-per-address = 1000000\n\
         client-rate-per-address = 1e6\nsessions-per-address = 1000000\n\
         session-rate-per-address = 1e6\nsessions-per-mailbox = 1000000\n"
    );
    std::fs::write(&config, limits).expect("a file");
    let mut program = Command::new(env!("CARGO_BIN_EXE_kring-relay"));
    program.arg("--config").arg(&config).args(flags);
    start(program)
}

/// Starts a server that says where it listens.
fn start(mut program: Command) -> (Server, SocketAddr) {
    let mut child = program.stderr(Stdio::piped()).spawn().expect("the server starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let line = lines.next().expect("a line").expect("text");
    let address = line.split("listening at ").nth(1).and_then(|rest| rest.split(',').next());
    let address = address.expect("an address").parse().expect("an address");
    std::thread::spawn(move || lines.for_each(drop));
    (Server(child), address)
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
    bind_with(session, &socket, |buffer| socket.recv(buffer).ok());
    socket
}

/// Binds a side to `socket`; `read` gives what comes there.
fn bind_with(session: &Session, socket: &UdpSocket, read: impl Fn(&mut [u8]) -> Option<usize>) {
    let now = tokio::time::Instant::now;
    let mut binding = Binding::new(session.handle.clone(), now());
    binding.moved(now());
    let mut buffer = [0; 2048];
    while !binding.is_bound() {
        if let Some(packet) = binding.poll(now()) {
            socket.send_to(&packet, session.relay).expect("it is sent");
        }
        if let Some(len) = read(&mut buffer)
            && let Some(Packet::Bound(answer)) = shim::parse(&buffer[..len])
        {
            binding.handle_bound(&answer, now());
        }
    }
}

/// A callee and a caller with `count` sessions between them.
async fn sessions(relay: SocketAddr, count: usize) -> Vec<[Session; 2]> {
    /// A client may ask a hundred times at once.
    const EACH: usize = 64;
    let endpoint = endpoint();
    let mut all = Vec::new();
    while all.len() < count {
        let (callee, mut events) = client(&endpoint, relay).await;
        let (caller, _events) = client(&endpoint, relay).await;
        let key = MailboxKey::generate().expect("randomness");
        callee.listen(&key).await.expect("it listens");
        for _ in 0..EACH.min(count - all.len()) {
            let near = caller.dial(key.mailbox()).await.expect("a session");
            let far = loop {
                if let Event::Incoming { session, .. } = events.next().await.expect("an event") {
                    break session;
                }
            };
            all.push([near, far]);
        }
    }
    all
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let count = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(10_000);
    match arguments.first().map(String::as_str) {
        Some("bare") => bare::run(),
        Some("clients") => runtime.block_on(async {
            memory::tokens(count).await;
            memory::clients(count).await;
        }),
        Some("load") => load::run(&runtime),
        Some("restart") => runtime.block_on(restart::run(count)),
        _ => packets::run(&runtime),
    }
}
