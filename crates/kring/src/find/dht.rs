//! In the DHT: what this side leaves there for each contact, and what it finds of those whom it dials.
//!
//! Guarantee: something is left for contacts only, under a place for each that changes daily; who is removed or blocked has nothing left for
//! them from then on. What does not open under the contact's secret is counted and passed over.

use super::Counting;
use crate::clock::wall;
use crate::dial::Place;
use crate::endpoint::{Common, relays};
use kring_core::contact::{ContactKey, ContactKeyId};
use kring_core::find::{DhtKey, days};
use kring_core::mailbox::RelayHint;
use kring_net::dht::Dht;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How long somebody who is dialled is looked for.
const SEEK: Duration = Duration::from_secs(10);
/// How often it is looked whether there is something to leave.
const LOOK: Duration = Duration::from_secs(2);
/// The DHT forgets after two hours (BEP 44), so the same is left again after one.
const AGAIN: Duration = Duration::from_secs(3600);
/// Whatever was not taken is offered again after so long.
const RETRY: Duration = Duration::from_secs(60);

/// This endpoint's access to the DHT, begun with the first use.
#[derive(Clone)]
pub(super) struct Shelves {
    nodes: Option<Arc<[String]>>,
    dht: Arc<OnceCell<Option<Dht>>>,
    stopped: Arc<AtomicBool>,
}

impl Shelves {
    pub(super) fn new(nodes: Option<Vec<String>>) -> Shelves {
        Shelves { nodes: nodes.map(Into::into), dht: Arc::default(), stopped: Arc::default() }
    }

    async fn dht(&self) -> Option<Dht> {
        let begin = || async {
            let nodes = self.nodes.clone();
            let begun = tokio::task::spawn_blocking(move || Dht::new(nodes.as_deref())).await;
            begun.ok().and_then(|dht| dht.inspect_err(|_| tracing::debug!("no socket for the DHT")).ok())
        };
        self.dht.get_or_init(begin).await.clone()
    }

    /// Nothing is left any more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Looks at all places at once.
    pub(super) async fn seek(self, keys: Vec<DhtKey>, found: mpsc::Sender<Place>, counting: Arc<Counting>) {
        let Some(dht) = (if keys.is_empty() { None } else { self.dht().await }) else { return };
        let mut looking = JoinSet::new();
        for key in keys {
            let dht = dht.clone();
            looking.spawn(async move {
                let value = dht.get(&key.place()).await?;
                Some(key.open(&value))
            });
        }
        let mut places: Vec<RelayHint> = Vec::new();
        let all = async {
            while let Some(looked) = looking.join_next().await {
                match looked.ok().flatten() {
                    Some(Ok(relay)) if !places.contains(&relay) => {
                        if places.is_empty() {
                            counting.dht_found.fetch_add(1, Ordering::Relaxed);
                        }
                        places.push(relay.clone());
                        if found.send(Place::Through(relay)).await.is_err() {
                            return;
                        }
                    }
                    Some(Err(_)) => {
                        tracing::debug!("something in the DHT is not what a contact leaves");
                        counting.dht_ignored.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(Ok(_)) | None => {}
                }
            }
        };
        tokio::select! {
            _ = timeout(SEEK, all) => {}
            () = found.closed() => {}
        }
    }
}

/// One secret's place of one day, and when it is filled again.
type Left = HashMap<(ContactKeyId, u64), Instant>;

/// Leaves for each contact at which relay this side waits, as long as the endpoint is there.
pub(super) async fn keep_leaving(common: Weak<Common>) {
    let mut left = Left::new();
    loop {
        sleep(LOOK).await;
        let Some((shelves, due)) =
            common.upgrade().map(|common| (common.finder.dht.clone(), due(&common, &mut left)))
        else {
            return;
        };
        let (Some(shelves), false) = (shelves, due.is_empty()) else { continue };
        let Some(dht) = shelves.dht().await else {
            sleep(RETRY).await;
            continue;
        };
        for (secret, day) in due {
            let Some(common) = common.upgrade().filter(|_| !shelves.stopped.load(Ordering::Relaxed)) else {
                return;
            };
            // Its contact may have been removed meanwhile.
            let Some(relay) = common.relays.hint_for(&common, &secret) else { continue };
            if !wanted(&common).contains(&(secret.id(), day)) {
                continue;
            }
            let key = secret.dht_key(&common.identity.fingerprint(), day);
            let Ok(value) = key.seal(&relay, &*common.provider) else { continue };
            let counting = common.finder.counting.clone();
            drop(common);
            let sequence = i64::try_from(wall().0).unwrap_or(i64::MAX);
            let again = match dht.put(key.seed(), &value, sequence).await {
                Ok(()) => {
                    counting.dht_left.fetch_add(1, Ordering::Relaxed);
                    AGAIN
                }
                Err(_) => {
                    tracing::debug!("the DHT did not take something");
                    RETRY
                }
            };
            left.insert((secret.id(), day), Instant::now() + again);
        }
    }
}

/// The secrets of all contacts.
fn secrets(common: &Common) -> Vec<ContactKey> {
    relays::audience(common, |_| None, |secret| Some(secret.clone()))
}

/// All places that are to be filled now.
fn wanted(common: &Common) -> Vec<(ContactKeyId, u64)> {
    let each = secrets(common).into_iter().map(|secret| secret.id());
    each.flat_map(|id| days(wall()).map(move |day| (id, day))).collect()
}

/// Those of them that are empty, or have to be filled again; what is not wanted any more is forgotten.
fn due(common: &Common, left: &mut Left) -> Vec<(ContactKey, u64)> {
    let wanted = wanted(common);
    left.retain(|place, _| wanted.contains(place));
    let now = Instant::now();
    let of = |secret: ContactKey| days(wall()).map(move |day| (secret.clone(), day)).collect::<Vec<_>>();
    let all = secrets(common).into_iter().filter(|secret| common.relays.hint_for(common, secret).is_some());
    all.flat_map(of)
        .filter(|(secret, day)| left.get(&(secret.id(), *day)).is_none_or(|again| *again <= now))
        .collect()
}
