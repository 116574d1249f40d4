//! Looks at a relay from outside, as a caller would, and at what of this machine would hold it up.
//!
//! Guarantee: it uses nothing but what callers use, and leaves nothing behind.

use kring_net::relay::shim::{self, Packet};
use kring_net::relay::{
    Client, ConnectError, Event, Events, MailboxKey, NoRandomness, Packets, RelayAddress, RequestError,
    Session, resolve,
};
use kring_net::{BindError, Config, Endpoint};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Packets that go to and fro.
const ROUNDS: u32 = 20;

/// What was found about one way to a relay.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found {
    /// Which of its addresses.
    pub relay: SocketAddr,
    /// Where it sees this machine.
    pub observed: Option<SocketAddr>,
    /// How long it takes to connect.
    pub connect: Duration,
    /// How long a packet takes through it, there and back again, at best.
    pub through: Duration,
    /// How many of twenty came back.
    pub came_back: u32,
}

/// Why a way is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// No socket here.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It does not do what it was asked for.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A step took too long.
    #[error("{step} took longer than {} s", PATIENCE.as_secs())]
    Slow {
        /// Which.
        step: &'static str,
    },
    /// A session came about, and nothing got through it.
    #[error("the relay brings callers together, but no packet gets through: a firewall may drop UDP from it")]
    Nothing,
    /// The system does not let a packet out.
    #[error("the system sends nothing: {0}")]
    Io(#[from] std::io::Error),
}

async fn within<T>(step: &'static str, future: impl Future<Output = T>) -> Result<T, Trouble> {
    timeout(PATIENCE, future).await.map_err(|_| Trouble::Slow { step })
}

/// Looks at each of a relay's addresses over UDP.
///
/// # Errors
/// [`ConnectError::Resolve`].
pub async fn look(relay: &RelayAddress) -> Result<Vec<(SocketAddr, Result<Found, Trouble>)>, ConnectError> {
    let mut all = Vec::new();
    for address in resolve(relay).await? {
        all.push((address, over_udp(relay, address).await));
    }
    Ok(all)
}

async fn over_udp(relay: &RelayAddress, address: SocketAddr) -> Result<Found, Trouble> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::bind(&Config::new(any))?;
    let begun = Instant::now();
    let connecting = Client::connect(&endpoint, address, relay.pin());
    let (client, events) = within("connecting", connecting).await??;
    let connect = begun.elapsed();
    let (mut near, mut far) = meet(&client, events).await?;
    let found = exchange(address, &mut near, &mut far).await?;
    Ok(Found { connect, observed: client.observed(), ..found })
}

/// Dials a mailbox of one's own, and moves both sides of the session to sockets of their own.
async fn meet(client: &Client, mut events: Events) -> Result<(Side, Side), Trouble> {
    let key = MailboxKey::generate()?;
    within("listening", client.listen(&key)).await??;
    let near = within("dialling", client.dial(key.mailbox())).await??;
    let far = within("being told of the call", async {
        loop {
            match events.next().await {
                Some(Event::Incoming { session, .. }) => return Ok(session),
                Some(_) => {}
                None => return Err(RequestError::Lost),
            }
        }
    })
    .await??;
    Ok((Side::bind(near).await?, Side::bind(far).await?))
}

/// One side of a session on a socket of its own.
struct Side {
    session: Session,
    socket: UdpSocket,
}

impl Side {
    /// Tells the relay of the new socket, by a bind and what the relay answers.
    async fn bind(session: Session) -> Result<Side, Trouble> {
        let any: SocketAddr = match session.relay {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(session.relay).await?;
        let mut binding = kring_net::relay::Binding::new(session.handle.clone(), tokio::time::Instant::now());
        binding.moved(tokio::time::Instant::now());
        let begun = Instant::now();
        let mut buffer = [0; 2048];
        while !binding.is_bound() {
            if begun.elapsed() > PATIENCE {
                return Err(Trouble::Nothing);
            }
            if let Some(packet) = binding.poll(tokio::time::Instant::now()) {
                socket.send(&packet).await?;
            }
            let wait = tokio::time::timeout_at(binding.due(), socket.recv(&mut buffer)).await;
            if let Ok(Ok(len)) = wait
                && let Some(Packet::Bound(answer)) = shim::parse(&buffer[..len])
            {
                binding.handle_bound(&answer, tokio::time::Instant::now());
            }
        }
        Ok(Side { session, socket })
    }

    async fn send(&self, payload: &[u8]) -> Result<(), Trouble> {
        self.socket.send(&self.session.wrap(payload)).await?;
        Ok(())
    }

    /// The next payload, if one comes soon.
    async fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        let len = timeout(Duration::from_secs(1), self.socket.recv(&mut buffer)).await.ok()?.ok()?;
        match shim::parse(&buffer[..len]) {
            Some(Packet::Data { token, payload }) if token == self.session.handle.token => {
                Some(payload.to_vec())
            }
            _ => None,
        }
    }
}

async fn exchange(relay: SocketAddr, near: &mut Side, far: &mut Side) -> Result<Found, Trouble> {
    let (mut through, mut came_back) = (Duration::MAX, 0);
    for round in 0..ROUNDS {
        // As long as the packet that begins a call.
        let mut payload = vec![0; 1200];
        payload[..4].copy_from_slice(&round.to_be_bytes());
        let begun = Instant::now();
        near.send(&payload).await?;
        let Some(there) = far.receive().await else { continue };
        far.send(&there).await?;
        if near.receive().await.is_some_and(|back| back == payload) {
            came_back += 1;
            through = through.min(begun.elapsed());
        }
    }
    if came_back == 0 {
        return Err(Trouble::Nothing);
    }
    Ok(Found { relay, observed: None, connect: Duration::ZERO, through, came_back })
}

/// Looks at a relay's first address over TCP.
///
/// # Errors
/// A [`Trouble`].
pub async fn look_tcp(relay: &RelayAddress) -> Result<Found, Trouble> {
    let address = resolve(relay).await?[0];
    let begun = Instant::now();
    let connecting = Client::connect_tcp(address, relay.pin());
    let (client, events, packets) = within("connecting", connecting).await??;
    let connect = begun.elapsed();
    let (through, came_back) = through_tcp(&client, events, packets).await?;
    Ok(Found { relay: address, observed: client.observed(), connect, through, came_back })
}

async fn through_tcp(
    client: &Client,
    mut events: Events,
    mut packets: Packets,
) -> Result<(Duration, u32), Trouble> {
    let key = MailboxKey::generate()?;
    within("listening", client.listen(&key)).await??;
    let near = within("dialling", client.dial(key.mailbox())).await??;
    while within("being told of the call", events.next())
        .await?
        .is_some_and(|event| !matches!(event, Event::Incoming { .. }))
    {}
    let (mut through, mut came_back) = (Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        client.send_packet(near.wrap(&[0; 1200]));
        if within("a packet over TCP", packets.next()).await?.is_some() {
            came_back += 1;
            through = through.min(begun.elapsed());
        }
    }
    if came_back == 0 { Err(Trouble::Nothing) } else { Ok((through, came_back)) }
}

/// What of this machine would hold a relay up; a sentence each.
#[must_use]
pub fn machine() -> Vec<String> {
    let mut remarks = Vec::new();
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    if let Some(most) = number("/proc/sys/net/core/rmem_max")
        && most < 4 << 20
    {
        remarks.push(format!(
            "net.core.rmem_max is {most} bytes: bursts may be lost; `sysctl -w net.core.rmem_max=4194304` helps"
        ));
    }
    if let Ok(limits) = std::fs::read_to_string("/proc/self/limits")
        && let Some(line) = limits.lines().find(|line| line.starts_with("Max open files"))
        && let Some(Ok(files)) = line.split_whitespace().nth(3).map(str::parse::<u64>)
        && files < 4096
    {
        remarks.push(format!("open files are limited to {files}: each client on TCP takes one"));
    }
    remarks
}
