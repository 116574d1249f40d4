//! Strangers and bad networks against a running call: it goes on, what they send is dropped, memory stays bounded.
#![allow(clippy::print_stdout)]
mod common;
use common::*;
use kring::{Call, End, EndedBy, Endpoint, Ticket};
use kring_core::call::{Call as Core, Timeouts};
use kring_core::crypto::default_provider;
use kring_core::handshake::{Binding, Dial, EXPORTER_LABEL};
use kring_core::identity::Identity;
use kring_core::offer::Offer;
use kring_core::time::{Time, WallTime};
use kring_net::{Connection, RecvStream, SendStream};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Numbers of an attacker: any will do, but the same on every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }
}

/// Resident memory of this process in bytes, where the system tells.
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages.split_whitespace().nth(1)?.parse::<usize>().ok().map(|pages| pages * 4096)
}

/// What an attack may cost a process, on top of what a calm call takes.
const MEMORY: usize = 64 << 20;

/// A call with voice both ways through `wire`, heard at both ends.
struct Running {
    a: Endpoint,
    b: Endpoint,
    dialled: Call,
    answered: Call,
    ears: [Ear; 2],
    resident: Option<usize>,
}

impl Running {
    async fn through(wire: impl FnOnce(SocketAddr) -> SocketAddr) -> Running {
        let (a, b) = (endpoint(), endpoint());
        let address = wire(b.local_addr().unwrap());
        let ticket = b.ticket_for(&[address], HOUR).unwrap();
        let ((media_a, ear_a, _), (media_b, ear_b, _)) = (media("Anna", 440.0), media("Ben", 620.0));
        let dialled = a.dial(&ticket, media_a);
        let answered = rings(&b).await.answer(media_b);
        let ears = [ear_a, ear_b];
        let running = Running { a, b, dialled, answered, ears, resident: None };
        running.is_heard("before").await;
        Running { resident: resident(), ..running }
    }

    async fn start() -> Running {
        Running::through(|address| address).await
    }

    async fn is_heard(&self, when: &str) {
        eventually(&format!("both are heard {when}"), || {
            self.ears[0].share_of(620.0, 300) > 0.9 && self.ears[1].share_of(440.0, 300) > 0.9
        })
        .await;
    }

    /// It did not end, both are heard, and memory is bounded.
    async fn went_on(&self, what: &str) {
        for call in [&self.dialled, &self.answered] {
            let ended = tokio::time::timeout(Duration::ZERO, call.ended()).await;
            assert!(ended.is_err(), "{what}: the call ended: {ended:?}");
        }
        self.is_heard("after the attack").await;
        let stats = [&self.dialled, &self.answered].map(Call::stats);
        let [a, b] = stats.map(|s| (s.audio.concealed_samples / 48, s.audio.total_samples_received / 48));
        println!("{what}: of the sound, {a:?} and {b:?} ms were concealed and played");
        if let (Some(before), Some(after)) = (self.resident, resident()) {
            let more = after.saturating_sub(before);
            println!("{what}: {more} bytes of memory more than before");
            assert!(more < MEMORY, "{what}: {more} bytes of memory more than before");
        }
    }
}

/// A datagram of a kind that a QUIC endpoint has to look into.
fn garbage(chance: &mut Chance) -> Vec<u8> {
    let len = 1 + chance.below(1400);
    let mut bytes = chance.bytes(len.max(64));
    match chance.below(6) {
        // A short header.
        0 => bytes[0] = 0x40 | bytes[0] & 0x3f,
        // Long headers of version 1: Initial, 0-RTT, Handshake or Retry, with ids of a length that is allowed.
        1..=3 => {
            bytes[0] = 0xc0 | bytes[0] & 0x3f;
            bytes[1..5].copy_from_slice(&[0, 0, 0, 1]);
            bytes[5] = 8;
            bytes[14] = 8;
            bytes.resize(1200, 0);
        }
        // A version that there is not.
        4 => bytes[0] = 0xc0,
        _ => {}
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_outlives_garbage_at_line_rate() {
    let running = Running::start().await;
    let targets = [running.a.local_addr().unwrap(), running.b.local_addr().unwrap()];
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (stopped, counted) = (stop.clone(), sent.clone());
    let attacker = std::thread::spawn(move || {
        let sockets: Vec<_> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let mut chance = Chance(0x9e37_79b9);
        while !stopped.load(Ordering::Relaxed) {
            let socket = &sockets[chance.below(sockets.len())];
            let _ = socket.send_to(&garbage(&mut chance), targets[chance.below(2)]);
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(4)).await;
    stop.store(true, Ordering::Relaxed);
    attacker.join().unwrap();
    let sent = sent.load(Ordering::Relaxed);
    println!("{sent} datagrams of garbage in {:?}", began.elapsed());
    assert!(sent > 1000, "only {sent} were sent");
    running.went_on("garbage").await;
}

/// Passes packets on, and besides each, two of those that passed before and two of them with changed bits.
struct Mirror {
    address: SocketAddr,
    on: Arc<AtomicBool>,
    extra: Arc<AtomicU64>,
}

impl Mirror {
    fn to(callee: SocketAddr) -> Mirror {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (on, extra) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mirror = Mirror { address: socket.local_addr().unwrap(), on: on.clone(), extra: extra.clone() };
        // Ends when nothing has come for a while: both endpoints are gone then.
        std::thread::spawn(move || {
            let (mut buffer, mut caller, mut chance) = ([0; 2048], None, Chance(77));
            // Each packet and where it went.
            let mut taken: Vec<(Vec<u8>, SocketAddr)> = Vec::new();
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                if from != callee {
                    caller = Some(from);
                }
                let Some(to) = (if from == callee { caller } else { Some(callee) }) else { continue };
                let _ = socket.send_to(&buffer[..len], to);
                if taken.len() < 4000 {
                    taken.push((buffer[..len].to_vec(), to));
                }
                if !on.load(Ordering::Relaxed) {
                    continue;
                }
                for n in 0..4 {
                    let (mut bytes, to) = taken[chance.below(taken.len())].clone();
                    for _ in 0..n % 2 * (1 + chance.below(3)) {
                        let bit = chance.below(bytes.len() * 8);
                        bytes[bit / 8] ^= 1 << (bit % 8);
                    }
                    let _ = socket.send_to(&bytes, to);
                    extra.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        mirror
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_outlives_its_own_packets_replayed_and_damaged() {
    let mut mirror = None;
    let running = Running::through(|callee| mirror.insert(Mirror::to(callee)).address).await;
    let mirror = mirror.unwrap();
    let before = [&running.dialled, &running.answered].map(|call| call.stats().transport.packets_received);
    mirror.on.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let extra = mirror.extra.load(Ordering::Relaxed);
    assert!(extra > 500, "only {extra} packets were replayed");
    println!("{extra} replayed and damaged packets");
    running.went_on("replays").await;
    for (call, before) in [&running.dialled, &running.answered].into_iter().zip(before) {
        let stats = call.stats().transport;
        assert_eq!(stats.packets_discarded, 0, "QUIC drops copies before the call sees them");
        assert!(stats.packets_received > before);
    }
}

fn wall() -> WallTime {
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

/// How far a half handshake goes.
#[derive(Clone, Copy)]
enum Half {
    /// Only QUIC's first packet.
    Initial,
    /// TLS, and then nothing.
    Tls,
    /// A first message that no ticket fits.
    Stranger,
    /// A frame that never ends.
    Unfinished,
    /// A true first message, and nothing after the answer.
    Message1,
}

async fn half_handshake(net: kring_net::Endpoint, to: SocketAddr, ticket: Ticket, half: Half) {
    if let Half::Initial = half {
        let _ = tokio::time::timeout(Duration::from_millis(1), net.connect(to)).await;
        return;
    }
    let Ok(connection) = net.connect(to).await else { return };
    let Ok((mut send, mut recv)) = connection.open_stream().await else { return };
    let identity = Identity::generate(&*default_provider(), wall()).unwrap();
    let hello = match half {
        Half::Stranger => [&[4, 0][..], &[7; 1024]].concat(),
        Half::Unfinished => [&[15, 0][..], &[7; 1000]].concat(),
        Half::Message1 => {
            let binding = Binding::Quic(connection.exporter(EXPORTER_LABEL).unwrap());
            Dial::new(&identity, &ticket, binding, wall(), &default_provider()).unwrap().1
        }
        _ => Vec::new(),
    };
    let _ = send.write_all(&hello).await;
    for _ in 0..300 {
        let _ = connection.send_datagram(vec![0x5a; 1100]).await;
    }
    let _ = tokio::time::timeout(Duration::from_secs(12), recv.read_chunk(4096, true)).await;
    if let Half::Message1 = half {
        // What came was message 2; now the callee waits in vain.
        let _ = tokio::time::timeout(Duration::from_secs(12), connection.closed()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_outlives_half_handshakes_and_others_get_through_afterwards() {
    let running = Running::start().await;
    let (to, ticket) = (running.b.local_addr().unwrap(), ticket(&running.b));
    let before = running.b.counters();
    let nets: Vec<_> = (0..4)
        .map(|_| kring_net::Endpoint::bind(&kring_net::Config::new("127.0.0.1:0".parse().unwrap())).unwrap())
        .collect();
    let mut attacks = tokio::task::JoinSet::new();
    for n in 0..400 {
        let half = [Half::Initial, Half::Tls, Half::Stranger, Half::Unfinished, Half::Message1][n % 5];
        attacks.spawn(half_handshake(nets[n % nets.len()].clone(), to, ticket.clone(), half));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.went_on("half handshakes").await;
    let after = running.b.counters();
    assert!(after.unknown_hint > before.unknown_hint, "strangers are counted: {after:?}");
    assert_eq!(after.completed, before.completed, "none of them rings");
    attacks.abort_all();
    while attacks.join_next().await.is_some() {}
    nets.iter().for_each(|net| net.close(0));

    // Places become free again, at the latest when the deadline of a handshake has passed.
    let caller = endpoint();
    let through = within(60, async {
        loop {
            let call = caller.dial(&ticket, quiet());
            tokio::select! {
                incoming = running.b.incoming() => break incoming.expect("the endpoint is open"),
                end = call.ended() => println!("not yet: {end}"),
            }
        }
    });
    through.await.decline();
}

/// A peer that does as it likes, once it has got through the handshake.
struct Mallory {
    net: kring_net::Endpoint,
    identity: Arc<Identity>,
}

impl Mallory {
    fn new() -> Mallory {
        let net = kring_net::Endpoint::bind(&kring_net::Config::new("127.0.0.1:0".parse().unwrap())).unwrap();
        Mallory { net, identity: Arc::new(Identity::generate(&*default_provider(), wall()).unwrap()) }
    }

    /// Calls, until it rings.
    async fn calls(&self, ticket: &Ticket, to: SocketAddr) -> (Connection, SendStream, RecvStream, Core) {
        let connection = self.net.connect(to).await.unwrap();
        let (mut send, mut recv) = connection.open_stream().await.unwrap();
        let binding = Binding::Quic(connection.exporter(EXPORTER_LABEL).unwrap());
        let provider = default_provider();
        let (mut dial, hello) = Dial::new(&self.identity, ticket, binding, wall(), &provider).unwrap();
        send.write_all(&hello).await.unwrap();
        let offer = Offer { name: "Mallory".into(), receive: vec!["opus".into()], tracks: Vec::new() };
        let (session, confirm) = loop {
            let chunk = within(10, recv.read_chunk(4096, true)).await.unwrap().unwrap();
            if let Some(done) = dial.handle(&chunk.bytes, &offer.encode(), wall()).unwrap() {
                break done;
            }
        };
        let mut call = Core::new(session, &self.identity, &offer, Timeouts::default(), Time::ZERO).unwrap();
        send.write_all(&confirm).await.unwrap();
        send.write_all(&call.poll_stream().unwrap()).await.unwrap();
        (connection, send, recv, call)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_reads_what_it_is_told_is_hung_up_on() {
    let running = Running::start().await;
    let (to, ticket) = (running.b.local_addr().unwrap(), ticket(&running.b));
    let mallory = Mallory::new();
    let (_connection, _send, _unread, _core) = mallory.calls(&ticket, to).await;
    let call = rings(&running.b).await.answer(media("Ben", 620.0).0);
    within(60, async {
        for n in 0..10_000_000 {
            call.mute_microphone(n % 2 == 0);
            // The driver takes what there is in one piece: it has to have its turn.
            if n % 4 == 0 {
                tokio::task::yield_now().await;
            }
            if n % 4096 == 0
                && let Ok(end) = tokio::time::timeout(Duration::from_millis(1), call.ended()).await
            {
                assert_eq!(end, End::ProtocolError { by: EndedBy::Local });
                return;
            }
        }
        panic!("it takes in control messages without end");
    })
    .await;
    running.went_on("a peer that never reads").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_breaks_the_order_ends_its_own_call_only() {
    let running = Running::start().await;
    let (to, ticket) = (running.b.local_addr().unwrap(), ticket(&running.b));
    let mallory = Mallory::new();
    for round in 0..3 {
        let (_connection, mut send, _recv, mut call) = mallory.calls(&ticket, to).await;
        let incoming = rings(&running.b).await;
        call.announce_recording(true);
        let good = call.poll_stream().unwrap();
        match round {
            // The same message twice.
            0 => send.write_all(&[&good[..], &good].concat()).await.unwrap(),
            // One that says nothing, before one that is in order.
            1 => send.write_all(&[&[0, 40][..], &[9; 40], &good].concat()).await.unwrap(),
            // Legal ones, more than anybody needs, as fast as they go.
            _ => {
                for n in 0..20_000 {
                    call.announce_recording(n % 2 == 0);
                }
                let _ = send.write_all(&call.poll_stream().unwrap()).await;
            }
        }
        let end = within(10, incoming.given_up()).await;
        assert_eq!(end, End::ProtocolError { by: EndedBy::Local }, "round {round}");
    }
    running.went_on("a peer out of order").await;
}
