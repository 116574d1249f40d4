//! The people whom this side knows: contacts, and those whom it has blocked.
//!
//! Guarantee: a contact is one identity for good, and no two have one name, so that nobody takes a contact's place. Two
//! who keep each other can call each other whatever crash happened in between: a secret is forgotten only once a handshake
//! got through with one of a later generation, so that both always have one in common.

mod file;
mod key;
mod message;
#[cfg(all(test, feature = "aws-lc"))]
mod tests;

pub use key::{ContactKey, ContactKeyId};
pub(crate) use message::{ContactOffer, decode_reach, encode_reach};

use crate::address::MAX_ADDRESSES;
use crate::identity::{Fingerprint, PublicIdentity};
use crate::mailbox::RelayHint;
use crate::offer::{MAX_NAME, steers};
use crate::ticket::Ticket;
use crate::time::WallTime;
use std::net::SocketAddr;

/// Most contacts of one person.
pub const MAX_CONTACTS: usize = 512;
/// Most identities that are blocked.
pub const MAX_BLOCKED: usize = 1024;
/// Most generations of one contact's secret: the one that was used, and those of calls after which something crashed.
const MAX_KEYS: usize = 4;

/// Somebody whom this side has kept.
#[derive(Clone)]
pub struct Contact {
    name: String,
    fingerprint: Fingerprint,
    /// Known from the first call on.
    identity: Option<PublicIdentity>,
    verified: bool,
    since: WallTime,
    last_call: Option<WallTime>,
    /// The latest generation first.
    keys: Vec<ContactKey>,
    addresses: Vec<SocketAddr>,
    /// Where they wait besides.
    relay: Option<RelayHint>,
    /// For the first call.
    ticket: Option<Ticket>,
}

impl Contact {
    fn new(name: &str, fingerprint: Fingerprint, now: WallTime) -> Contact {
        Contact {
            name: name.into(),
            fingerprint,
            identity: None,
            verified: false,
            since: now,
            last_call: None,
            keys: Vec::new(),
            addresses: Vec::new(),
            relay: None,
            ticket: None,
        }
    }

    /// What this side calls them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who they are, in short.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Who they are; `None` until the first call with somebody who was added by a ticket.
    #[must_use]
    pub fn identity(&self) -> Option<PublicIdentity> {
        self.identity
    }

    /// Whether a person has said that this is who they think.
    #[must_use]
    pub fn verified(&self) -> bool {
        self.verified
    }

    /// Since when they are a contact.
    #[must_use]
    pub fn since(&self) -> WallTime {
        self.since
    }

    /// When the last call with them was answered.
    #[must_use]
    pub fn last_call(&self) -> Option<WallTime> {
        self.last_call
    }

    /// Where they were found last, the most promising first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The relay where they wait for this side, if they have told one, or their ticket has.
    #[must_use]
    pub fn relay(&self) -> Option<&RelayHint> {
        self.relay.as_ref()
    }

    /// The ticket by which they were added, until there is something better.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    /// All generations of the secret, the latest first. Any of them lets the contact through; to call them, one tries them in
    /// this order, for after a crash they may lack the latest.
    pub fn keys(&self) -> impl Iterator<Item = &ContactKey> {
        self.keys.iter()
    }

    fn reached(&mut self, addresses: &[SocketAddr]) {
        let before = std::mem::take(&mut self.addresses);
        for address in addresses.iter().chain(&before) {
            if !self.addresses.contains(address) && self.addresses.len() < MAX_ADDRESSES {
                self.addresses.push(*address);
            }
        }
    }

    fn renewed(&mut self, key: ContactKey) {
        if self.keys.iter().any(|k| k.id() == key.id()) {
            return;
        }
        let at = self.keys.iter().position(|k| k.generation <= key.generation).unwrap_or(self.keys.len());
        self.keys.insert(at, key);
        if self.keys.len() > MAX_KEYS {
            let unused = self.keys.iter().rposition(|k| !k.used);
            self.keys.remove(unused.unwrap_or(MAX_KEYS));
        }
    }

    fn used(&mut self, id: ContactKeyId) {
        let Some(key) = self.keys.iter_mut().find(|k| k.id() == id) else { return };
        key.used = true;
        let generation = key.generation;
        self.keys.retain(|k| k.generation >= generation);
        self.ticket = None;
    }
}

/// An identity that does not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Whose.
    pub fingerprint: Fingerprint,
    /// Since when.
    pub since: WallTime,
}

/// All contacts, and all who are blocked.
#[derive(Clone, Default)]
pub struct Contacts {
    list: Vec<Contact>,
    blocked: Vec<Blocked>,
}

impl Contacts {
    /// The contacts, in the order in which they were kept.
    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.list.iter()
    }

    /// Who is blocked.
    #[must_use]
    pub fn blocked(&self) -> &[Blocked] {
        &self.blocked
    }

    /// Whether that identity is blocked.
    #[must_use]
    pub fn is_blocked(&self, fingerprint: &Fingerprint) -> bool {
        self.blocked.iter().any(|b| b.fingerprint == *fingerprint)
    }

    /// The contact of that name, in whatever case.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn named(&self, name: &str) -> Result<&Contact, ContactError> {
        self.list
            .iter()
            .find(|c| same(&c.name, name))
            .ok_or_else(|| ContactError::Unknown { name: name.into() })
    }

    /// The contact with that fingerprint.
    #[must_use]
    pub fn of(&self, fingerprint: &Fingerprint) -> Option<&Contact> {
        self.list.iter().find(|c| c.fingerprint == *fingerprint)
    }

    fn of_mut(&mut self, fingerprint: &Fingerprint) -> Option<&mut Contact> {
        self.list.iter_mut().find(|c| c.fingerprint == *fingerprint)
    }

    /// Keeps the one who gave out `ticket`, to be called by it.
    ///
    /// # Errors
    /// A [`ContactError`], and nothing has changed: the name cannot be had, there are too many, or they are blocked. Who is
    /// a contact already gets the ticket and keeps the name.
    pub fn add(&mut self, name: &str, ticket: Ticket, now: WallTime) -> Result<(), ContactError> {
        let contact = self.place(name, ticket.fingerprint(), now)?;
        contact.addresses.clear();
        contact.reached(ticket.addresses());
        contact.relay = ticket.relay().cloned();
        contact.ticket = Some(ticket);
        Ok(())
    }

    /// Keeps somebody with whom this side is or was in a call.
    ///
    /// # Errors
    /// As for [`add`](Contacts::add).
    pub fn keep(
        &mut self,
        name: &str,
        identity: PublicIdentity,
        key: Option<ContactKey>,
        addresses: &[SocketAddr],
        now: WallTime,
    ) -> Result<(), ContactError> {
        self.place(name, identity.fingerprint(), now)?;
        self.renewed(&identity, key, addresses, now);
        Ok(())
    }

    fn place(
        &mut self,
        name: &str,
        fingerprint: Fingerprint,
        now: WallTime,
    ) -> Result<&mut Contact, ContactError> {
        if self.is_blocked(&fingerprint) {
            return Err(ContactError::Blocked { fingerprint });
        }
        if self.of(&fingerprint).is_none() {
            self.free(name)?;
            if self.list.len() >= MAX_CONTACTS {
                return Err(ContactError::Full);
            }
            self.list.push(Contact::new(name, fingerprint, now));
        }
        Ok(self.of_mut(&fingerprint).expect("put there just now"))
    }

    fn free(&self, name: &str) -> Result<(), ContactError> {
        check_name(name)?;
        match self.named(name) {
            Ok(taken) => Err(ContactError::Taken { name: name.into(), by: taken.fingerprint }),
            Err(_) => Ok(()),
        }
    }

    /// A call with a contact was answered: its new secret, and where they are. Says whether they are a contact; without
    /// effect else.
    pub fn renewed(
        &mut self,
        identity: &PublicIdentity,
        key: Option<ContactKey>,
        addresses: &[SocketAddr],
        now: WallTime,
    ) -> bool {
        let blocked = self.is_blocked(&identity.fingerprint());
        let Some(contact) = self.of_mut(&identity.fingerprint()) else { return false };
        contact.identity = Some(*identity);
        contact.last_call = Some(now);
        if let Some(key) = key.filter(|_| !blocked) {
            contact.renewed(key);
        }
        contact.reached(addresses);
        true
    }

    /// Where a contact can be reached from now on, the most promising first; those known before come behind.
    pub fn reached(&mut self, identity: &PublicIdentity, addresses: &[SocketAddr]) {
        if let Some(contact) = self.of_mut(&identity.fingerprint()) {
            contact.reached(addresses);
        }
    }

    /// Where a contact waits for this side besides, from now on; without effect for anybody else.
    pub fn relayed(&mut self, identity: &PublicIdentity, relay: RelayHint) {
        if let Some(contact) = self.of_mut(&identity.fingerprint()) {
            contact.relay = Some(relay);
        }
    }

    /// A handshake got through with that secret: those of earlier generations are forgotten, and so is the ticket.
    pub fn used(&mut self, identity: &PublicIdentity, key: ContactKeyId) {
        if let Some(contact) = self.of_mut(&identity.fingerprint()) {
            contact.used(key);
        }
    }

    /// Says whether a person has made sure who this is.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn set_verified(&mut self, name: &str, verified: bool) -> Result<(), ContactError> {
        let fingerprint = self.named(name)?.fingerprint;
        self.of_mut(&fingerprint).expect("found just now").verified = verified;
        Ok(())
    }

    /// Calls a contact something else.
    ///
    /// # Errors
    /// [`ContactError::Unknown`], or the new name cannot be had.
    pub fn rename(&mut self, name: &str, new: &str) -> Result<(), ContactError> {
        let fingerprint = self.named(name)?.fingerprint;
        // Another case of one's own name is free.
        if !same(name, new) {
            self.free(new)?;
        }
        check_name(new)?;
        self.of_mut(&fingerprint).expect("found just now").name = new.into();
        Ok(())
    }

    /// Forgets a contact, and the secrets with it: without a ticket they do not get through any more.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn remove(&mut self, name: &str) -> Result<(), ContactError> {
        let fingerprint = self.named(name)?.fingerprint;
        self.list.retain(|c| c.fingerprint != fingerprint);
        Ok(())
    }

    /// Lets that identity not through any more, by whatever ticket. A contact keeps its name, and loses the secrets.
    /// Beyond [`MAX_BLOCKED`] the oldest entry goes.
    pub fn block(&mut self, fingerprint: Fingerprint, now: WallTime) {
        if let Some(contact) = self.of_mut(&fingerprint) {
            contact.keys.clear();
            contact.ticket = None;
        }
        if !self.is_blocked(&fingerprint) {
            if self.blocked.len() >= MAX_BLOCKED {
                self.blocked.remove(0);
            }
            self.blocked.push(Blocked { fingerprint, since: now });
        }
    }

    /// Lets that identity through again, with a ticket; says whether it was blocked.
    pub fn unblock(&mut self, fingerprint: &Fingerprint) -> bool {
        let before = self.blocked.len();
        self.blocked.retain(|b| b.fingerprint != *fingerprint);
        before != self.blocked.len()
    }
}

/// Names are compared without regard to the case of letters, so that no two look alike that much.
fn same(a: &str, b: &str) -> bool {
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

/// Checks that `name` can be a contact's: 1 to 64 characters, no blank at either end, none that steers a terminal, and
/// nothing that a command line takes for a ticket, a file or an option.
///
/// # Errors
/// [`ContactError::Name`].
pub fn check_name(name: &str) -> Result<(), ContactError> {
    let ticket = name.get(..5).is_some_and(|p| p.eq_ignore_ascii_case("kring"))
        && name[5..].starts_with(|c: char| c.is_ascii_digit());
    let why = match name {
        "" => "it is empty",
        _ if name.chars().count() > MAX_NAME => "it has more than 64 characters",
        _ if name.chars().any(steers) => "it holds a character that steers a terminal",
        _ if name.trim() != name => "it begins or ends with a blank",
        _ if name.starts_with(['@', '-']) => "it begins with @ or -",
        _ if ticket => "it looks like a ticket",
        _ => return Ok(()),
    };
    Err(ContactError::Name { why })
}

/// Why a contact could not be kept, found or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContactError {
    /// That cannot be a name.
    #[error("expected a name for a contact, but {why}; choose another")]
    Name {
        /// Why not.
        why: &'static str,
    },
    /// Somebody else has that name.
    #[error("the name \"{name}\" is that of {by}; choose another, or rename that contact first")]
    Taken {
        /// The name.
        name: String,
        /// Who has it.
        by: Fingerprint,
    },
    /// Nobody has that name.
    #[error("no contact is called \"{name}\"")]
    Unknown {
        /// The name.
        name: String,
    },
    /// That identity is blocked.
    #[error("{fingerprint} is blocked; unblock them first")]
    Blocked {
        /// Which.
        fingerprint: Fingerprint,
    },
    /// There are [`MAX_CONTACTS`].
    #[error("there are {MAX_CONTACTS} contacts, which is the most; remove one first")]
    Full,
}
