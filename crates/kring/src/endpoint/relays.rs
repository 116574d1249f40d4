//! The relays of an endpoint: the one at which it listens, and those of whom it dials.
//!
//! Guarantee: it listens for the holders of live tickets and for contacts only, and stops when a ticket ends or is revoked, or a contact is
//! removed or blocked; the relay is told
//! mailboxes, which say nothing of who listens there.

use super::Common;
use crate::clock::wall;
use crate::home::Home;
use crate::store::{StoreError, StoreLock};
use kring_core::contact::{Contact, ContactKey};
use kring_core::issued::Issued;
use kring_core::mailbox::{RelayHint, mailbox_of, new_mailbox};
use kring_core::time::WallTime;
use kring_net::path::{Link, Station, StationError};
use kring_net::relay::{Pin, Reason, RelayAddress, RequestError};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::time::sleep;

/// Mailboxes of tickets, the latest, and of contacts' secrets, of those with whom one talked last; a relay takes 64 from one client.
const MAX_TICKETS: usize = 16;
const MAX_SECRETS: usize = 48;
/// Relays of others that are kept up.
const MAX_OTHERS: usize = 4;
/// How often it is looked whether tickets have come or gone.
const LOOK: Duration = Duration::from_millis(500);
/// Where nobody listens it is asked again so often, after so long: a ticket is listened for half a second after it was made, and whoever
/// made it may just be coming back to the relay.
const AGAIN: (usize, Duration) = (4, Duration::from_millis(400));

/// How long the last words to a relay have to leave.
const LEAVING: Duration = Duration::from_millis(20);

/// See the module.
pub(crate) struct Relays {
    own: Option<Station>,
    others: Mutex<Vec<Station>>,
    only: bool,
    /// What keeps other processes from listening for the same tickets and contacts: two would take each other's calls.
    turn: Mutex<Option<Option<StoreLock>>>,
}

impl Relays {
    pub(super) fn new(net: &kring_net::Endpoint, own: Option<RelayAddress>, only: bool) -> Relays {
        Relays {
            own: own.map(|relay| net.station(relay)),
            others: Mutex::default(),
            only,
            turn: Mutex::default(),
        }
    }

    /// Whether calls go through relays only.
    pub(crate) fn only(&self) -> bool {
        self.only
    }

    pub(super) fn own(&self) -> Option<&Station> {
        self.own.as_ref()
    }

    /// Whether it is this process that listens for what is kept in `home`; takes it up if nobody does.
    pub(super) fn is_our_turn(&self, home: &Home) -> Result<(), StoreError> {
        let mut turn = self.turn.lock().expect("nothing panics with this lock held");
        if turn.is_none() {
            *turn = Some(home.listen()?);
        }
        Ok(())
    }

    /// The relay, as a ticket that is given out now names it.
    pub(super) fn hint(&self, common: &Common, issued: WallTime, ends: WallTime) -> Option<RelayHint> {
        self.with_mailbox(new_mailbox(&common.identity, issued, ends))
    }

    /// The relay, as a contact is told of it who has that secret.
    pub(crate) fn hint_for(&self, common: &Common, key: &ContactKey) -> Option<RelayHint> {
        self.with_mailbox(mailbox_of(&key.mailbox_seed(&common.identity)?))
    }

    fn with_mailbox(&self, mailbox: [u8; 32]) -> Option<RelayHint> {
        let relay = self.own.as_ref()?.relay();
        let pin = relay.pin().map(|Pin(pin)| pin);
        let address = relay.clone().with_pin(None).to_string();
        // A name that is too long for a ticket serves nobody.
        RelayHint::new(&address, pin, mailbox).ok()
    }

    /// A session with whoever gave out a ticket that names `relay`.
    pub(crate) async fn dial(&self, net: &kring_net::Endpoint, relay: &RelayHint) -> Result<Link, String> {
        let address: RelayAddress = relay.address().parse().map_err(|error| format!("{error}"))?;
        let address = address.with_pin(relay.pin().copied().map(Pin));
        let station = self.station(net, &address);
        let mut again = AGAIN.0;
        loop {
            match station.dial(*relay.mailbox()).await {
                Err(StationError::Request(RequestError::Refused(refused)))
                    if again > 0 && refused.reason == Reason::NobodyThere => {}
                other => return other.map_err(|error| format!("through {}: {error}", relay.address())),
            }
            again -= 1;
            sleep(AGAIN.1).await;
        }
    }

    /// Has relays forget the sessions of calls that are over.
    pub(super) async fn release(&self) {
        let others = self.others.lock().expect("nothing panics with this lock held").clone();
        let mut any = false;
        for station in self.own.iter().chain(&others) {
            any |= station.release().await;
        }
        if any {
            // QUIC drops what has not left when a connection is closed.
            sleep(LEAVING).await;
        }
    }

    fn station(&self, net: &kring_net::Endpoint, relay: &RelayAddress) -> Station {
        if let Some(own) = self.own.as_ref().filter(|own| own.relay() == relay) {
            return own.clone();
        }
        let mut others = self.others.lock().expect("nothing panics with this lock held");
        if let Some(known) = others.iter().find(|station| station.relay() == relay) {
            return known.clone();
        }
        if others.len() == MAX_OTHERS {
            others.remove(0);
        }
        others.push(net.station(relay.clone()));
        others[others.len() - 1].clone()
    }
}

/// Listens for the holders of live tickets, and for contacts.
pub(super) fn listen(common: &Common) {
    let Some(own) = common.relays.own() else { return };
    if common.relays.is_our_turn(&common.home).is_err() {
        return;
    }
    let identity = &common.identity;
    own.listen(audience(common, |ticket| ticket.mailbox_seed(identity), |key| key.mailbox_seed(identity)));
}

/// What is to be had of the tickets and contacts' secrets by which this side may be called.
pub(crate) fn audience<T>(
    common: &Common,
    of_ticket: impl Fn(&Issued) -> Option<T>,
    of_secret: impl Fn(&ContactKey) -> Option<T>,
) -> Vec<T> {
    let now = wall();
    common.home.read(|book| {
        let live = book.tickets.iter().filter(|ticket| ticket.expires() > now);
        let mut all: Vec<T> = live.filter_map(of_ticket).collect();
        all.drain(..all.len().saturating_sub(MAX_TICKETS));
        let mut contacts: Vec<&Contact> = book.contacts.iter().collect();
        contacts.sort_by_key(|contact| Reverse(contact.last_call()));
        all.extend(contacts.into_iter().flat_map(Contact::keys).filter_map(of_secret).take(MAX_SECRETS));
        all
    })
}

/// Changes whenever whom this side may be called by does.
pub(crate) fn version(common: &Common) -> (u64, usize) {
    // The end of a ticket changes nothing in the list.
    let live = common.home.read(|book| {
        let now = wall();
        book.tickets.iter().filter(|ticket| ticket.expires() > now).count()
    });
    (common.home.version(), live)
}

/// Does so whenever tickets come or go, until the endpoint is gone.
pub(super) async fn keep_listening(common: Weak<Common>) {
    let (mut known, mut waits) = (None, false);
    loop {
        {
            let Some(common): Option<Arc<Common>> = common.upgrade() else { return };
            if common.relays.own().is_none() {
                return;
            }
            let turn = common.relays.is_our_turn(&common.home);
            if let (Err(error), false) = (&turn, waits) {
                tracing::warn!(%error, "nobody comes by the relay here");
            }
            waits = turn.is_err();
            // Another process may have given out a ticket.
            common.home.refresh();
            let version = Some((version(&common), waits));
            if version != known {
                known = version;
                listen(&common);
            }
        }
        sleep(LOOK).await;
    }
}
