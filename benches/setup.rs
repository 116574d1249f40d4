//! How long it takes until both sides of a call hear each other, over a link that delays, loses and has a rate: many
//! whole calls through [`kring::Endpoint`] on loopback, with a model link between the two sockets.
//!
//!     cargo bench -p kring-benches --bench setup -- [rtt=MS] [loss=PERCENT] [rate=KBIT] [calls=N] [at-once=N] [seed=N] \
//!         [ahead=0|1] [trace=0|1]
//!
//! With `ahead=1`, the default, the callee has consented to answer the next caller; else it answers what rings. Prints the time from dialling to the first sound played, as the mean of both ends of each call.
#![allow(clippy::print_stdout)]

use kring::capture::{AudioSink, Consent, NullSpeaker, Played, SinkError, Tone};
use kring::{Endpoint, Media};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

#[derive(Clone, Copy)]
struct Link {
    one_way: Duration,
    /// Of 0 to 1.
    loss: f64,
    /// In bit/s; none has no bottleneck.
    rate: Option<f64>,
    /// Prints each packet.
    trace: bool,
}

/// The longest a packet waits at the bottleneck.
const QUEUE: Duration = Duration::from_millis(300);
/// IPv4 and UDP.
const HEADERS: usize = 28;

/// One direction of a link.
struct Direction {
    link: Link,
    random: fastrand::Rng,
    free: Instant,
    sent: usize,
}

impl Direction {
    fn new(link: Link, seed: u64) -> Direction {
        Direction { link, random: fastrand::Rng::with_seed(seed), free: Instant::now(), sent: 0 }
    }

    /// When a packet of `len` bytes comes out.
    fn pass(&mut self, len: usize) -> Option<Instant> {
        let now = Instant::now();
        self.sent += len + HEADERS;
        let mut out = now;
        if let Some(rate) = self.link.rate {
            if self.free > now + QUEUE {
                return None;
            }
            self.free = self.free.max(now) + Duration::from_secs_f64(((len + HEADERS) * 8) as f64 / rate);
            out = self.free;
        }
        (self.random.f64() >= self.link.loss).then_some(out + self.link.one_way)
    }
}

/// Puts a link in front of `callee`; gives the address to dial and how many bytes went each way.
async fn link(callee: SocketAddr, link: Link, seed: u64) -> (SocketAddr, Arc<Mutex<[usize; 2]>>) {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a port on loopback"));
    let address = socket.local_addr().expect("bound");
    let bytes = Arc::new(Mutex::new([0; 2]));
    let counted = Arc::downgrade(&bytes);
    tokio::spawn(async move {
        let mut directions = [Direction::new(link, seed * 2), Direction::new(link, seed * 2 + 1)];
        let began = Instant::now();
        let queues = [deliver(socket.clone()), deliver(socket.clone())];
        let (mut caller, mut buffer) = (None, vec![0; 2048]);
        // Ends with the call: nobody is left who asks for the count.
        while let Some(counted) = counted.upgrade() {
            let Ok(Ok((len, from))) =
                timeout(Duration::from_millis(100), socket.recv_from(&mut buffer)).await
            else {
                continue;
            };
            let back = from == callee;
            if !back {
                caller = Some(from);
            }
            let to = if back { caller } else { Some(callee) };
            let out = directions[usize::from(back)].pass(len);
            if link.trace {
                let (ms, arrow) = (began.elapsed().as_secs_f64() * 1000.0, if back { "<-" } else { "->" });
                let lost = if out.is_none() { ", lost" } else { "" };
                println!("{ms:>7.1} ms {arrow} {len} B, first {:#04x}{lost}", buffer[0]);
            }
            *counted.lock().expect("no panic") = [directions[0].sent, directions[1].sent];
            if let (Some(to), Some(out)) = (to, out) {
                let _ = queues[usize::from(back)].send((out, to, buffer[..len].to_vec()));
            }
        }
    });
    (address, bytes)
}

/// When it is due, and where.
type Packet = (Instant, SocketAddr, Vec<u8>);

/// Sends packets when they are due, in order.
fn deliver(socket: Arc<UdpSocket>) -> UnboundedSender<Packet> {
    let (queue, mut packets) = unbounded_channel::<Packet>();
    tokio::spawn(async move {
        while let Some((due, to, packet)) = packets.recv().await {
            sleep_until(due).await;
            let _ = socket.send_to(&packet, to).await;
        }
    });
    queue
}

/// Remembers when the first decoded sound was played.
struct Ear {
    first: Arc<Mutex<Option<std::time::Instant>>>,
    clock: NullSpeaker,
}

impl AudioSink for Ear {
    fn start(&mut self) -> Result<(), SinkError> {
        self.clock.start()
    }
    fn play(&mut self, block: &[f32], what: Played) -> Result<std::time::Instant, SinkError> {
        let at = self.clock.play(block, what)?;
        if what == Played::Decoded {
            self.first.lock().expect("no panic").get_or_insert(at);
        }
        Ok(at)
    }
    fn stop(&mut self) {}
}

/// Of caller and callee: ms until they heard something, and bytes that they had sent by then.
type Measured = ([f64; 2], [usize; 2]);
type Heard = Arc<Mutex<Option<std::time::Instant>>>;

fn media() -> (Media, Heard) {
    let first = Heard::default();
    let ear = Ear { first: first.clone(), clock: NullSpeaker::new() };
    (Media::new(Consent::to_nothing()).microphone(Tone::new()).speaker(ear), first)
}

/// One call: ms until the caller and the callee heard something, and bytes sent until then; `None` if that took 10 s.
async fn call(over: Link, ahead: bool, seed: u64) -> Option<Measured> {
    let make = || Endpoint::builder().bind(SocketAddr::from(([127, 0, 0, 1], 0))).build().expect("a socket");
    let (a, b) = (make(), make());
    let (address, bytes) = link(b.local_addr().ok()?, over, seed).await;
    let ticket = b.ticket_for(&[address], Duration::from_secs(600)).expect("a ticket");
    let (media_a, heard_a) = media();
    let (media_b, heard_b) = media();
    let answering = {
        let b = b.clone();
        tokio::spawn(async move {
            let call = if ahead { b.answer_next(media_b) } else { b.incoming().await?.answer(media_b) };
            Some(call.ended().await)
        })
    };
    let began = std::time::Instant::now();
    let dialled = a.dial(&ticket, media_a);
    let ends = [&heard_a, &heard_b];
    let heard = timeout(Duration::from_secs(10), async {
        loop {
            if let [Some(a), Some(b)] = ends.map(|end| *end.lock().expect("no panic")) {
                return [a, b].map(|at| at.duration_since(began).as_secs_f64() * 1000.0);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let heard = heard.await.ok();
    let sent = *bytes.lock().expect("no panic");
    dialled.hang_up().await;
    answering.abort();
    heard.map(|heard| (heard, sent))
}

fn main() {
    let mut link = Link { one_way: Duration::from_millis(50), loss: 0.0, rate: None, trace: false };
    let (mut calls, mut at_once, mut first_seed, mut ahead) = (200, 4, 1, true);
    for argument in std::env::args().skip(1).filter(|a| a != "--bench") {
        let (name, value) = argument.split_once('=').expect("arguments are NAME=NUMBER");
        let value: f64 = value.parse().expect("arguments are NAME=NUMBER");
        match name {
            "rtt" => link.one_way = Duration::from_secs_f64(value / 2000.0),
            "loss" => link.loss = value / 100.0,
            "rate" => link.rate = Some(value * 1000.0),
            "calls" => calls = value as u64,
            "at-once" => at_once = value as usize,
            "seed" => first_seed = value as u64,
            "ahead" => ahead = value != 0.0,
            "trace" => link.trace = value != 0.0,
            other => panic!("expected one of the names in the first lines of this file, came {other:?}"),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let results = runtime.expect("threads").block_on(async {
        let places = Arc::new(Semaphore::new(at_once));
        let mut running = tokio::task::JoinSet::new();
        for seed in first_seed..first_seed + calls {
            let place = places.clone().acquire_owned().await.expect("never closed");
            running.spawn(async move {
                let result = call(link, ahead, seed).await;
                drop(place);
                result
            });
        }
        running.join_all().await
    });
    let failed = results.iter().filter(|r| r.is_none()).count();
    let done: Vec<_> = results.into_iter().flatten().collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let column = |f: &dyn Fn(&Measured) -> f64| {
        let mut values: Vec<f64> = done.iter().map(f).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (caller, callee) = (column(&|r| r.0[0]), column(&|r| r.0[1]));
    let both = column(&|r| (r.0[0] + r.0[1]) / 2.0);
    let at = |values: &[f64], share: f64| {
        values.get((values.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN)
    };
    println!(
        "{} calls: mean {:.0} ms (caller {:.0}, callee {:.0}), median {:.0}, 90th percentile {:.0}, 99th {:.0}; {failed} took more than 10 s; \
         kB sent until then by caller {:.1}, by callee {:.1}",
        done.len(),
        mean(&both),
        mean(&caller),
        mean(&callee),
        at(&both, 0.5),
        at(&both, 0.9),
        at(&both, 0.99),
        mean(&column(&|r| r.1[0] as f64 / 1000.0)),
        mean(&column(&|r| r.1[1] as f64 / 1000.0)),
    );
}
