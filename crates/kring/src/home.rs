//! What lasts beside the identity: the tickets that were given out, the contacts, and who is blocked.
//!
//! Guarantee: what other processes change in the same store is seen before the next caller gets through. A new secret
//! counts only once it is saved; what takes a right away (revoking, spending, removing, blocking) counts at once, saved or not.
//! What is damaged is never overwritten.

use crate::clock::wall;
use crate::store::{FileStore, Item, KeyStore, StoreError, StoreLock, StoreStamp};
use kring_core::KeptError;
use kring_core::contact::{Contact, ContactError, ContactKey, ContactKeyId, Contacts};
use kring_core::crypto::CryptoError;
use kring_core::identity::{Fingerprint, PublicIdentity};
use kring_core::issued::{Issued, IssuedTickets};
use kring_core::mailbox::RelayHint;
use kring_core::passcode::{Entry, Passcode, PasscodeBook, PasscodeKey};
use kring_core::ticket::{Ticket, TicketError, TicketId};
use kring_core::time::WallTime;
use kring_core::verify::Pin;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Why something about tickets or contacts could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// It could not be loaded or saved.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// About a contact.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// About a ticket.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// A passcode's key could not be made.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// There is no such ticket any more.
    #[error("there is no ticket {ticket} that holds")]
    NoTicket {
        /// Its name.
        ticket: TicketId,
    },
    /// There is nothing to call that contact with.
    #[error(
        "there is no secret to call \"{name}\" with: none was agreed on in a call, or it was forgotten; ask for a new ticket"
    )]
    NoSecret {
        /// The contact's name.
        name: String,
    },
}

/// A contact, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContactInfo {
    /// What this side calls them.
    pub name: String,
    /// Who they are, in short.
    pub fingerprint: Fingerprint,
    /// Who they are; `None` before the first call with somebody who was added by a ticket.
    pub identity: Option<PublicIdentity>,
    /// Whether a person has made sure of that.
    pub verified: bool,
    /// Since when they are a contact.
    pub since: WallTime,
    /// When the last call with them was answered.
    pub last_call: Option<WallTime>,
    /// Where they were found last.
    pub addresses: Vec<SocketAddr>,
    /// Whether they can be called: there is a secret, or a ticket that holds.
    pub callable: bool,
    /// Whether they are blocked.
    pub blocked: bool,
}

/// A ticket that was given out and still holds, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TicketInfo {
    /// Its name.
    pub id: TicketId,
    /// When it was given out.
    pub issued: WallTime,
    /// When it ends.
    pub expires: WallTime,
    /// Whether it is good for one call only.
    pub one_use: bool,
    /// Whether it rings only for somebody who knows a passcode.
    pub passcode: bool,
}

/// All lists.
#[derive(Clone, Default)]
pub(crate) struct Book {
    pub(crate) tickets: IssuedTickets,
    pub(crate) contacts: Contacts,
    pub(crate) passcodes: PasscodeBook,
}

/// Tickets and contacts, in a [`KeyStore`] or in memory. Clones are the same one; several processes may use one store.
///
/// ```
/// # fn main() -> Result<(), kring::HomeError> {
/// # let folder = tempfile::tempdir().unwrap();
/// let home = kring::Home::in_folder(folder.path())?;
/// for contact in home.contacts() {
///     println!("{} {}", contact.name, contact.fingerprint);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Home(Arc<Inner>);

struct Inner {
    store: Option<Box<dyn KeyStore>>,
    /// One change at a time; held while the disk works.
    changing: Mutex<()>,
    /// Held for microseconds.
    state: Mutex<State>,
    /// Counts changes, so that others notice them.
    version: AtomicU64,
}

#[derive(Default)]
struct State {
    book: Book,
    stamps: [Option<StoreStamp>; ITEMS.len()],
}

/// Whether a ticket takes a passcode.
pub(crate) enum Guarded {
    No,
    /// This one.
    By(PasscodeKey),
    /// Too often guessed, or nobody knows which: somebody has to let the caller in.
    Closed,
}

/// In the order in which they are saved.
const ITEMS: [Item; 3] = [Item::Passcodes, Item::Tickets, Item::Contacts];

/// What holds if a change cannot be saved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsaved {
    /// What was before.
    Dropped,
    /// The change all the same, until the end of the process.
    Holds,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics with this lock held")
}

impl Home {
    /// Everything in memory, and gone with it.
    #[must_use]
    pub fn in_memory() -> Home {
        Home::new(None)
    }

    /// Everything in files of `folder`, which is made when there is something to keep.
    ///
    /// # Errors
    /// As for [`open`](Home::open).
    pub fn in_folder(folder: impl Into<PathBuf>) -> Result<Home, HomeError> {
        Home::open(FileStore::new(folder))
    }

    /// Everything in `store`.
    ///
    /// # Errors
    /// [`HomeError::Store`] if what is there cannot be read; it stays as it is.
    pub fn open(store: impl KeyStore) -> Result<Home, HomeError> {
        let home = Home::new(Some(Box::new(store)));
        home.reload()?;
        Ok(home)
    }

    fn new(store: Option<Box<dyn KeyStore>>) -> Home {
        Home(Arc::new(Inner {
            store,
            changing: Mutex::default(),
            state: Mutex::default(),
            version: AtomicU64::new(1),
        }))
    }

    /// The contacts, in the order in which they were kept.
    #[must_use]
    pub fn contacts(&self) -> Vec<ContactInfo> {
        self.read(|book| book.contacts.iter().map(|c| info(c, &book.contacts)).collect())
    }

    /// The contact with that name, in whatever case.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn contact(&self, name: &str) -> Result<ContactInfo, ContactError> {
        self.read(|book| Ok(info(book.contacts.named(name)?, &book.contacts)))
    }

    /// The contact who is that.
    #[must_use]
    pub fn contact_of(&self, fingerprint: &Fingerprint) -> Option<ContactInfo> {
        self.read(|book| Some(info(book.contacts.of(fingerprint)?, &book.contacts)))
    }

    /// What is remembered of that identity, if it is a contact's.
    pub(crate) fn pin(&self, identity: &PublicIdentity) -> Option<Pin> {
        let contact = self.contact_of(&identity.fingerprint())?;
        Some(Pin { identity: *identity, verified: contact.verified })
    }

    /// Who is blocked, and since when.
    #[must_use]
    pub fn blocked(&self) -> Vec<(Fingerprint, WallTime)> {
        self.read(|book| book.contacts.blocked().iter().map(|b| (b.fingerprint, b.since)).collect())
    }

    /// The tickets that hold.
    #[must_use]
    pub fn tickets(&self) -> Vec<TicketInfo> {
        let now = wall();
        let of = |t: &Issued| TicketInfo {
            id: t.id(),
            issued: t.issued(),
            expires: t.expires(),
            one_use: t.one_use(),
            passcode: t.passcode(),
        };
        self.read(|book| book.tickets.iter().filter(|t| t.expires() > now).map(of).collect())
    }

    /// Keeps the one who gave out `ticket`, to be called by it.
    ///
    /// # Errors
    /// [`HomeError::Contact`] if the name cannot be had or they are blocked, [`HomeError::Ticket`] if the ticket has ended,
    /// [`HomeError::Store`].
    pub fn add_contact(&self, name: &str, ticket: &Ticket) -> Result<(), HomeError> {
        ticket.check(wall())?;
        self.change(Unsaved::Dropped, |book| Ok(book.contacts.add(name, ticket.clone(), wall())?))
    }

    /// Calls a contact something else.
    ///
    /// # Errors
    /// [`HomeError::Contact`], [`HomeError::Store`].
    pub fn rename_contact(&self, name: &str, new: &str) -> Result<(), HomeError> {
        self.change(Unsaved::Dropped, |book| Ok(book.contacts.rename(name, new)?))
    }

    /// Says whether a person has made sure that this contact is who they think.
    ///
    /// # Errors
    /// [`HomeError::Contact`], [`HomeError::Store`].
    pub fn set_verified(&self, name: &str, verified: bool) -> Result<(), HomeError> {
        self.change(Unsaved::Dropped, |book| Ok(book.contacts.set_verified(name, verified)?))
    }

    /// Forgets a contact and the secrets shared with them: without a ticket they do not get through any more, from now on.
    ///
    /// # Errors
    /// [`HomeError::Contact`], [`HomeError::Store`]: they are gone until the end of the process only.
    pub fn remove_contact(&self, name: &str) -> Result<(), HomeError> {
        self.change(Unsaved::Holds, |book| Ok(book.contacts.remove(name)?))
    }

    /// Lets that identity not get through any more, by whatever ticket. A call that is under way goes on.
    ///
    /// # Errors
    /// [`HomeError::Store`]: they are blocked until the end of the process only.
    pub fn block(&self, fingerprint: Fingerprint) -> Result<(), HomeError> {
        self.change(Unsaved::Holds, |book| {
            book.contacts.block(fingerprint, wall());
            Ok(())
        })
    }

    /// Lets that identity get through again, with a ticket; says whether it was blocked.
    ///
    /// # Errors
    /// [`HomeError::Store`].
    pub fn unblock(&self, fingerprint: &Fingerprint) -> Result<bool, HomeError> {
        self.change(Unsaved::Dropped, |book| Ok(book.contacts.unblock(fingerprint)))
    }

    /// Lets nobody through with that ticket any more; says whether it was live. Calls under way go on.
    ///
    /// # Errors
    /// [`HomeError::Store`]: it is revoked until the end of the process only.
    pub fn revoke(&self, ticket: TicketId) -> Result<bool, HomeError> {
        self.change(Unsaved::Holds, |book| Ok(book.tickets.revoke(ticket)))
    }

    /// Takes a new ticket into the list.
    pub(crate) fn issue(&self, ticket: &Ticket, one_use: bool, issued: WallTime) -> Result<(), HomeError> {
        self.change(Unsaved::Dropped, |book| {
            book.tickets.expire(wall());
            book.passcodes.expire(wall());
            book.tickets.add(ticket, one_use, issued);
            Ok(())
        })
    }

    /// Has a live ticket ring only for those who know `passcode` from now on, with all guesses before it forgotten. That goes
    /// for the other processes that use the same store as well. Takes some tenths of a second.
    ///
    /// # Errors
    /// [`HomeError::NoTicket`] if it has ended, [`HomeError::Crypto`] if there is no memory for it, [`HomeError::Store`]:
    /// nothing has changed then.
    pub fn set_passcode(&self, ticket: TicketId, passcode: &Passcode) -> Result<(), HomeError> {
        let key = passcode.key(ticket)?;
        self.change(Unsaved::Dropped, |book| {
            let expires = book.tickets.take_passcode(ticket).ok_or(HomeError::NoTicket { ticket })?;
            book.passcodes.set(ticket, expires, key);
            Ok(())
        })
    }

    /// What stands before a caller with that ticket.
    pub(crate) fn passcode(&self, ticket: TicketId, who: &Fingerprint) -> Guarded {
        self.read(|book| {
            if !book.tickets.iter().any(|t| t.id() == ticket && t.passcode()) {
                return Guarded::No;
            }
            let open = book.passcodes.get(ticket).filter(|entry| entry.is_open(who)).map(Entry::key).cloned();
            open.map_or(Guarded::Closed, Guarded::By)
        })
    }

    /// Counts a guess; says whether it may be answered, which takes that it is saved.
    pub(crate) fn guess(&self, ticket: TicketId, who: &Fingerprint) -> bool {
        let counted = self.change(Unsaved::Dropped, |book| Ok(book.passcodes.guess(ticket, who)));
        counted.unwrap_or_else(|error| {
            tracing::warn!(%error, "no passcode is taken, as it cannot be saved that somebody guesses");
            false
        })
    }

    /// Gives a guess back, which was right.
    pub(crate) fn refund(&self, ticket: TicketId, who: &Fingerprint) {
        let refunded = self.change(Unsaved::Holds, |book| {
            book.passcodes.refund(ticket, who);
            Ok(())
        });
        if let Err(error) = refunded {
            tracing::warn!(%error, "a right passcode stays counted as a guess");
        }
    }

    /// Whether a ticket is good for one call; `None` if it holds no more.
    pub(crate) fn one_use(&self, ticket: TicketId) -> Option<bool> {
        self.read(|book| book.tickets.iter().find(|t| t.id() == ticket).map(Issued::one_use))
    }

    /// Spends a ticket; true for one caller only, and only if that is saved.
    pub(crate) fn spend(&self, ticket: TicketId) -> Result<bool, HomeError> {
        self.revoke(ticket)
    }

    pub(crate) fn keep(
        &self,
        name: &str,
        identity: PublicIdentity,
        key: Option<ContactKey>,
        addresses: &[SocketAddr],
    ) -> Result<(), HomeError> {
        self.change(Unsaved::Dropped, |book| {
            Ok(book.contacts.keep(name, identity, key, addresses, wall())?)
        })
    }

    pub(crate) fn renewed(
        &self,
        identity: &PublicIdentity,
        key: ContactKey,
        addresses: &[SocketAddr],
    ) -> Result<(), HomeError> {
        self.change(Unsaved::Dropped, |book| {
            book.contacts.renewed(identity, Some(key), addresses, wall());
            Ok(())
        })
    }

    pub(crate) fn reached(
        &self,
        identity: &PublicIdentity,
        addresses: &[SocketAddr],
    ) -> Result<(), HomeError> {
        self.change(Unsaved::Dropped, |book| {
            book.contacts.reached(identity, addresses);
            Ok(())
        })
    }

    pub(crate) fn relayed(&self, identity: &PublicIdentity, relay: RelayHint) -> Result<(), HomeError> {
        self.change(Unsaved::Dropped, |book| {
            book.contacts.relayed(identity, relay);
            Ok(())
        })
    }

    pub(crate) fn used(&self, identity: &PublicIdentity, key: ContactKeyId) -> Result<(), HomeError> {
        self.change(Unsaved::Holds, |book| {
            book.contacts.used(identity, key);
            Ok(())
        })
    }

    /// Lets this process alone be called through a relay for what is kept here; see [`KeyStore::listen`].
    pub(crate) fn listen(&self) -> Result<Option<StoreLock>, StoreError> {
        self.0.store.as_ref().map(|store| store.listen()).transpose()
    }

    /// Counts what was changed so far.
    pub(crate) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    pub(crate) fn read<T>(&self, f: impl FnOnce(&Book) -> T) -> T {
        f(&lock(&self.0.state).book)
    }

    /// Takes over what other processes have saved. A file that cannot be read changes nothing.
    pub(crate) fn refresh(&self) {
        // A change that is under way does the same.
        if let Ok(_changing) = self.0.changing.try_lock()
            && let Err(error) = self.reload()
        {
            tracing::warn!(%error, "the list of tickets or contacts cannot be read any more; what was read before holds");
        }
    }

    /// Reads again what has a new stamp. Only while nothing changes.
    fn reload(&self) -> Result<(), StoreError> {
        let Some(store) = &self.0.store else { return Ok(()) };
        let known = lock(&self.0.state).stamps;
        let stamps = ITEMS.map(|item| store.stamp(item));
        // Without stamps nobody else changes anything: once is enough.
        let first = self.version() == 1;
        let news = |n: usize| first || stamps[n] != known[n];
        if !(0..ITEMS.len()).any(news) {
            return Ok(());
        }
        let damaged =
            |item| move |source: KeptError| StoreError::DamagedList { path: store.place(item), source };
        let tickets = match store.load(Item::Tickets)? {
            Some(bytes) => IssuedTickets::decode(&bytes).map_err(damaged(Item::Tickets))?,
            None => IssuedTickets::default(),
        };
        let contacts = match store.load(Item::Contacts)? {
            Some(bytes) => Contacts::decode(&bytes).map_err(damaged(Item::Contacts))?,
            None => Contacts::default(),
        };
        let passcodes = match store.load(Item::Passcodes)? {
            Some(bytes) => PasscodeBook::decode(&bytes).map_err(damaged(Item::Passcodes))?,
            None => PasscodeBook::default(),
        };
        self.install(Book { tickets, contacts, passcodes }, stamps);
        Ok(())
    }

    fn install(&self, book: Book, stamps: [Option<StoreStamp>; ITEMS.len()]) {
        *lock(&self.0.state) = State { book, stamps };
        self.0.version.fetch_add(1, Ordering::Release);
    }

    fn change<T>(
        &self,
        unsaved: Unsaved,
        change: impl FnOnce(&mut Book) -> Result<T, HomeError>,
    ) -> Result<T, HomeError> {
        let _changing = lock(&self.0.changing);
        let locked = match &self.0.store {
            Some(store) => store.lock().map(Some).and_then(|locked| self.reload().map(|()| locked)),
            None => Ok(None),
        };
        let (before, mut stamps) = {
            let state = lock(&self.0.state);
            (state.book.clone(), state.stamps)
        };
        let mut after = before.clone();
        let done = change(&mut after)?;
        let saved = locked.and_then(|_locked| self.save(&before, &after, &mut stamps));
        if saved.is_ok() || unsaved == Unsaved::Holds {
            self.install(after, stamps);
        }
        saved?;
        Ok(done)
    }

    fn save(
        &self,
        before: &Book,
        after: &Book,
        stamps: &mut [Option<StoreStamp>; ITEMS.len()],
    ) -> Result<(), StoreError> {
        let Some(store) = &self.0.store else { return Ok(()) };
        // Passcodes first: after a crash in between, no ticket takes one that is not known.
        let all = [
            (Item::Passcodes, before.passcodes.encode(), after.passcodes.encode()),
            (Item::Tickets, before.tickets.encode(), after.tickets.encode()),
            (Item::Contacts, before.contacts.encode(), after.contacts.encode()),
        ];
        for ((item, before, after), stamp) in all.into_iter().zip(stamps) {
            if before != after {
                store.save(item, &after)?;
                *stamp = store.stamp(item);
            }
        }
        Ok(())
    }
}

fn info(contact: &Contact, all: &Contacts) -> ContactInfo {
    let ticket = contact.ticket().is_some_and(|t| t.check(wall()).is_ok());
    ContactInfo {
        name: contact.name().into(),
        fingerprint: contact.fingerprint(),
        identity: contact.identity(),
        verified: contact.verified(),
        since: contact.since(),
        last_call: contact.last_call(),
        addresses: contact.addresses().to_vec(),
        callable: ticket || contact.keys().next().is_some(),
        blocked: all.is_blocked(&contact.fingerprint()),
    }
}
