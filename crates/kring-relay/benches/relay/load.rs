//! Twice as much as a relay carries: what it says to those for whom it has no room, and how those fare who talk.
//!
//! Calls begin one after another until the relay refuses; then as many again are tried. Each call sends a packet of 1,200 B every
//! 2.5 ms through the relay, 3.8 Mbit/s, which is a call with pictures. All near sides share a socket, as do all far ones, so that
//! the sender and the receiver of so many calls do not take more of the machine than the relay. Reported are the packets
//! that are lost and how long they take from the call to `send` until they are read, with a few calls and at the limit.

use crate::{bind_with, client, endpoint, relay};
use kring_net::Endpoint;
use kring_net::relay::shim::{BIND_LEN, HEADER};
use kring_net::relay::{Client, Event, Events, MailboxKey, Refused, RequestError};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// What the relay's operator lets it take of the forwarding thread's time: the default.
const MAX_LOAD: f64 = 0.75;
const PAYLOAD: usize = 1200;
/// Packets a second of each call.
const RATE: f64 = 400.0;
/// From one new call to the next.
const BETWEEN: Duration = Duration::from_millis(15);
/// Calls whose delay the others' is compared with.
const FEW: usize = 10;
/// How long is measured.
const TIME: Duration = Duration::from_secs(10);

/// What is on its way.
struct Traffic {
    begun: Instant,
    stop: AtomicBool,
    /// The calls' packets, as they go to the relay.
    calls: Mutex<Vec<Vec<u8>>>,
    /// Which measurement a packet belongs to; 0: none.
    phase: AtomicUsize,
    sent: [AtomicU64; 3],
    /// How long those took that came, in µs.
    took: [Mutex<Vec<u32>>; 3],
}

impl Traffic {
    fn micros(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    /// One packet of each call in turn, evenly in time.
    fn send(&self, socket: &UdpSocket, relay: SocketAddr) {
        let (mut next, mut before, mut owed) = (0, Instant::now(), 0.0);
        while !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_micros(200));
            let mut calls = self.calls.lock().expect("no thread panics");
            let now = Instant::now();
            // What a stall of this thread holds up does not come as a burst that no calls would make.
            let passed = now.duration_since(before).min(Duration::from_millis(3));
            owed += passed.as_secs_f64() * RATE * calls.len() as f64;
            before = now;
            let phase = self.phase.load(Ordering::Relaxed);
            while owed >= 1.0 && !calls.is_empty() {
                owed -= 1.0;
                next = (next + 1) % calls.len();
                let packet = &mut calls[next];
                packet[HEADER..HEADER + 8].copy_from_slice(&self.micros().to_be_bytes());
                packet[HEADER + 8] = phase as u8;
                if socket.send_to(packet, relay).is_ok() {
                    self.sent[phase].fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn receive(&self, socket: &UdpSocket, answered: Sender<Vec<u8>>) {
        let mut buffer = [0; 2048];
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(len) = socket.recv(&mut buffer) else { continue };
            if len == BIND_LEN {
                let _ = answered.send(buffer[..len].to_vec());
            }
            if len != HEADER + PAYLOAD {
                continue;
            }
            let sent = u64::from_be_bytes(buffer[HEADER..HEADER + 8].try_into().expect("eight bytes"));
            let took = self.micros().saturating_sub(sent) as u32;
            let phase = usize::from(buffer[HEADER + 8]);
            self.took[phase].lock().expect("no thread panics").push(took);
        }
    }

    /// Measures while `meanwhile` goes on, and for a while at least.
    fn measure(&self, phase: usize, meanwhile: impl FnOnce()) -> Measured {
        let begun = Instant::now();
        self.phase.store(phase, Ordering::Relaxed);
        meanwhile();
        std::thread::sleep(TIME.saturating_sub(begun.elapsed()));
        self.phase.store(0, Ordering::Relaxed);
        let passed = begun.elapsed().as_secs_f64();
        // Those on their way arrive, or do not.
        std::thread::sleep(Duration::from_millis(500));
        let sent = self.sent[phase].load(Ordering::Relaxed);
        let mut took = std::mem::take(&mut *self.took[phase].lock().expect("no thread panics"));
        took.sort_unstable();
        let at = |share: f64| f64::from(took[((took.len() - 1) as f64 * share) as usize]) / 1e3;
        Measured {
            rate: sent as f64 / passed,
            sent,
            lost: sent - took.len() as u64,
            median: at(0.5),
            p99: at(0.99),
        }
    }
}

/// What was seen of those who talk.
struct Measured {
    rate: f64,
    sent: u64,
    lost: u64,
    /// In milliseconds, as are 99 %.
    median: f64,
    p99: f64,
}

impl Measured {
    fn say(&self, calls: usize) {
        let Measured { rate, sent, lost, median, p99 } = self;
        let share = *lost as f64 / *sent as f64 * 100.0;
        println!(
            "{calls} calls, {:.0}k packets a second: {lost} of {sent} lost ({share:.4} %); through the relay in {median:.2} ms at the median, 99 % in {p99:.2} ms",
            rate / 1e3
        );
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let buffers = socket2::SockRef::from(&socket);
    let _ = buffers.set_recv_buffer_size(4 << 20);
    let _ = buffers.set_send_buffer_size(4 << 20);
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    socket
}

/// Those who dial, and those who are dialled.
struct Dialling<'a> {
    runtime: &'a tokio::runtime::Runtime,
    endpoint: Endpoint,
    relay: SocketAddr,
    near: &'a UdpSocket,
    far: &'a UdpSocket,
    /// What the relay answers to the far sides.
    answers: Receiver<Vec<u8>>,
    tries: usize,
    /// Caller and callee, what they are told, and the callee's mailbox; the last are those who dial now.
    clients: Vec<([Client; 2], [Events; 2], MailboxKey)>,
}

impl Dialling<'_> {
    /// Has one call come about; its packet.
    fn dial(&mut self) -> Result<Vec<u8>, Refused> {
        /// A client may ask a hundred times at once.
        const EACH: usize = 64;
        if self.tries.is_multiple_of(EACH) {
            let clients = self.runtime.block_on(async {
                let (caller, told) = client(&self.endpoint, self.relay).await;
                let (callee, events) = client(&self.endpoint, self.relay).await;
                let key = MailboxKey::generate().expect("randomness");
                callee.listen(&key).await.expect("it listens");
                ([caller, callee], [told, events], key)
            });
            self.clients.push(clients);
        }
        self.tries += 1;
        let ([caller, _], [_, events], key) = self.clients.last_mut().expect("there are some");
        let near = match self.runtime.block_on(caller.dial(key.mailbox())) {
            Ok(near) => near,
            Err(RequestError::Refused(refused)) => return Err(refused),
            Err(error) => panic!("dialling: {error}"),
        };
        let far = self.runtime.block_on(async {
            loop {
                if let Event::Incoming { session, .. } = events.next().await.expect("an event") {
                    break session;
                }
            }
        });
        let read_near = |buffer: &mut [u8]| self.near.recv(buffer).ok();
        bind_with(&near, self.near, read_near);
        bind_with(&far, self.far, |buffer| {
            let answer = self.answers.recv_timeout(Duration::from_millis(100)).ok()?;
            buffer[..answer.len()].copy_from_slice(&answer);
            Some(answer.len())
        });
        Ok(near.wrap(&[0; PAYLOAD]))
    }
}

/// Measures.
pub(crate) fn run(runtime: &tokio::runtime::Runtime) {
    let (_server, relay) = relay(MAX_LOAD, &["--other", "relay2.example:443"]);
    let (near, far) = (socket(), socket());
    let (answered, answers) = std::sync::mpsc::channel();
    let traffic = Traffic {
        begun: Instant::now(),
        stop: AtomicBool::new(false),
        calls: Mutex::default(),
        phase: AtomicUsize::new(0),
        sent: Default::default(),
        took: Default::default(),
    };
    let (clients, endpoint) = (Vec::new(), endpoint());
    let mut dialling =
        Dialling { runtime, endpoint, relay, near: &near, far: &far, answers, tries: 0, clients };
    std::thread::scope(|scope| {
        scope.spawn(|| traffic.send(&near, relay));
        scope.spawn(|| traffic.receive(&far, answered));
        let begin = |packet| traffic.calls.lock().expect("no thread panics").push(packet);
        for _ in 0..FEW {
            begin(dialling.dial().expect("there is room"));
        }
        let few = traffic.measure(1, || {});
        few.say(FEW);
        let mut calls = FEW;
        let refused = loop {
            std::thread::sleep(BETWEEN);
            match dialling.dial() {
                Ok(packet) => begin(packet),
                Err(refused) => break refused,
            }
            calls += 1;
        };
        println!("then a refusal: {refused}");
        let (mut refusals, mut more) = (1, 0);
        let full = traffic.measure(2, || {
            for _ in 1..calls {
                std::thread::sleep(BETWEEN);
                match dialling.dial() {
                    // It had become less busy.
                    Ok(packet) => {
                        begin(packet);
                        more += 1;
                    }
                    Err(_) => refusals += 1,
                }
            }
        });
        full.say(calls + more);
        println!(
            "{} tried, {refusals} refused; the limit adds {:.2} ms to what 99 % take",
            calls + more + refusals,
            full.p99 - few.p99
        );
        traffic.stop.store(true, Ordering::Relaxed);
    });
}
