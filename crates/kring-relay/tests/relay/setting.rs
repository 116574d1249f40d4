//! A relay, clients of it, and the sides of their sessions on sockets of their own.

use kring_net::relay::shim::{self, Packet};
use kring_net::relay::{Binding, Client, Event, Events, MailboxKey, Session};
use kring_net::{Config as NetConfig, Endpoint};
use kring_relay::{Config, Relay};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

/// So long that only what never comes takes longer, on a busy machine as well.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// So long that what does come has come by then, mostly.
pub(crate) const SHORT: Duration = Duration::from_millis(200);

/// Loopback, one thread, and no limit that a busy machine would meet.
pub(crate) fn settings() -> Config {
    let mut config = Config::default();
    config.bind = "127.0.0.1:0".parse().unwrap();
    config.threads = 1;
    config.limits.max_load = 1.0;
    config
}

pub(crate) async fn start() -> Relay {
    Relay::start(settings()).await.unwrap()
}

/// A client over QUIC.
pub(crate) struct Caller {
    pub(crate) endpoint: Endpoint,
    pub(crate) client: Client,
    pub(crate) events: Events,
}

impl Caller {
    pub(crate) async fn new(relay: &Relay) -> Caller {
        Caller::at(relay.address()).await
    }

    pub(crate) async fn at(relay: SocketAddr) -> Caller {
        let endpoint = Endpoint::bind(&NetConfig::new("127.0.0.1:0".parse().unwrap())).unwrap();
        let (client, events) = Client::connect(&endpoint, relay, None).await.unwrap();
        Caller { endpoint, client, events }
    }

    /// A client that listens at a mailbox.
    pub(crate) async fn listening(relay: &Relay) -> (Caller, MailboxKey) {
        let (caller, key) = (Caller::new(relay).await, MailboxKey::generate().unwrap());
        caller.client.listen(&key).await.unwrap();
        (caller, key)
    }

    /// The next event that is not about where the relay sees this client.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            match timeout(LONG, self.events.next()).await.expect("an event in time") {
                Some(Event::Observed(_)) => {}
                event => return event,
            }
        }
    }

    pub(crate) async fn incoming(&mut self) -> Session {
        match self.event().await {
            Some(Event::Incoming { session, .. }) => session,
            other => panic!("expected a call, came {other:?}"),
        }
    }
}

/// A caller, a callee, and a session of theirs.
pub(crate) async fn session(relay: &Relay) -> (Caller, Caller, [Session; 2]) {
    let (mut callee, key) = Caller::listening(relay).await;
    let caller = Caller::new(relay).await;
    let near = caller.client.dial(key.mailbox()).await.unwrap();
    let far = callee.incoming().await;
    (caller, callee, [near, far])
}

/// One side of a session, on a socket of its own.
pub(crate) struct Side {
    pub(crate) session: Session,
    pub(crate) socket: UdpSocket,
    pub(crate) binding: Binding,
}

impl Side {
    /// Binds the side to a new socket.
    pub(crate) async fn new(session: Session) -> Side {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let binding = Binding::new(session.handle.clone(), Instant::now());
        let mut side = Side { session, socket, binding };
        side.bind().await;
        side
    }

    /// Tells the relay that this side's socket is another one now.
    pub(crate) async fn change_socket(&mut self) {
        self.socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        self.bind().await;
    }

    async fn bind(&mut self) {
        self.binding.moved(Instant::now());
        let mut buffer = [0; 2048];
        let begun = Instant::now();
        while !self.binding.is_bound() {
            assert!(begun.elapsed() < LONG, "the relay does not answer");
            if let Some(packet) = self.binding.poll(Instant::now()) {
                self.socket.send_to(&packet, self.session.relay).await.unwrap();
            }
            let received = timeout_at(self.binding.due(), self.socket.recv(&mut buffer)).await;
            if let Ok(Ok(len)) = received
                && let Some(Packet::Bound(answer)) = shim::parse(&buffer[..len])
                && let Some(observed) = self.binding.handle_bound(&answer, Instant::now())
            {
                assert_eq!(observed, self.socket.local_addr().unwrap());
            }
        }
    }

    pub(crate) async fn send(&self, payload: &[u8]) {
        self.socket.send_to(&self.session.wrap(payload), self.session.relay).await.unwrap();
    }

    /// The next payload for this side, under its own token.
    pub(crate) async fn receive_within(&self, time: Duration) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        loop {
            let (len, from) = timeout(time, self.socket.recv_from(&mut buffer)).await.ok()?.unwrap();
            assert_eq!(from, self.session.relay);
            if let Some(Packet::Data { token, payload }) = shim::parse(&buffer[..len]) {
                assert_eq!(token, self.session.handle.token);
                return Some(payload.to_vec());
            }
        }
    }

    pub(crate) async fn receive(&self) -> Vec<u8> {
        self.receive_within(LONG).await.expect("a packet in time")
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn hears_nothing(&self) -> bool {
        self.receive_within(SHORT).await.is_none()
    }
}

/// Both sides of a session on sockets of their own.
pub(crate) async fn sides(relay: &Relay) -> (Caller, Caller, Side, Side) {
    let (caller, callee, [near, far]) = session(relay).await;
    (caller, callee, Side::new(near).await, Side::new(far).await)
}
