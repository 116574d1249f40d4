//! A relay of the protocol's words and a mind of its own, over TCP only. It tells everybody a stranger's address as theirs.
#![allow(dead_code, missing_docs, unreachable_pub)]

use super::common::within;
use kring::{Endpoint, EndpointBuilder};
use kring_net::relay::frame::{self, MESSAGE, PACKET};
use kring_net::relay::hop::{RelayKey, tls_server};
use kring_net::relay::message::{About, Handle, Reply, Request};
use kring_net::relay::shim::{self, Packet};
use kring_net::relay::{Mailbox, Resume, SessionSecret, Token};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

/// What the relay does to packets and callers.
#[derive(Clone, Copy, PartialEq)]
pub enum Mischief {
    /// None; it looks at everything.
    Looks,
    /// Whoever dials gets another callee.
    Misconnects,
    /// No packet gets through.
    Drops,
    /// Each packet is damaged.
    Damages,
    /// Some packets come late, some twice, some never.
    Shuffles,
    /// Each call's packets go to the other call as well, once told to.
    Swaps,
}

/// What goes to a client.
type Out = UnboundedSender<(u8, Vec<u8>)>;

struct Side {
    other: Token,
    secret: SessionSecret,
    out: Out,
}

#[derive(Default)]
pub struct State {
    pub listening: Vec<(Mailbox, Out)>,
    sides: HashMap<u64, Side>,
    /// Packets so far, and one that is held back.
    pub count: usize,
    pub swapping: bool,
    /// All that came over its connections, opened: class and body.
    pub seen: Vec<(u8, Vec<u8>)>,
    held: Option<(Token, Vec<u8>)>,
}

impl State {
    fn give(&self, to: Token, payload: &[u8]) {
        if let Some(side) = self.sides.get(&to.0) {
            let _ = side.out.send((PACKET, shim::wrap(to, payload)));
        }
    }

    fn packet(&mut self, mischief: Mischief, from: Token, payload: &[u8]) {
        let Some(other) = self.sides.get(&from.0).map(|side| side.other) else { return };
        self.count += 1;
        match mischief {
            Mischief::Looks | Mischief::Misconnects => self.give(other, payload),
            Mischief::Drops => {}
            Mischief::Damages => {
                let mut damaged = payload.to_vec();
                let at = self.count % damaged.len().max(1);
                damaged[at] ^= 1;
                self.give(other, &damaged);
            }
            Mischief::Shuffles => match self.count % 20 {
                3 => {}
                7 => (0..3).for_each(|_| self.give(other, payload)),
                11 => self.held = Some((other, payload.to_vec())),
                _ => {
                    self.give(other, payload);
                    if self.count % 20 == 15
                        && let Some((late, payload)) = self.held.take()
                    {
                        self.give(late, &payload);
                    }
                }
            },
            Mischief::Swaps => {
                self.give(other, payload);
                if !self.swapping {
                    return;
                }
                let strangers = self.sides.keys().filter(|&&token| token != other.0 && token != from.0);
                strangers.for_each(|&token| self.give(Token(token), payload));
            }
        }
    }
}

/// The relay.
pub struct Crooked {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
}

impl Crooked {
    pub async fn start(mischief: Mischief) -> Crooked {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(State::default())));
        let tls = TlsAcceptor::from(Arc::new(tls_server(&RelayKey::generate().unwrap()).unwrap()));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(tls.clone(), stream, shared.clone(), mischief));
            }
        });
        Crooked { address, state }
    }

    pub fn endpoint(&self) -> EndpointBuilder {
        let relay = self.address.to_string().parse().unwrap();
        Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).relay(relay)
    }

    /// One that is found through the relay alone.
    pub async fn hidden(&self) -> Endpoint {
        let endpoint = self.endpoint().relay_only(true).build().unwrap();
        within(20, endpoint.relay_reached()).await.unwrap();
        endpoint
    }

    pub fn packets(&self) -> usize {
        self.state.lock().unwrap().count
    }
}

async fn serve(tls: TlsAcceptor, stream: TcpStream, state: Arc<Mutex<State>>, mischief: Mischief) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (out, mut outgoing): (Out, UnboundedReceiver<_>) = unbounded_channel();
    tokio::spawn(async move {
        while let Some((class, body)) = outgoing.recv().await {
            if frame::write(&mut writer, class, &body).await.is_err() {
                return;
            }
        }
    });
    let tell = |out: &Out, reply: Reply| drop(out.send((MESSAGE, reply.encode().to_vec())));
    // Somebody else's address, whom nobody may bother.
    tell(&out, Reply::Observed { address: "192.0.2.77:7".parse().unwrap() });
    while let Ok(Some((class, body))) = frame::read(&mut reader).await {
        let mut state = state.lock().unwrap();
        state.seen.push((class, body.to_vec()));
        if class == PACKET {
            match shim::parse(&body) {
                Some(Packet::Data { token, payload }) => state.packet(mischief, token, payload),
                Some(Packet::Bind(bind)) => {
                    let secret = state.sides[&bind.token.0].secret.clone();
                    let lie = "192.0.2.77:7".parse().unwrap();
                    let _ = out.send((PACKET, shim::bound(&bind, &secret, bind.cookie, true, lie).to_vec()));
                }
                _ => {}
            }
            continue;
        }
        match Request::decode(&body) {
            Ok(Some(Request::Ping { number })) => tell(&out, Reply::Pong { number }),
            Ok(Some(Request::Listen { mailbox, .. })) => {
                state.listening.push((mailbox, out.clone()));
                tell(&out, Reply::Listening { mailbox });
            }
            Ok(Some(Request::Dial { request, mailbox })) => {
                let honest = mischief != Mischief::Misconnects;
                let callee = state.listening.iter().find(|(other, _)| (*other == mailbox) == honest);
                let (mailbox, callee) = callee.expect("somebody listens").clone();
                let resume = Resume::generate().unwrap();
                let [near, far] = [(); 2].map(|()| Handle {
                    token: Token::generate().unwrap(),
                    secret: SessionSecret::generate().unwrap(),
                    resume: resume.clone(),
                });
                for (mine, other, out) in [(&near, &far, &out), (&far, &near, &callee)] {
                    let side = Side { other: other.token, secret: mine.secret.clone(), out: out.clone() };
                    state.sides.insert(mine.token.0, side);
                }
                tell(&callee, Reply::Session { about: About::Mailbox(mailbox), handle: far });
                tell(&out, Reply::Session { about: About::Request(request), handle: near });
            }
            _ => {}
        }
    }
}
