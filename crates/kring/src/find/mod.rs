//! Being found, and finding those who are dialled, besides where tickets and contacts say: on the local network, in the DHT, and by a port that
//! the router forwards.
//!
//! Guarantee: nothing of it runs unless the app has switched it on, and nothing at all where calls go through relays only; what is found
//! is tried beside what is known, and a call never waits for it as long as anything else may work.

#[cfg(feature = "dht")]
mod dht;
#[cfg(feature = "lan")]
mod lan;

use crate::dial::Place;
use crate::endpoint::Common;
#[cfg(feature = "dht")]
use kring_core::find::DhtKey;
#[cfg(feature = "lan")]
use kring_core::find::LanKey;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Most places that are found for one dial.
const MAX_FOUND: usize = 4;

/// What an app has switched on.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    #[cfg(feature = "port-mapping")]
    pub(crate) port_mapping: bool,
    #[cfg(feature = "lan")]
    pub(crate) lan: bool,
    #[cfg(feature = "dht")]
    pub(crate) dht: bool,
    #[cfg(feature = "dht")]
    pub(crate) dht_nodes: Option<Vec<String>>,
}

/// What came of looking for others, since the endpoint began. What was ignored is no reason for alarm: anybody on the network can say anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finds {
    /// Dials for which somebody was found on the local network.
    pub lan_found: u64,
    /// Records on the local network that are none of Kring's.
    pub lan_ignored: u64,
    /// Times that the local network was not listened to for a minute, because somebody flooded it.
    pub lan_floods: u64,
    /// Values that were left in the DHT.
    pub dht_left: u64,
    /// Dials for which a relay was found in the DHT.
    pub dht_found: u64,
    /// Values in the DHT that were signed by whoever has the contact's secret, but are none.
    pub dht_ignored: u64,
}

/// The same while it counts.
#[derive(Default)]
struct Counting {
    lan_found: AtomicU64,
    lan_ignored: AtomicU64,
    dht_left: AtomicU64,
    dht_found: AtomicU64,
    dht_ignored: AtomicU64,
}

/// By what somebody who is dialled is recognised.
#[derive(Default)]
pub(crate) struct Sought {
    #[cfg(feature = "lan")]
    pub(crate) lan: Vec<LanKey>,
    #[cfg(feature = "dht")]
    pub(crate) dht: Vec<DhtKey>,
}

/// An endpoint's ways to find and to be found.
pub(crate) struct Finder {
    counting: Arc<Counting>,
    #[cfg(feature = "port-mapping")]
    mapping: std::sync::Mutex<Option<Arc<kring_net::mapping::Mapping>>>,
    #[cfg(feature = "lan")]
    lan: std::sync::Mutex<Option<Arc<kring_net::lan::Lan>>>,
    #[cfg(feature = "dht")]
    dht: Option<dht::Shelves>,
}

impl Finder {
    pub(crate) fn new(net: &kring_net::Endpoint, settings: Settings, relay_only: bool) -> Finder {
        let settings = if relay_only { Settings::default() } else { settings };
        #[cfg(not(feature = "port-mapping"))]
        let _ = net;
        #[cfg(not(any(feature = "port-mapping", feature = "lan", feature = "dht")))]
        let _ = settings;
        Finder {
            counting: Arc::default(),
            #[cfg(feature = "port-mapping")]
            mapping: std::sync::Mutex::new(settings.port_mapping.then(|| Arc::new(net.map_port()))),
            #[cfg(feature = "lan")]
            lan: std::sync::Mutex::new(settings.lan.then(|| Arc::new(kring_net::lan::Lan::new()))),
            #[cfg(feature = "dht")]
            dht: settings.dht.then(|| dht::Shelves::new(settings.dht_nodes)),
        }
    }

    /// Where a router forwards to this endpoint.
    pub(crate) fn mapped(&self) -> Option<SocketAddr> {
        #[cfg(feature = "port-mapping")]
        {
            held(&self.mapping)?.address()
        }
        #[cfg(not(feature = "port-mapping"))]
        {
            None
        }
    }

    #[cfg(feature = "port-mapping")]
    pub(crate) async fn port_mapped(&self) -> Result<Option<SocketAddr>, kring_net::mapping::MappingError> {
        match held(&self.mapping) {
            Some(mapping) => mapping.mapped().await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn finds(&self) -> Finds {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counting { lan_found, lan_ignored, dht_left, dht_found, dht_ignored } = &*self.counting;
        Finds {
            lan_found: read(lan_found),
            lan_ignored: read(lan_ignored),
            #[cfg(feature = "lan")]
            lan_floods: held(&self.lan).map_or(0, |lan| lan.floods()),
            #[cfg(not(feature = "lan"))]
            lan_floods: 0,
            dht_left: read(dht_left),
            dht_found: read(dht_found),
            dht_ignored: read(dht_ignored),
        }
    }

    /// Looks for somebody; what is found comes one by one, and the channel closes once there is nothing more to come.
    pub(crate) fn seek(&self, sought: Sought) -> mpsc::Receiver<Place> {
        let (found, places) = mpsc::channel(MAX_FOUND);
        #[cfg(feature = "lan")]
        if let Some(lan) = held(&self.lan).filter(|_| !sought.lan.is_empty()) {
            tokio::spawn(lan::seek(lan, sought.lan, found.clone(), self.counting.clone()));
        }
        #[cfg(feature = "dht")]
        if let Some(shelves) = self.dht.clone() {
            tokio::spawn(shelves.seek(sought.dht, found.clone(), self.counting.clone()));
        }
        #[cfg(not(any(feature = "lan", feature = "dht")))]
        drop(sought);
        drop(found);
        places
    }

    /// Is found no more, and looks for nobody.
    pub(crate) fn stop(&self) {
        #[cfg(feature = "port-mapping")]
        drop(taken(&self.mapping));
        #[cfg(feature = "lan")]
        drop(taken(&self.lan));
        #[cfg(feature = "dht")]
        if let Some(shelves) = &self.dht {
            shelves.stop();
        }
    }

    /// The same, and waits a second at most until the router has heard of it.
    pub(crate) async fn close(&self) {
        #[cfg(feature = "port-mapping")]
        if let Some(mapping) = taken(&self.mapping).and_then(Arc::into_inner) {
            mapping.close().await;
        }
        self.stop();
    }
}

#[cfg(any(feature = "port-mapping", feature = "lan"))]
fn held<T>(what: &std::sync::Mutex<Option<Arc<T>>>) -> Option<Arc<T>> {
    what.lock().expect("nothing panics with this lock held").clone()
}

#[cfg(any(feature = "port-mapping", feature = "lan"))]
fn taken<T>(what: &std::sync::Mutex<Option<Arc<T>>>) -> Option<Arc<T>> {
    what.lock().expect("nothing panics with this lock held").take()
}

/// Lets contacts and holders of tickets find this endpoint, until it is gone.
pub(crate) fn keep_findable(common: &Arc<Common>) {
    #[cfg(feature = "lan")]
    if held(&common.finder.lan).is_some() {
        tokio::spawn(lan::keep_saying(Arc::downgrade(common)));
    }
    #[cfg(feature = "dht")]
    if common.finder.dht.is_some() {
        tokio::spawn(dht::keep_leaving(Arc::downgrade(common)));
    }
    #[cfg(not(any(feature = "lan", feature = "dht")))]
    let _ = common;
}
