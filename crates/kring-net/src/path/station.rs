//! A control connection to a relay that comes back when it is lost, with what was listened at and the sessions that it had.
//!
//! Guarantee: dropping the last [`Station`] ends it, dropping the last [`Link`] gives its session back; attempts to come back
//! are spread by a [`Backoff`], but for the first where a call hangs on it.

use super::link::{self, Lane};
use super::socket::Switch;
use crate::relay::Way;
use crate::relay::message::Resume;
use crate::relay::{
    Backoff, Client, Event, Events, Mailbox, MailboxKey, Packets, RelayAddress, RequestError, Session, Token,
    resolve,
};
use crate::{Endpoint, relay};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zeroize::Zeroizing;

/// How long UDP is waited for before TCP is tried beside it: where UDP does not get through that is heard as delay, and where it is only
/// late, packets go by it later.
const TCP_AFTER: Duration = Duration::from_millis(60);
/// The same where nobody waits for it: of all that come back to a relay that was gone, none shall come twice because it is slow.
const TCP_AFTER_LOSS: Duration = Duration::from_secs(3);
/// How long an attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(8);
/// How long somebody who dials waits for the relay.
const DIAL: Duration = Duration::from_secs(10);
/// How long a session is kept after its last use: for the last words of the connection that ran over it.
const LINGER: Duration = Duration::from_secs(3);
/// How long a relay's word on where it sees this side is waited for.
const OBSERVED: Duration = Duration::from_millis(500);
/// The first attempt to come back, where calls hang on it, is made within so long.
const URGENT: Duration = Duration::from_millis(300);
/// How often it is tried again to listen where that was refused, or where somebody else with a right to it listened.
const AGAIN: Duration = Duration::from_secs(15);
/// How long the other end of a session may take to come back as well.
const REJOIN: Duration = Duration::from_secs(10);

/// Why there is no way through a relay.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StationError {
    /// The relay is not reached.
    #[error("{0}")]
    Unreachable(String),
    /// It does not answer in time.
    #[error("the relay {0} does not answer")]
    Silent(RelayAddress),
    /// It says no.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The socket is gone.
    #[error("the endpoint is closed")]
    Closed,
}

#[derive(Clone)]
enum State {
    Connecting,
    Up(Client),
    Failed(String),
}

/// What [`Station`] and its task share.
struct Inner {
    endpoint: Endpoint,
    relay: RelayAddress,
    state: watch::Sender<State>,
    /// Seeds of the keys of mailboxes.
    listened: Mutex<Vec<Zeroizing<[u8; 32]>>>,
    listens: Notify,
    /// Some of what is listened at is not heard: refused, or another connection has it.
    unheard: AtomicBool,
    links: Mutex<Vec<Weak<LinkInner>>>,
    /// Sessions that the relay keeps for this side, used or lingering.
    held: Arc<Mutex<Vec<Held>>>,
    /// The connection may be dead.
    suspect: Arc<Notify>,
}

/// A relay to which this side keeps up a connection. Clones are the same.
#[derive(Clone)]
pub struct Station {
    inner: Arc<Inner>,
    _task: Arc<Task>,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A session with a relay as a way to a peer. It is given back when the last clone is dropped.
#[derive(Clone)]
pub struct Link(Arc<LinkInner>);

/// A session that the relay keeps for this side.
struct Held {
    token: Token,
    client: Client,
    /// Whether the call that used it is over.
    over: Arc<AtomicBool>,
}

struct LinkInner {
    switch: Weak<Switch>,
    held: Weak<Mutex<Vec<Held>>>,
    over: Arc<AtomicBool>,
    resume: Resume,
    name: SocketAddr,
    session_name: [u8; 16],
    current: Mutex<Option<Current>>,
}

/// The session may be replaced, and with it the lane.
struct Current {
    lane: Lane,
    client: Client,
    /// By what QUIC knows whoever is there.
    serves: SocketAddr,
    /// The task that keeps it bound ends with this.
    _alive: Arc<()>,
}

impl Link {
    /// What stands for the peer's address as long as it has no other.
    #[must_use]
    pub fn name(&self) -> SocketAddr {
        self.0.name
    }

    /// What both ends call this session, and nobody else can.
    #[must_use]
    pub fn session_name(&self) -> [u8; 16] {
        self.0.session_name
    }

    pub(crate) fn lane(&self) -> Lane {
        self.0.current(|current| current.lane.clone())
    }

    /// The call that uses it is over.
    pub(crate) fn over(&self) {
        self.0.over.store(true, Ordering::Relaxed);
    }

    /// QUIC knows whoever is there by that name now.
    pub(crate) fn serves(&self, name: SocketAddr) {
        self.0.current(|current| current.serves = name);
    }
}

impl LinkInner {
    fn current<T>(&self, f: impl FnOnce(&mut Current) -> T) -> T {
        let mut current = self.current.lock().expect("nothing panics with this lock held");
        f(current.as_mut().expect("there until it is dropped"))
    }
}

impl Drop for LinkInner {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let Some(current) = self.current.get_mut().ok().and_then(Option::take) else { return };
        let (switch, held, name) = (self.switch.clone(), self.held.clone(), self.name);
        let end = async move {
            sleep(LINGER).await;
            if let Some(switch) = switch.upgrade() {
                switch.with(|table| {
                    table.detach(&current.lane);
                    if current.serves == name {
                        table.forget(name);
                    }
                });
            }
            give_back(&held, &current.lane, &current.client).await;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(end);
        }
    }
}

/// Has the relay forget a session, unless it was told already.
async fn give_back(held: &Weak<Mutex<Vec<Held>>>, lane: &Lane, client: &Client) {
    let Some(held) = held.upgrade() else { return };
    let token = lane.token();
    let known = locked(&held).extract_if(.., |held| held.token == token).count();
    if known > 0 {
        let _ = client.close(token).await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics with this lock held")
}

impl Station {
    /// Connects, and stays so; has to be called within a tokio runtime.
    pub(crate) fn new(endpoint: &Endpoint, relay: RelayAddress) -> Station {
        let inner = Arc::new(Inner {
            endpoint: endpoint.clone(),
            relay,
            state: watch::Sender::new(State::Connecting),
            listened: Mutex::default(),
            listens: Notify::new(),
            unheard: AtomicBool::new(false),
            links: Mutex::default(),
            held: Arc::default(),
            suspect: Arc::default(),
        });
        let task = Task(tokio::spawn(stay(inner.clone())));
        Station { inner, _task: Arc::new(task) }
    }

    /// Which relay it is.
    #[must_use]
    pub fn relay(&self) -> &RelayAddress {
        &self.inner.relay
    }

    /// Listens at exactly these mailboxes from now on, by the seeds of their keys (Ed25519).
    pub fn listen(&self, seeds: Vec<Zeroizing<[u8; 32]>>) {
        *self.inner.listened.lock().expect("nothing panics with this lock held") = seeds;
        self.inner.listens.notify_one();
    }

    /// Waits until the relay is reached and has said where it sees this side, or an attempt has failed.
    ///
    /// # Errors
    /// A [`StationError`].
    pub async fn reached(&self) -> Result<(), StationError> {
        let client = self.client().await?;
        if client.way() == Way::Udp {
            let mut seen = self.inner.endpoint.switch().seen();
            let told = seen.wait_for(|seen| seen.iter().any(|(relay, _)| *relay == client.relay()));
            // One that does not say so serves all the same.
            let _ = timeout(OBSERVED, told).await;
        }
        Ok(())
    }

    /// Gives the sessions of calls that are over back at once, for a program that ends: the relay would wait for their silence, for
    /// a minute. Says whether there were any.
    pub async fn release(&self) -> bool {
        let over = |held: &mut Held| held.over.load(Ordering::Relaxed);
        let released: Vec<Held> = locked(&self.inner.held).extract_if(.., over).collect();
        for Held { token, client, .. } in &released {
            let _ = client.close(*token).await;
        }
        !released.is_empty()
    }

    async fn client(&self) -> Result<Client, StationError> {
        let mut state = self.inner.state.subscribe();
        let settled = timeout(DIAL, state.wait_for(|state| !matches!(state, State::Connecting))).await;
        match settled.map_err(|_| StationError::Silent(self.inner.relay.clone()))?.as_deref() {
            Ok(State::Up(client)) => Ok(client.clone()),
            Ok(State::Failed(why)) => Err(StationError::Unreachable(why.clone())),
            _ => Err(StationError::Closed),
        }
    }

    /// Asks for a session with whoever listens at `mailbox`.
    ///
    /// # Errors
    /// A [`StationError`].
    pub async fn dial(&self, mailbox: [u8; 32]) -> Result<Link, StationError> {
        let client = self.client().await?;
        let session = timeout(DIAL, client.dial(Mailbox(mailbox))).await;
        let session = session.map_err(|_| StationError::Silent(self.inner.relay.clone()))??;
        Ok(self.inner.link(&session, &client))
    }
}

impl Inner {
    fn lane(&self, session: &Session, client: &Client, over: Arc<AtomicBool>) -> (Lane, Arc<()>) {
        let alive = Arc::new(());
        let switch = self.endpoint.switch();
        let lane = link::open(switch, session, client, Arc::downgrade(&alive), self.suspect.clone());
        locked(&self.held).push(Held { token: lane.token(), client: client.clone(), over });
        (lane, alive)
    }

    fn link(self: &Arc<Self>, session: &Session, client: &Client) -> Link {
        let over = Arc::new(AtomicBool::new(false));
        let (lane, alive) = self.lane(session, client, over.clone());
        let switch = self.endpoint.switch();
        let v6 = switch.is_v6();
        let name = switch.with(|table| table.add_lane(Instant::now(), lane.clone(), v6));
        let link = Link(Arc::new(LinkInner {
            switch: Arc::downgrade(switch),
            held: Arc::downgrade(&self.held),
            over,
            resume: session.handle.resume.clone(),
            name,
            session_name: link::session_name(session),
            current: Mutex::new(Some(Current { lane, client: client.clone(), serves: name, _alive: alive })),
        }));
        let mut links = locked(&self.links);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link.0));
        link
    }

    fn live(&self) -> Vec<Link> {
        let links = locked(&self.links);
        links.iter().filter_map(Weak::upgrade).map(Link).collect()
    }

    async fn connect(&self, tcp_after: Duration) -> Result<(Client, Events, Option<Packets>), String> {
        let addresses = resolve(&self.relay).await.map_err(|error| error.to_string())?;
        let v6 = self.endpoint.switch().is_v6();
        let fits = |address: &&SocketAddr| address.is_ipv4() || v6;
        let chosen = addresses.iter().find(fits).or(addresses.first()).copied();
        let Some(address) = chosen else { return Err(format!("{} has no address", self.relay)) };
        let pin = self.relay.pin();
        let udp = Client::connect(&self.endpoint, address, pin);
        let tcp = async {
            sleep(tcp_after).await;
            Client::connect_tcp(address, pin).await
        };
        tokio::pin!(udp, tcp);
        let mut failures: [Option<relay::ConnectError>; 2] = [None, None];
        while failures.iter().any(Option::is_none) {
            tokio::select! {
                udp = &mut udp, if failures[0].is_none() => match udp {
                    Ok((client, events)) => return Ok((client, events, None)),
                    Err(error) => failures[0] = Some(error),
                },
                tcp = &mut tcp, if failures[1].is_none() => match tcp {
                    Ok((client, events, packets)) => return Ok((client, events, Some(packets))),
                    Err(error) => failures[1] = Some(error),
                },
            }
        }
        let texts: Vec<_> = failures.iter().flatten().map(ToString::to_string).collect();
        Err(texts.join("; "))
    }
}

/// Connects again and again.
async fn stay(inner: Arc<Inner>) {
    let mut backoff = Backoff::default();
    let mut awaited = true;
    loop {
        let tcp_after = if awaited || !inner.live().is_empty() { TCP_AFTER } else { TCP_AFTER_LOSS };
        let connected = timeout(CONNECT, inner.connect(tcp_after)).await;
        awaited = false;
        match connected.unwrap_or_else(|_| Err(format!("the relay {} does not answer", inner.relay))) {
            Ok((client, events, packets)) => {
                backoff.worked();
                tracing::debug!(way = ?client.way(), "at a relay");
                inner.state.send_replace(State::Up(client.clone()));
                rejoin(&inner, &client);
                serve(&inner, &client, events, packets).await;
                inner.state.send_replace(State::Connecting);
                tracing::debug!("a relay was lost");
                if !inner.live().is_empty() {
                    sleep(URGENT.mul_f64(share())).await;
                    continue;
                }
            }
            Err(why) => {
                tracing::debug!("a relay was not reached");
                inner.state.send_replace(State::Failed(why));
                if !inner.live().is_empty() {
                    sleep(URGENT + URGENT.mul_f64(share())).await;
                    inner.state.send_replace(State::Connecting);
                    continue;
                }
            }
        }
        sleep(backoff.wait(None)).await;
        inner.state.send_replace(State::Connecting);
    }
}

/// Drawn evenly from 0 to 1.
fn share() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness all come at once, but they come.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

/// Gets the sessions back that calls hang on.
fn rejoin(inner: &Arc<Inner>, client: &Client) {
    for link in inner.live() {
        let (inner, client, weak) = (inner.clone(), client.clone(), Arc::downgrade(&link.0));
        drop(link);
        tokio::spawn(async move {
            let Some(resume) = weak.upgrade().map(|link| link.resume.clone()) else { return };
            let Ok(Ok(session)) = timeout(REJOIN, client.rejoin(&resume)).await else { return };
            let Some(link) = weak.upgrade().map(Link) else { return };
            let (lane, alive) = inner.lane(&session, &client, link.0.over.clone());
            link.0.current(|current| {
                // The relay has forgotten it, or will when nothing comes.
                locked(&inner.held).retain(|held| held.token != current.lane.token());
                let serves = current.serves;
                inner.endpoint.switch().with(|table| {
                    table.detach(&current.lane);
                    table.attach(Instant::now(), serves, lane.clone());
                });
                *current = Current { lane, client, serves, _alive: alive };
            });
        });
    }
}

/// Listens, and takes what comes, until the connection is over.
async fn serve(inner: &Arc<Inner>, client: &Client, mut events: Events, mut packets: Option<Packets>) {
    let switch = inner.endpoint.switch();
    let relay = client.relay();
    let mut listening: Vec<Mailbox> = Vec::new();
    inner.listens.notify_one();
    let mut again = Instant::now() + AGAIN;
    loop {
        tokio::select! {
            event = events.next() => match event {
                None => return,
                Some(Event::Observed(address)) if packets.is_none() => switch.seen_at(relay, address),
                Some(Event::Incoming { session, .. }) => inner.endpoint.expect(inner.link(&session, client)),
                Some(Event::Unheard { mailbox, refused }) => {
                    tracing::debug!(reason = %refused.reason, "a mailbox is not heard any more");
                    listening.retain(|other| *other != mailbox);
                    inner.unheard.store(true, Ordering::Relaxed);
                }
                Some(_) => {}
            },
            Some(packet) = next_packet(&mut packets) => switch.received(relay, &packet),
            () = inner.listens.notified() => listen(inner, client, &mut listening),
            () = sleep_until(again) => {
                again = Instant::now() + AGAIN.mul_f64(1.0 + share());
                if inner.unheard.swap(false, Ordering::Relaxed) {
                    listening.clear();
                    listen(inner, client, &mut listening);
                }
            }
            () = inner.suspect.notified() => return,
        }
    }
}

async fn next_packet(packets: &mut Option<Packets>) -> Option<Vec<u8>> {
    match packets {
        Some(packets) => packets.next().await,
        None => std::future::pending().await,
    }
}

/// Tells the relay what has changed about what is listened at.
fn listen(inner: &Arc<Inner>, client: &Client, listening: &mut Vec<Mailbox>) {
    let seeds = inner.listened.lock().expect("nothing panics with this lock held").clone();
    let keys: Vec<MailboxKey> = seeds.iter().map(|seed| MailboxKey::from_seed(seed)).collect();
    let wanted: Vec<Mailbox> = keys.iter().map(MailboxKey::mailbox).collect();
    for mailbox in listening.extract_if(.., |mailbox| !wanted.contains(mailbox)) {
        let client = client.clone();
        tokio::spawn(async move { client.unlisten(mailbox).await });
    }
    for key in keys {
        if listening.contains(&key.mailbox()) {
            continue;
        }
        listening.push(key.mailbox());
        let (client, inner) = (client.clone(), Arc::downgrade(inner));
        tokio::spawn(async move {
            if let Err(error) = client.listen(&key).await {
                tracing::warn!("a relay does not let this side be called through it: {}", brief(&error));
                if let Some(inner) = inner.upgrade() {
                    inner.unheard.store(true, Ordering::Relaxed);
                }
            }
        });
    }
}

/// Without the names of other relays.
fn brief(error: &RequestError) -> String {
    match error {
        RequestError::Refused(refused) => refused.reason.to_string(),
        other => other.to_string(),
    }
}
