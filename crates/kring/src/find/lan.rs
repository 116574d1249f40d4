//! On the local network: what this side says, and whom it recognises in what others say.
//!
//! Guarantee: a record is believed only under a secret that whoever says it shares with this side, and then only as a place to try.

use super::{Counting, MAX_FOUND, held};
use crate::clock::wall;
use crate::dial::Place;
use crate::endpoint::{Common, relays};
use kring_core::find::{LanKey, LanRecord};
use kring_net::lan::{Lan, Said};
use kring_net::path::is_usable;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// How long somebody who is dialled is looked for. Who is there answers within half a second.
const SEEK: Duration = Duration::from_secs(5);
/// How often it is looked whether what is said still holds.
const LOOK: Duration = Duration::from_millis(500);
/// After so long the same is said in other bytes.
const ANEW: Duration = Duration::from_secs(3600);

/// Looks for whoever `keys` are for.
pub(super) async fn seek(
    lan: Arc<Lan>,
    keys: Vec<LanKey>,
    found: mpsc::Sender<Place>,
    counting: Arc<Counting>,
) {
    let until = Instant::now() + SEEK;
    let mut changes = lan.changes();
    let (mut judged, mut places): (Vec<Arc<[u8]>>, Vec<SocketAddr>) = Default::default();
    loop {
        changes.mark_unchanged();
        for bytes in lan.heard() {
            if judged.contains(&bytes) {
                continue;
            }
            judged.push(bytes.clone());
            let Ok(record) = LanRecord::decode(&bytes) else {
                counting.lan_ignored.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            if !keys.iter().any(|key| record.is_by(key)) {
                continue;
            }
            let new = record.addresses().iter().filter(|address| is_place(address));
            for address in new {
                if places.contains(address) || places.len() >= MAX_FOUND {
                    continue;
                }
                if places.is_empty() {
                    counting.lan_found.fetch_add(1, Ordering::Relaxed);
                }
                places.push(*address);
                if found.send(Place::At(*address)).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            changed = timeout_at(until, changes.changed()) => if !matches!(changed, Ok(Ok(()))) { return },
            () = found.closed() => return,
        }
    }
}

fn is_place(address: &SocketAddr) -> bool {
    is_usable(*address, false)
}

/// Says where this endpoint is, anew whenever that or whom it is for changes.
pub(super) async fn keep_saying(common: Weak<Common>) {
    let mut before = None;
    loop {
        {
            let Some(common) = common.upgrade() else { return };
            let Some(lan) = held(&common.finder.lan) else { return };
            let hosts: Vec<_> = common.net.hosts().into_iter().filter(is_place).collect();
            let hour = wall().0 / ANEW.as_secs();
            let now = Some((relays::version(&common), hosts, hour));
            if now != before {
                let (_, hosts, _) = now.as_ref().expect("made just now");
                lan.say(said(&common, hosts));
                before = now;
            }
        }
        sleep(LOOK).await;
    }
}

/// One record for each address, so that no network hears of this machine's addresses in others; none where there is nobody to be found by.
fn said(common: &Common, hosts: &[SocketAddr]) -> Vec<Said> {
    let own = common.identity.fingerprint();
    let keys: Vec<LanKey> = relays::audience(
        common,
        |ticket| Some(ticket.lan_key(&common.identity)),
        |secret| Some(secret.lan_key(&own)),
    );
    if keys.is_empty() {
        return Vec::new();
    }
    let said = |address: &SocketAddr| {
        let record = LanRecord::new(&keys, &[*address], &*common.provider).ok()?;
        Some(Said { record: record.encode(), address: *address })
    };
    hosts.iter().filter_map(said).collect()
}
