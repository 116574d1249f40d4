//! What machines on the local network say to each other: one record each, by mDNS and DNS-SD (RFC 6762, 6763).
//!
//! Guarantee: what is said names nothing of this machine but its addresses: instance and host are drawn anew each time; at most
//! [`MAX_HEARD`] records are remembered, and a network that floods is not listened to for a minute at a time.

use data_encoding::HEXLOWER;
use mdns_sd::{Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo, TxtProperty};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

const SERVICE: &str = "_kring._udp.local.";
/// Most records that are remembered; the oldest goes first.
pub const MAX_HEARD: usize = 64;
/// The longest record that is said or heard, in bytes.
pub const MAX_RECORD: usize = 800;
/// A string of a TXT record has 255 bytes, key and sign included.
const CHUNK: usize = 240;
/// Most events of a minute; more, and somebody floods.
const MAX_EVENTS: u32 = 1024;
/// Most records that the library below may have in its memory.
const MAX_CACHED: i64 = 4096;
const MINUTE: Duration = Duration::from_secs(60);
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Most records of one side.
pub const MAX_SAID: usize = 8;

/// What is said on the network of one of this machine's addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// At most [`MAX_RECORD`] bytes.
    pub record: Vec<u8>,
    /// Where this side is there.
    pub address: SocketAddr,
}

struct Inner {
    said: watch::Sender<Vec<Said>>,
    heard: Mutex<VecDeque<(String, Arc<[u8]>)>>,
    /// Counts what is heard.
    changes: watch::Sender<u64>,
    floods: AtomicU64,
}

/// A place among those who speak mDNS on the local network, until it is dropped.
pub struct Lan {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Lan {
    /// Listens, and asks who is there; has to be called within a tokio runtime.
    #[must_use]
    #[allow(clippy::new_without_default)] // it begins something
    pub fn new() -> Lan {
        let inner = Arc::new(Inner {
            said: watch::Sender::new(Vec::new()),
            heard: Mutex::default(),
            changes: watch::Sender::new(0),
            floods: AtomicU64::new(0),
        });
        let task = tokio::spawn(stay(inner.clone()));
        Lan { inner, task }
    }

    /// Says these from now on, in place of what was said before; at most [`MAX_SAID`].
    pub fn say(&self, mut said: Vec<Said>) {
        said.retain(|said| said.record.len() <= MAX_RECORD);
        said.truncate(MAX_SAID);
        self.inner.said.send_if_modified(|now| {
            let differs = *now != said;
            *now = said;
            differs
        });
    }

    /// What others say now.
    #[must_use]
    pub fn heard(&self) -> Vec<Arc<[u8]>> {
        self.inner.heard().iter().map(|(_, record)| record.clone()).collect()
    }

    /// Counts whenever something is heard.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// How often the network was not listened to because somebody floods it.
    #[must_use]
    pub fn floods(&self) -> u64 {
        self.inner.floods.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn heard(&self) -> std::sync::MutexGuard<'_, VecDeque<(String, Arc<[u8]>)>> {
        self.heard.lock().expect("nothing panics with this lock held")
    }

    fn hear(&self, name: String, record: Vec<u8>) {
        let mut heard = self.heard();
        heard.retain(|(other, _)| *other != name);
        if heard.len() >= MAX_HEARD {
            heard.pop_front();
        }
        heard.push_back((name, record.into()));
        drop(heard);
        self.changes.send_modify(|count| *count += 1);
    }
}

/// How it went with the library's thread.
enum Ended {
    /// Somebody floods, or it could not be had.
    Resting,
    /// It is of no use any more.
    Broken,
}

/// The daemon, which is told to end when this is dropped.
struct Daemon(ServiceDaemon);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It says goodbye for what it has said.
        let _ = self.0.shutdown();
    }
}

async fn stay(inner: Arc<Inner>) {
    loop {
        match speak(&inner).await {
            Ok(Ended::Resting) => {
                inner.floods.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    "somebody floods the local network with names; it is not listened to for a minute"
                );
                inner.heard().clear();
                sleep(MINUTE).await;
            }
            Ok(Ended::Broken) | Err(_) => {
                tracing::debug!("no mDNS here; it is tried again");
                sleep(MINUTE).await;
            }
        }
    }
}

async fn speak(inner: &Inner) -> Result<Ended, mdns_sd::Error> {
    let daemon = Daemon(ServiceDaemon::new()?);
    let events = daemon.0.browse(SERVICE)?;
    let mut said = inner.said.subscribe();
    let mut own = Vec::new();
    let first = said.borrow_and_update().clone();
    say(&daemon.0, &first, &mut own)?;
    let (mut minute, mut count, mut look) = (Instant::now() + MINUTE, 0_u32, Instant::now() + LOOK);
    loop {
        tokio::select! {
            event = timeout_at(look, next(&events)) => match event {
                Ok(Some(event)) => {
                    count += 1;
                    took(inner, event, &own);
                }
                Ok(None) => return Ok(Ended::Resting),
                Err(_) => {
                    look = Instant::now() + LOOK;
                    if cached(&daemon.0).await > MAX_CACHED {
                        return Ok(Ended::Resting);
                    }
                }
            },
            changed = said.changed() => {
                if changed.is_err() {
                    return Ok(Ended::Broken);
                }
                let now = said.borrow_and_update().clone();
                say(&daemon.0, &now, &mut own)?;
            }
        }
        if count > MAX_EVENTS {
            return Ok(Ended::Resting);
        }
        if Instant::now() >= minute {
            (minute, count) = (Instant::now() + MINUTE, 0);
        }
    }
}

/// The next event; `None` once it has fallen too far behind, which only a flood does.
async fn next(events: &Receiver<ServiceEvent>) -> Option<ServiceEvent> {
    events.recv_async().await.ok()
}

/// How many records the library remembers.
async fn cached(daemon: &ServiceDaemon) -> i64 {
    let Ok(metrics) = daemon.get_metrics() else { return 0 };
    let Ok(metrics) = metrics.recv_async().await else { return 0 };
    metrics.iter().filter(|(name, _)| name.starts_with("cached")).map(|(_, count)| count).sum()
}

/// Says something under names that are drawn anew, each on the network of its address alone, which is what the library does with an
/// address that an interface does not have.
fn say(daemon: &ServiceDaemon, all: &[Said], own: &mut Vec<String>) -> Result<(), mdns_sd::Error> {
    for before in own.drain(..) {
        daemon.unregister(&before)?;
    }
    for said in all {
        let mut name = [0; 10];
        if aws_lc_rs::rand::fill(&mut name).is_err() {
            continue;
        }
        let name = HEXLOWER.encode(&name);
        let chunks = said.record.chunks(CHUNK).enumerate();
        let text: Vec<TxtProperty> = chunks.map(|(n, bytes)| TxtProperty::from((n, bytes))).collect();
        let (host, ip) = (format!("{name}.local."), said.address.ip());
        let mut service = ServiceInfo::new(SERVICE, &name, &host, ip, said.address.port(), text)?;
        // A name of 80 random bits is nobody else's.
        service.set_requires_probe(false);
        own.push(service.get_fullname().to_owned());
        daemon.register(service)?;
    }
    Ok(())
}

fn took(inner: &Inner, event: ServiceEvent, own: &[String]) {
    match event {
        ServiceEvent::ServiceResolved(service) if !own.contains(&service.fullname) => {
            if let Some(record) = record(&service) {
                inner.hear(service.fullname, record);
            }
        }
        ServiceEvent::ServiceRemoved(_, name) => inner.heard().retain(|(other, _)| *other != name),
        _ => {}
    }
}

/// The record in the strings of a service.
fn record(service: &ResolvedService) -> Option<Vec<u8>> {
    let mut record = Vec::new();
    for n in 0..=MAX_RECORD / CHUNK {
        let Some(Some(bytes)) = service.get_property_val(&n.to_string()) else { break };
        record.extend_from_slice(bytes);
    }
    Some(record).filter(|record| !record.is_empty() && record.len() <= MAX_RECORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_records_the_latest_are_remembered() {
        let inner = Inner {
            said: watch::Sender::new(Vec::new()),
            heard: Mutex::default(),
            changes: watch::Sender::new(0),
            floods: AtomicU64::new(0),
        };
        for n in 0..1000 {
            inner.hear(format!("name {n}"), vec![n as u8]);
        }
        assert_eq!(inner.heard().len(), MAX_HEARD);
        assert_eq!(inner.heard().back().map(|(name, _)| name.clone()), Some("name 999".into()));
        // Saying something else under the same name takes no second place.
        inner.hear("name 999".into(), vec![7]);
        assert_eq!(inner.heard().len(), MAX_HEARD);
        assert_eq!(*inner.changes.borrow(), 1001);
    }
}
