//! By what a caller gets through: a ticket, or the secret that two contacts share.
//!
//! Guarantee: whoever is dropped for lack of one is dropped with symmetric cryptography only.

use crate::contact::{Contact, ContactKey, ContactKeyId, Contacts};
use crate::crypto::Secret32;
use crate::identity::{Fingerprint, PublicIdentity};
use crate::issued::{Issued, IssuedTickets};
use crate::ticket::{Ticket, TicketId};
use crate::time::WallTime;
use std::collections::HashSet;

/// What let a caller through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pass {
    /// A ticket that the callee gave out.
    Ticket(TicketId),
    /// A secret that the callee shares with this contact; nobody else gets through with it.
    Contact(PublicIdentity, ContactKeyId),
}

/// A pre-shared key, and the callee's Noise key that goes with it.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) pass: Pass,
    pub(crate) callee_noise: [u8; 32],
    pub(crate) psk0: Secret32,
    /// How many calls it comes after a ticket.
    pub(crate) generation: u64,
}

impl Key {
    /// To dial with a ticket.
    pub(crate) fn of_ticket(ticket: &Ticket) -> Key {
        let pass = Pass::Ticket(ticket.id());
        Key { pass, callee_noise: *ticket.noise(), psk0: ticket.psk0(), generation: 0 }
    }

    fn of_issued(ticket: &Issued) -> Key {
        let pass = Pass::Ticket(ticket.id());
        Key { pass, callee_noise: *ticket.noise(), psk0: ticket.psk0().clone(), generation: 0 }
    }

    /// To be dialled by a contact, or to dial one.
    pub(crate) fn of_contact(identity: PublicIdentity, key: &ContactKey, dialled_here: bool) -> Key {
        Key {
            pass: Pass::Contact(identity, key.id()),
            callee_noise: if dialled_here { *key.own_noise() } else { *key.peer_noise() },
            psk0: key.psk0().clone(),
            generation: key.generation(),
        }
    }
}

/// Who gets through now.
#[derive(Default)]
pub(super) struct Admitted {
    pub(super) keys: Vec<Admission>,
    blocked: HashSet<Fingerprint>,
    contacts_only: bool,
}

pub(super) struct Admission {
    pub(super) key: Key,
    expires: WallTime,
    one_use: bool,
    passcode: bool,
}

impl Admission {
    fn is_contact(&self) -> bool {
        matches!(self.key.pass, Pass::Contact(..))
    }
}

impl Admitted {
    pub(super) fn add(&mut self, ticket: &Ticket) {
        self.revoke(ticket.id());
        let key = Key::of_ticket(ticket);
        self.keys.push(Admission { key, expires: ticket.expires(), one_use: false, passcode: false });
    }

    pub(super) fn revoke(&mut self, id: TicketId) -> bool {
        let before = self.keys.len();
        self.keys.retain(|a| a.key.pass != Pass::Ticket(id));
        before != self.keys.len()
    }

    pub(super) fn set(&mut self, tickets: &IssuedTickets, contacts: &Contacts) {
        self.blocked = contacts.blocked().iter().map(|b| b.fingerprint).collect();
        let ticket = |t: &Issued| Admission {
            key: Key::of_issued(t),
            expires: t.expires(),
            one_use: t.one_use(),
            passcode: t.passcode(),
        };
        let of = |contact: &Contact| -> Vec<Admission> {
            let Some(identity) = contact.identity().filter(|id| !self.blocked.contains(&id.fingerprint()))
            else {
                return Vec::new();
            };
            let lasting = |key| {
                let key = Key::of_contact(identity, key, true);
                Admission { key, expires: WallTime(u64::MAX), one_use: false, passcode: false }
            };
            contact.keys().map(lasting).collect()
        };
        self.keys = tickets.iter().map(ticket).chain(contacts.iter().flat_map(of)).collect();
    }

    pub(super) fn set_contacts_only(&mut self, contacts_only: bool) {
        self.contacts_only = contacts_only;
    }

    /// Those who get through at `now`.
    pub(super) fn live(&mut self, now: WallTime) -> impl Iterator<Item = &Admission> {
        self.keys.retain(|a| a.expires > now);
        let contacts_only = self.contacts_only;
        self.keys.iter().filter(move |a| !contacts_only || a.is_contact())
    }

    /// A caller has proven itself: whether it still gets through. A ticket for one call is spent by this, but not by somebody who
    /// is blocked.
    pub(super) fn take(&mut self, pass: Pass, caller: &PublicIdentity) -> Verdict {
        let Some(at) = self.keys.iter().position(|a| a.key.pass == pass) else { return Verdict::Ended };
        if self.blocked.contains(&caller.fingerprint()) {
            return Verdict::Blocked;
        }
        if self.keys[at].one_use {
            self.keys.swap_remove(at);
        }
        Verdict::Welcome
    }

    /// Whether a caller may be answered before it is known who that is: a contact's secret says so already; else not where
    /// it could be somebody who is blocked, nor by a ticket that is good for one call, which a proof spends, or takes a passcode.
    pub(super) fn may_go_ahead(&self, pass: Pass) -> bool {
        let admission = self.keys.iter().find(|a| a.key.pass == pass);
        admission.is_some_and(|a| a.is_contact() || (!a.one_use && !a.passcode && self.blocked.is_empty()))
    }
}

/// What becomes of a caller who has proven itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    /// The ticket was spent or revoked since message 1.
    Ended,
    Blocked,
}
