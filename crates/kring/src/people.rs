//! What a call means for those who want to call again: the secret that both agree on in it, and where they are.
//!
//! Guarantee: nothing is offered or told before the call is answered and the peer proven; addresses of this side go to its
//! own contacts only. Of those who are no contacts at most [`MAX_MET`] are remembered, in memory.

use crate::endpoint::Common;
use crate::event::Event;
use crate::home::{Home, HomeError};
use crate::shared::Shared;
use kring_core::contact::ContactKey;
use kring_core::handshake::Pass;
use kring_core::identity::PublicIdentity;
use kring_core::mailbox::RelayHint;
use kring_net::path::is_name;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Most people who are remembered so that they can be kept after the call.
const MAX_MET: usize = 16;

/// Somebody with whom this side was in a call.
#[derive(Clone)]
pub(crate) struct Met {
    identity: PublicIdentity,
    pub(crate) key: ContactKey,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) relay: Option<RelayHint>,
}

/// Those of an endpoint's calls who are no contacts, the latest last.
#[derive(Default)]
pub(crate) struct Acquaintances(Mutex<VecDeque<Met>>);

impl Acquaintances {
    fn with<T>(&self, f: impl FnOnce(&mut VecDeque<Met>) -> T) -> T {
        f(&mut self.0.lock().expect("nothing panics with this lock held"))
    }

    fn add(&self, met: Met) {
        self.with(|all| {
            all.retain(|m| m.identity != met.identity);
            if all.len() == MAX_MET {
                all.pop_front();
            }
            all.push_back(met);
        });
    }

    fn reached(&self, identity: &PublicIdentity, addresses: &[SocketAddr]) {
        self.with(|all| {
            if let Some(met) = all.iter_mut().find(|m| m.identity == *identity) {
                met.addresses.extend_from_slice(addresses);
            }
        });
    }

    fn relayed(&self, identity: &PublicIdentity, relay: &RelayHint) {
        self.with(|all| {
            if let Some(met) = all.iter_mut().find(|m| m.identity == *identity) {
                met.relay = Some(relay.clone());
            }
        });
    }

    pub(crate) fn get(&self, identity: &PublicIdentity) -> Option<Met> {
        self.with(|all| all.iter().find(|m| m.identity == *identity).cloned())
    }

    pub(crate) fn forget(&self, identity: &PublicIdentity) {
        self.with(|all| all.retain(|m| m.identity != *identity));
    }
}

/// The part of one call's driver that deals with who is on the other side.
pub(crate) struct People {
    common: Arc<Common>,
    shared: Arc<Shared>,
    from: Option<SocketAddr>,
    saving: Vec<JoinHandle<()>>,
}

impl People {
    /// For a call of an endpoint whose app wants contacts.
    pub(crate) fn new(common: &Arc<Common>, shared: &Arc<Shared>, from: SocketAddr) -> Option<People> {
        // What stands for an address is no place to call.
        let from = Some(from).filter(|from| !is_name(from));
        let (common, shared) = (common.clone(), shared.clone());
        common.offers_contacts.then(|| People { common, shared, from, saving: Vec::new() })
    }

    fn peer(&self) -> Option<PublicIdentity> {
        self.shared.core(|call| call.peer()).flatten()
    }

    /// The call is answered, and it is known who the other side is.
    pub(crate) fn connected(&mut self) {
        let Some(peer) = self.peer() else { return };
        if let Some(Pass::Contact(_, key)) = self.shared.core(|call| call.pass()) {
            self.save(move |home| home.used(&peer, key));
        }
        let home = &self.common.home;
        if home.read(|book| book.contacts.is_blocked(&peer.fingerprint())) {
            return;
        }
        let addresses = home.contact_of(&peer.fingerprint()).map(|_| self.common.addresses());
        let addresses = addresses.filter(|_| !self.common.relays.only());
        let offered = self.shared.core(|call| {
            let offered = call.offer_contact(&self.common.identity);
            if let Some(addresses) = addresses {
                call.tell_addresses(&addresses);
            }
            offered
        });
        if let Some(Err(error)) = offered {
            tracing::warn!(%error, "no new secret for the next call");
        }
    }

    /// Both sides have agreed on a secret.
    pub(crate) fn agreed(&mut self) {
        let key = self.shared.core(|call| call.take_contact_key()).flatten();
        let (Some(peer), Some(key)) = (self.peer(), key) else { return };
        let contact = || self.common.home.contact_of(&peer.fingerprint());
        let known = contact().or_else(|| {
            self.common.met.add(Met {
                identity: peer,
                key: key.clone(),
                addresses: self.from.into_iter().collect(),
                relay: None,
            });
            // Somebody kept in this very moment would not find it there.
            contact()
        });
        let Some(contact) = known else {
            return self.shared.events.push(Event::Acquainted { contact: None });
        };
        // Where this side waits is for its own contacts, as its addresses are.
        if let Some(hint) = self.common.relays.hint_for(&self.common, &key) {
            self.shared.core(|call| call.tell_relay(&hint));
        }
        let (from, shared) = (self.from, self.shared.clone());
        self.save(move |home| {
            home.renewed(&peer, key, from.as_slice())?;
            shared.events.push(Event::Acquainted { contact: Some(contact.name) });
            Ok(())
        });
    }

    /// The other side says where it can be reached.
    pub(crate) fn reached(&mut self, addresses: Vec<SocketAddr>) {
        let Some(peer) = self.peer() else { return };
        self.common.met.reached(&peer, &addresses);
        self.save(move |home| home.reached(&peer, &addresses));
    }

    /// The other side says at which relay it waits.
    pub(crate) fn relayed(&mut self, relay: RelayHint) {
        let Some(peer) = self.peer() else { return };
        self.common.met.relayed(&peer, &relay);
        self.save(move |home| home.relayed(&peer, relay));
    }

    /// Writes on a thread where waiting for the disk harms nobody.
    fn save(&mut self, what: impl FnOnce(&Home) -> Result<(), HomeError> + Send + 'static) {
        let home = self.common.home.clone();
        self.saving.retain(|saving| !saving.is_finished());
        self.saving.push(tokio::task::spawn_blocking(move || {
            if let Err(error) = what(&home) {
                tracing::warn!(%error, "what this call changes about a contact was not saved");
            }
        }));
    }

    /// Waits until all is saved.
    pub(crate) async fn finish(self) {
        for saving in self.saving {
            let _ = saving.await;
        }
    }
}
