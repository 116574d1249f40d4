//! Kring's relay, walked through: nothing fails. And one with one thing wrong in it: the walk names the section.
//!
//! The sabotaged relay is a small one over kring-net's messages, which knows one thing less than it should.
#![allow(clippy::print_stdout)]

#[path = "../src/relay/socket.rs"]
#[allow(unreachable_pub)]
mod socket;

use kring_conform::{Log, Options, Step, Verdict, relay};
use kring_net::relay::hop::{self, RelayKey};
use kring_net::relay::message::{About, Reply, Request};
use kring_net::relay::shim::{self, Packet};
use kring_net::relay::{Handle, Mailbox, Pin, Reason, Refused, Resume, SessionSecret, Token, frame};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

fn log() -> Log {
    Log::new(|step: &Step| println!("{step}"))
}

fn failed(log: &Log) -> Vec<(&'static str, &'static str)> {
    log.failed().map(|step| (step.section, step.what)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn krings_relay() {
    let mut config = kring_relay::Config::default();
    config.bind = "127.0.0.1:0".parse().unwrap();
    let served = kring_relay::Relay::start(config).await.unwrap();
    let Pin(pin) = served.pin();
    let mut log = log();
    relay(served.address(), Some(pin), &Options::default(), &mut log).await;
    assert_eq!(failed(&log), []);
    for section in ["14", "14.1", "14.2"] {
        let done = |s: &&Step| s.section == section && s.verdict == Verdict::Ok;
        assert!(log.steps().iter().any(|s| done(&s)), "nothing was done about section {section}");
    }
    served.stop().await;
}

/// What the small relay does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    AnotherPong,
    NoObserved,
    AnySignature,
    NobodyDisplaced,
    StillListened,
    TwoResumes,
    NoWordOfTheEnd,
    NoOneElseToRejoin,
    KeepsNonsense,
    OwnToken,
    AnySource,
    NoCookieNeeded,
    AnyCounter,
    AnyMac,
    OldAddress,
}

struct Side {
    other: u64,
    client: u64,
    at: SocketAddr,
    secret: SessionSecret,
    counter: u64,
}

#[derive(Default)]
struct State {
    clients: HashMap<u64, (SocketAddr, mpsc::UnboundedSender<Reply>)>,
    mailboxes: HashMap<[u8; 32], u64>,
    sides: HashMap<u64, Side>,
    waiting: HashMap<[u8; 32], (u64, u64)>,
}

impl State {
    fn tell(&self, client: u64, reply: Reply) {
        if let Some((_, replies)) = self.clients.get(&client) {
            let _ = replies.send(reply);
        }
    }

    fn open(&mut self, ends: [(u64, About); 2], wrong: Wrong) {
        let resume = Resume::generate().unwrap();
        let handles = ends.map(|_| {
            let resume =
                if wrong == Wrong::TwoResumes { Resume::generate().unwrap() } else { resume.clone() };
            Handle { token: Token::generate().unwrap(), secret: SessionSecret::generate().unwrap(), resume }
        });
        let tokens = [handles[0].token.0, handles[1].token.0];
        for (n, ((client, about), handle)) in ends.into_iter().zip(handles).enumerate() {
            let at = self.clients[&client].0;
            let side = Side { other: tokens[1 - n], client, at, secret: handle.secret.clone(), counter: 0 };
            self.sides.insert(tokens[n], side);
            self.tell(client, Reply::Session { about, handle });
        }
    }
}

struct Small {
    wrong: Wrong,
    pin: Pin,
    state: Mutex<State>,
}

impl Small {
    async fn start(wrong: Wrong) -> SocketAddr {
        let key = RelayKey::generate().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, out) = (socket.local_addr().unwrap(), socket.try_clone().unwrap());
        let (split, packets) = socket::Split::new(socket).unwrap();
        let mut config = quinn::EndpointConfig::default();
        config.grease_quic_bit(false);
        let server = Some(hop::quic_server(&key).unwrap());
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new_with_abstract_socket(config, server, split, runtime).unwrap();
        let small = Arc::new(Small { wrong, pin: key.pin().unwrap(), state: Mutex::default() });
        tokio::spawn(small.clone().forward(packets, out));
        tokio::spawn(async move {
            let mut number = 0;
            while let Some(incoming) = endpoint.accept().await {
                number += 1;
                let (small, number) = (small.clone(), number);
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        small.serve(number, connection).await;
                    }
                });
            }
        });
        address
    }

    async fn serve(&self, number: u64, connection: quinn::Connection) {
        let Ok((mut send, mut recv)) = connection.accept_bi().await else { return };
        let mut exporter = [0; 32];
        connection.export_keying_material(&mut exporter, hop::EXPORTER, b"").unwrap();
        let (replies, mut told) = mpsc::unbounded_channel();
        let address = connection.remote_address();
        if self.wrong != Wrong::NoObserved {
            replies.send(Reply::Observed { address }).unwrap();
        }
        self.state.lock().unwrap().clients.insert(number, (address, replies));
        tokio::spawn(async move {
            while let Some(reply) = told.recv().await {
                let _ = frame::write(&mut send, frame::MESSAGE, &reply.encode()).await;
            }
        });
        loop {
            let request = match frame::read(&mut recv).await {
                Ok(Some((frame::MESSAGE, body))) => Request::decode(&body),
                Ok(Some(_)) => continue,
                Ok(None) => return,
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    Err(kring_net::relay::Malformed)
                }
                Err(_) => return,
            };
            match request {
                Ok(Some(request)) => self.handle(number, &exporter, request),
                Ok(None) => {}
                Err(_) if self.wrong == Wrong::KeepsNonsense => {}
                Err(_) => return connection.close(hop::CLOSE_MALFORMED.into(), b""),
            }
        }
    }

    fn handle(&self, me: u64, exporter: &[u8; 32], request: Request) {
        let mut state = self.state.lock().unwrap();
        let refused = |about, reason| Reply::Refused {
            about,
            refused: Refused { reason, retry_after: None, others: Vec::new() },
        };
        match request {
            Request::Ping { number } => {
                state.tell(me, Reply::Pong { number: number + u64::from(self.wrong == Wrong::AnotherPong) });
            }
            Request::Listen { mailbox, signature } => {
                let about = About::Mailbox(mailbox);
                if self.wrong != Wrong::AnySignature && !mailbox.verify(&self.pin, exporter, &signature) {
                    return state.tell(me, refused(about, Reason::NotYours));
                }
                if let Some(before) = state.mailboxes.insert(mailbox.0, me)
                    && self.wrong != Wrong::NobodyDisplaced
                {
                    state.tell(before, refused(about, Reason::Displaced));
                }
                state.tell(me, Reply::Listening { mailbox });
            }
            Request::Unlisten { mailbox: Mailbox(mailbox) } if self.wrong != Wrong::StillListened => {
                state.mailboxes.remove(&mailbox);
            }
            Request::Dial { request, mailbox } => match state.mailboxes.get(&mailbox.0).copied() {
                Some(callee) => {
                    let ends = [(me, About::Request(request)), (callee, About::Mailbox(mailbox))];
                    state.open(ends, self.wrong);
                }
                None => state.tell(me, refused(About::Request(request), Reason::NobodyThere)),
            },
            Request::Rejoin { request, resume } => match state.waiting.remove(resume.bytes()) {
                Some((other, theirs)) if self.wrong != Wrong::NoOneElseToRejoin => {
                    let ends = [(me, About::Request(request)), (other, About::Request(theirs))];
                    state.open(ends, self.wrong);
                }
                _ => drop(state.waiting.insert(*resume.bytes(), (me, request))),
            },
            Request::Close { token } => {
                let Some(side) = state.sides.remove(&token.0) else { return };
                let other = state.sides.remove(&side.other).unwrap();
                if self.wrong != Wrong::NoWordOfTheEnd {
                    state.tell(
                        other.client,
                        Reply::Closed { token: Token(side.other), reason: Reason::Ended },
                    );
                }
            }
            _ => {}
        }
    }

    async fn forward(self: Arc<Self>, mut packets: socket::Packets, out: std::net::UdpSocket) {
        while let Some((from, packet)) = packets.recv().await {
            let mut state = self.state.lock().unwrap();
            let sent = match shim::parse(&packet) {
                Some(Packet::Data { token, payload }) => state.sides.get(&token.0).and_then(|side| {
                    let right = side.at == from || self.wrong == Wrong::AnySource;
                    let token = if self.wrong == Wrong::OwnToken { token } else { Token(side.other) };
                    let to = state.sides.get(&side.other)?.at;
                    right.then(|| (to, shim::wrap(token, payload)))
                }),
                Some(Packet::Bind(bind)) => state.sides.get_mut(&bind.token.0).and_then(|side| {
                    let higher = bind.counter > side.counter || self.wrong == Wrong::AnyCounter;
                    if !higher || !bind.opens(&side.secret) && self.wrong != Wrong::AnyMac {
                        return None;
                    }
                    side.counter = bind.counter;
                    let cookie = u64::from(from.port()) << 20 | 7;
                    let bound = bind.cookie == cookie || self.wrong == Wrong::NoCookieNeeded;
                    if bound && self.wrong != Wrong::OldAddress {
                        side.at = from;
                    }
                    Some((from, shim::bound(&bind, &side.secret, cookie, bound, from).to_vec()))
                }),
                _ => None,
            };
            if let Some((to, packet)) = sent {
                let _ = out.send_to(&packet, to);
            }
        }
    }
}

/// What fails at a relay with that wrong; `walk` is where it should.
async fn sabotaged(wrong: Wrong, walk: &str) -> Vec<(&'static str, &'static str)> {
    let address = Small::start(wrong).await;
    let options = Options { patience: Duration::from_secs(2), only: Some(walk.into()), ..Options::default() };
    let mut log = log();
    relay(address, None, &options, &mut log).await;
    failed(&log)
}

/// One thing failed, of that section, and what was tried says so.
#[track_caller]
fn is_about(failed: &[(&'static str, &'static str)], section: &str, word: &str) {
    let right = |(s, what): &(&str, &str)| *s == section && what.contains(word);
    assert!(failed.first().is_some_and(right), "expected {section}, {word}; came {failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_small_relay_is_right_where_nothing_is_wrong_with_it() {
    for walk in ["the hop", "control", "mailboxes", "packets", "bind", "sessions", "what makes no sense"] {
        assert_eq!(sabotaged(Wrong::Nothing, walk).await, [], "{walk}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_with_wrong_answers() {
    is_about(&sabotaged(Wrong::AnotherPong, "control").await, "14.1", "ping");
    is_about(&sabotaged(Wrong::NoObserved, "control").await, "14.1", "observed");
    is_about(&sabotaged(Wrong::KeepsNonsense, "what makes no sense").await, "14.1", "a frame of no bytes");
    is_about(&sabotaged(Wrong::NoWordOfTheEnd, "sessions").await, "14.1", "closed");
    is_about(&sabotaged(Wrong::NoOneElseToRejoin, "sessions").await, "14.1", "told of a session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_lets_others_listen() {
    is_about(&sabotaged(Wrong::AnySignature, "mailboxes").await, "14.1", "signature");
    is_about(&sabotaged(Wrong::NobodyDisplaced, "mailboxes").await, "14.1", "the last one counts");
    is_about(&sabotaged(Wrong::StillListened, "mailboxes").await, "14.1", "unlistened");
    is_about(&sabotaged(Wrong::TwoResumes, "mailboxes").await, "14.1", "one resume");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_forwards_what_it_should_not() {
    is_about(&sabotaged(Wrong::OwnToken, "packets").await, "14.2", "begins bound");
    is_about(&sabotaged(Wrong::AnySource, "packets").await, "14.2", "where its side is not bound");
    is_about(&sabotaged(Wrong::NoCookieNeeded, "bind").await, "14.2", "first bind");
    is_about(&sabotaged(Wrong::OldAddress, "bind").await, "14.2", "new address");
    is_about(&sabotaged(Wrong::AnyCounter, "bind").await, "14.2", "counter");
    is_about(&sabotaged(Wrong::AnyMac, "bind").await, "14.2", "MAC");
}
