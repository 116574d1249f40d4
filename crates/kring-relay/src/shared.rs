//! What all clients and forwarders of a relay share.
//!
//! Guarantee: no lock is held while another is taken, nor while anything waits.

use crate::config::{Config, Limits};
use crate::control::Client;
use crate::forward;
use crate::limits::Origins;
use crate::metrics::{Metrics, count};
use crate::rendezvous::Rendezvous;
use crate::sessions::{Party, Place, Replies, Session, Sessions};
use kring_net::relay::hop::RelayKey;
use kring_net::relay::message::{About, Handle, Reply};
use kring_net::relay::{Mailbox, NoRandomness, Pin, Reason, Refused, RelayAddress, Token, shim};
use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// When a full relay is to be asked again.
const RETRY_FULL: Duration = Duration::from_secs(30);
/// When a limit has room again.
const RETRY_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) pin: Pin,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Arc<Metrics>,
    others: Vec<RelayAddress>,
    drain: Duration,
    /// Sends what came over TCP and goes on as UDP.
    socket: UdpSocket,
    rendezvous: Mutex<Rendezvous<Client>>,
    clients: Mutex<HashMap<u64, Replies>>,
    origins: Mutex<Origins>,
    diallers: Mutex<Origins>,
    next: AtomicU64,
    draining: AtomicBool,
    /// Nanoseconds that each forwarding thread was at work.
    pub(crate) busy: Vec<Arc<AtomicU64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics with this lock held")
}

impl Shared {
    pub(crate) fn new(config: &Config, key: &RelayKey, pin: Pin, socket: UdpSocket) -> Shared {
        let limits = config.limits;
        let origins = |most, rate, at_once| Mutex::new(Origins::new(most, rate, at_once * rate));
        Shared {
            limits,
            pin,
            sessions: Arc::new(Sessions::new(&key.derive(b"kring relay cookie"))),
            metrics: Arc::default(),
            others: config.others.clone(),
            drain: config.drain,
            socket,
            rendezvous: Mutex::default(),
            clients: Mutex::default(),
            origins: origins(limits.clients_per_address, limits.client_rate_per_address, 4.0),
            diallers: origins(limits.sessions_per_address, limits.session_rate_per_address, 10.0),
            next: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            busy: (0..config.threads).map(|_| Arc::default()).collect(),
        }
    }

    pub(crate) fn rendezvous(&self) -> MutexGuard<'_, Rendezvous<Client>> {
        lock(&self.rendezvous)
    }

    /// All clients, by number.
    pub(crate) fn clients(&self) -> MutexGuard<'_, HashMap<u64, Replies>> {
        lock(&self.clients)
    }

    /// Who has how many clients.
    pub(crate) fn origins(&self) -> MutexGuard<'_, Origins> {
        lock(&self.origins)
    }

    /// Who has dialled how many sessions.
    pub(crate) fn diallers(&self) -> MutexGuard<'_, Origins> {
        lock(&self.diallers)
    }

    pub(crate) fn next_client(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// A no, counted, and what to do instead.
    pub(crate) fn refusal(&self, reason: Reason) -> Refused {
        let metrics = &self.metrics;
        let (counter, retry_after) = match reason {
            Reason::Full => (&metrics.refused_full_total, Some(RETRY_FULL)),
            Reason::TooMuch => (&metrics.refused_limit_total, Some(RETRY_LIMIT)),
            Reason::Draining => (&metrics.refused_draining_total, Some(self.drain)),
            Reason::NotYours => (&metrics.refused_signature_total, None),
            _ => (&metrics.refused_nobody_total, None),
        };
        count(counter);
        let elsewhere = matches!(reason, Reason::Full | Reason::TooMuch | Reason::Draining);
        let others = if elsewhere { self.others.clone() } else { Vec::new() };
        Refused { reason, retry_after, others }
    }

    /// Why there may be no more sessions, if that is so.
    pub(crate) fn no_more_sessions(&self) -> Option<Reason> {
        let (limits, metrics) = (&self.limits, &self.metrics);
        let load = metrics.load_permille.load(Ordering::Relaxed) as f64 / 1000.0;
        let mbit = metrics.bits_per_second.load(Ordering::Relaxed) as f64 / 1e6;
        let full = self.sessions.len() >= limits.max_sessions
            || load > limits.max_load
            || limits.max_mbit > 0.0 && mbit >= limits.max_mbit;
        match (self.is_draining(), full) {
            (true, _) => Some(Reason::Draining),
            (false, true) => Some(Reason::Full),
            (false, false) => None,
        }
    }

    /// Opens a session between two.
    pub(crate) fn open(
        &self,
        parties: [Party; 2],
        mailbox: Option<Mailbox>,
        now: Instant,
    ) -> Result<[Handle; 2], NoRandomness> {
        count(&self.metrics.sessions_total);
        self.sessions.open(parties, mailbox, self.limits.session_mbit * 1e6, now)
    }

    /// A session is over: gives back what it took and tells both sides, except for the client `but`.
    pub(crate) fn ended(&self, session: &Session, reason: Reason, but: Option<u64>) {
        self.diallers().leave(session.dialler);
        if let Some(mailbox) = session.mailbox {
            self.rendezvous().ended(mailbox);
        }
        for (replies, _, token) in session.ends().filter(|(_, client, _)| Some(*client) != but) {
            let _ = replies.try_send(Reply::Closed { token, reason }.encode());
        }
    }

    /// A packet that came over TCP.
    pub(crate) fn forward(&self, token: Token, from: &Place, payload: &[u8]) {
        let bits = (payload.len() + shim::HEADER) * 8;
        let limit = self.limits.session_mbit * 1e6;
        let routed = self.sessions.table().route(token, from, bits, limit, Instant::now());
        let (token, place) = match routed {
            Ok(routed) => routed,
            Err(why) => return forward::dropped(&self.metrics, why),
        };
        let packet = shim::wrap(token, payload);
        self.metrics.packets_total.fetch_add(1, Ordering::Relaxed);
        self.metrics.bytes_total.fetch_add(packet.len() as u64, Ordering::Relaxed);
        let sent = match place {
            Place::Udp(to, _) => self.socket.send_to(&packet, to).is_ok(),
            Place::Tcp(_, queue) => queue.try_send(packet).is_ok(),
        };
        if !sent {
            count(&self.metrics.dropped_busy_total);
        }
    }

    /// From now on nothing new is taken; all clients are told.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.metrics.draining.store(1, Ordering::Relaxed);
        let told = Reply::Draining { within: self.drain, others: self.others.clone() }.encode();
        for replies in self.clients().values() {
            let _ = replies.try_send(told.clone());
        }
    }

    /// Once a second: what has been silent ends, what is forgotten frees memory, and what is measured is shown.
    pub(crate) fn tick(&self, now: Instant, passed: Duration, last: &mut Last) {
        for (session, reason) in self.sessions.expire(now) {
            self.ended(&session, reason, None);
        }
        let late = self.rendezvous().expire(now);
        for (client, request) in late {
            self.diallers().leave(crate::rendezvous::Listener::party(&client).origin);
            let refused = self.refusal(Reason::NobodyThere);
            client.tell(&Reply::Refused { about: About::Request(request), refused });
        }
        self.origins().tidy(now);
        self.diallers().tidy(now);

        let busy: Vec<u64> = self.busy.iter().map(|busy| busy.load(Ordering::Relaxed)).collect();
        let most = busy.iter().zip(&last.busy).map(|(now, before)| now - before).max().unwrap_or(0);
        let bytes = self.metrics.bytes_total.load(Ordering::Relaxed);
        let share = |amount: u64| (amount as f64 / passed.as_secs_f64().max(0.001)) as u64;
        let metrics = &self.metrics;
        metrics.load_permille.store((share(most) / 1_000_000).min(1000), Ordering::Relaxed);
        metrics.bits_per_second.store(share((bytes - last.bytes) * 8), Ordering::Relaxed);
        *last = Last { busy, bytes };
        self.show();
    }

    /// Brings what there is now up to date.
    pub(crate) fn show(&self) {
        let set = |gauge: &AtomicU64, value: usize| gauge.store(value as u64, Ordering::Relaxed);
        set(&self.metrics.clients, self.clients().len());
        set(&self.metrics.mailboxes, self.rendezvous().mailboxes());
        set(&self.metrics.sessions, self.sessions.len());
    }
}

/// What the measurement before saw.
#[derive(Default)]
pub(crate) struct Last {
    pub(crate) busy: Vec<u64>,
    pub(crate) bytes: u64,
}
