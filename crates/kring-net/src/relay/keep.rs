//! A relay that a client stays with: connected, listening, and back again after whatever happened.
//!
//! Guarantee: one connection at a time; over QUIC if it can be had within [`UDP_PATIENCE`], else over TCP; after a loss the
//! next attempt waits for a [`Backoff`], unless [`Keeper::retry`] says that there is reason to hope. It ends with the last
//! [`Keeper`].

use super::backoff::Backoff;
use super::client::{Client, Event, Events, Packets};
use super::keys::{Mailbox, MailboxKey};
use super::{ConnectError, RelayAddress, resolve};
use crate::Endpoint;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// How long QUIC is waited for, before TCP has its turn.
const UDP_PATIENCE: Duration = Duration::from_secs(3);
/// News that wait to be read.
const QUEUE: usize = 64;

/// What becomes of the connection, and what comes over it.
#[derive(Clone)]
#[non_exhaustive]
pub enum News {
    /// It is there, and listens at all mailboxes.
    Up(Client),
    /// The relay says something.
    Event(Event),
    /// A packet came over TCP.
    Packet(Vec<u8>),
    /// It is lost, or did not come about.
    Down {
        /// What is known about why.
        why: String,
        /// When the next attempt is made.
        again_in: Duration,
    },
}

#[derive(Default)]
struct State {
    keys: HashMap<Mailbox, Arc<MailboxKey>>,
    client: Option<Client>,
}

struct Inner {
    state: Mutex<State>,
    retry: Notify,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with this lock held")
    }
}

/// Stays with a relay; clones share it.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
    /// Closed when the last one is gone.
    _alive: mpsc::Sender<()>,
}

impl Keeper {
    /// Begins to connect; has to be called within a tokio runtime. The news have to be read.
    #[must_use]
    pub fn start(endpoint: Endpoint, relay: RelayAddress) -> (Keeper, mpsc::Receiver<News>) {
        let inner = Arc::new(Inner { state: Mutex::default(), retry: Notify::new() });
        let (alive, mut gone) = mpsc::channel(1);
        let (news, receiver) = mpsc::channel(QUEUE);
        let keeping = inner.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = keep(&keeping, &endpoint, &relay, &news) => {}
                // Nothing is ever sent.
                _ = gone.recv() => {}
            }
            keeping.state().client = None;
        });
        (Keeper { inner, _alive: alive }, receiver)
    }

    /// Listens at the mailbox of `key` from now on, whatever happens to the connection.
    pub async fn listen(&self, key: Arc<MailboxKey>) {
        let client = {
            let mut state = self.inner.state();
            state.keys.insert(key.mailbox(), key.clone());
            state.client.clone()
        };
        if let Some(client) = client {
            // If the connection is lost meanwhile, the next one listens.
            let _ = client.listen(&key).await;
        }
    }

    /// Listens there no more.
    pub async fn unlisten(&self, mailbox: Mailbox) {
        let client = {
            let mut state = self.inner.state();
            state.keys.remove(&mailbox);
            state.client.clone()
        };
        if let Some(client) = client {
            let _ = client.unlisten(mailbox).await;
        }
    }

    /// The connection, while there is one.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        self.inner.state().client.clone()
    }

    /// Does not wait any longer: the network has changed.
    pub fn retry(&self) {
        self.inner.retry.notify_one();
    }
}

async fn keep(inner: &Inner, endpoint: &Endpoint, relay: &RelayAddress, news: &mpsc::Sender<News>) {
    let mut backoff = Backoff::default();
    loop {
        let (why, wish) = match connect(endpoint, relay).await {
            Ok((client, events, packets)) => {
                let refused = stay(inner, client, events, packets, news, &mut backoff).await;
                match refused {
                    Some(refused) => (refused.to_string(), refused.retry_after),
                    None => ("the connection to the relay is lost".into(), None),
                }
            }
            Err(error) => (error.to_string(), None),
        };
        inner.state().client = None;
        let again_in = backoff.wait(wish);
        if news.send(News::Down { why, again_in }).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(again_in) => {}
            () = inner.retry.notified() => {}
        }
    }
}

async fn connect(
    endpoint: &Endpoint,
    relay: &RelayAddress,
) -> Result<(Client, Events, Option<Packets>), ConnectError> {
    let addresses = resolve(relay).await?;
    let quic = async {
        let mut last = ConnectError::Lost;
        for &address in addresses.iter().filter(|address| fits(endpoint, address)) {
            match Client::connect(endpoint, address, relay.pin()).await {
                Ok((client, events)) => return Ok((client, events, None)),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    if let Ok(Ok(connected)) = timeout(UDP_PATIENCE, quic).await {
        return Ok(connected);
    }
    let mut last = ConnectError::Lost;
    for address in addresses {
        match Client::connect_tcp(address, relay.pin()).await {
            Ok((client, events, packets)) => return Ok((client, events, Some(packets))),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether the endpoint's socket can send there.
fn fits(endpoint: &Endpoint, address: &SocketAddr) -> bool {
    endpoint.local_addr().is_ok_and(|local| local.is_ipv6() || address.is_ipv4())
}

/// Passes on what comes until the connection is over; what the relay said if it turned this client away.
async fn stay(
    inner: &Inner,
    client: Client,
    mut events: Events,
    mut packets: Option<Packets>,
    news: &mpsc::Sender<News>,
    backoff: &mut Backoff,
) -> Option<super::Refused> {
    let keys: Vec<_> = {
        let mut state = inner.state();
        state.client = Some(client.clone());
        state.keys.values().cloned().collect()
    };
    let listening = {
        let client = client.clone();
        async move {
            for key in keys {
                let _ = client.listen(&key).await;
            }
        }
    };
    let mut listening = Box::pin(listening);
    let mut listens = false;
    loop {
        let packet = async {
            match &mut packets {
                Some(packets) => packets.next().await,
                None => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            () = &mut listening, if !listens => {
                listens = true;
                if client.refused().is_none() {
                    backoff.worked();
                }
                News::Up(client.clone())
            }
            event = events.next() => match event {
                Some(event) => News::Event(event),
                None => return client.refused(),
            },
            Some(packet) = packet => News::Packet(packet),
        };
        if news.send(next).await.is_err() {
            return None;
        }
    }
}
