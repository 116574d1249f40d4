//! What lasts beside the identity: tickets that were given out, contacts, and who is blocked.

use crate::error::{Failure, KRING_ERROR_NOT_FOUND, guard};
use crate::list::{List, kring_list};
use crate::people::KRING_IDENTITY_SIZE;
use crate::store::{StoreObject, kring_store};
use crate::text::fixed;
use crate::{handle, sized, text};
use kring::{ContactInfo, Fingerprint, Home, Passcode, Ticket, TicketInfo};
use std::ffi::c_char;
use std::sync::Arc;

/// Tickets and contacts. Several handles may be of the same; endpoints that use it go on when it is freed.
pub type kring_home = u64;

/// What a `kring_home` stands for.
pub(crate) struct HomeObject(pub(crate) Home);

/// A contact, without its secrets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_contact {
    /// sizeof(kring_contact), set before the call.
    pub struct_size: u32,
    /// 1 if `identity` is known: not before the first call with somebody who was added by a ticket.
    pub has_identity: u32,
    /// 1 if a person has made sure who they are.
    pub verified: u32,
    /// 1 if they can be called: there is a secret, or a ticket that holds.
    pub callable: u32,
    /// 1 if they are blocked.
    pub blocked: u32,
    /// 0.
    pub reserved: u32,
    /// Since when they are a contact, in seconds since 1970.
    pub since: u64,
    /// When the last call with them was answered; 0 for never.
    pub last_call: u64,
    /// Their identity's public half.
    pub identity: [u8; KRING_IDENTITY_SIZE],
    /// The same in short.
    pub fingerprint: [c_char; 64],
    /// What this side calls them.
    pub name: [c_char; 264],
}

sized::versioned!(kring_contact, size_of::<kring_contact>());

impl kring_contact {
    pub(crate) fn new(contact: &ContactInfo) -> kring_contact {
        kring_contact {
            struct_size: size_of::<kring_contact>() as u32,
            has_identity: contact.identity.is_some().into(),
            verified: contact.verified.into(),
            callable: contact.callable.into(),
            blocked: contact.blocked.into(),
            reserved: 0,
            since: contact.since.0,
            last_call: contact.last_call.map_or(0, |at| at.0),
            identity: contact.identity.map_or([0; KRING_IDENTITY_SIZE], |identity| *identity.as_bytes()),
            fingerprint: fixed(&contact.fingerprint.to_string()),
            name: fixed(&contact.name),
        }
    }
}

/// A ticket that was given out and still holds, without its secret.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_issued_ticket {
    /// sizeof(kring_issued_ticket), set before the call.
    pub struct_size: u32,
    /// 1 if it is good for one call only.
    pub one_call: u32,
    /// 1 if it rings only for somebody who knows a passcode.
    pub passcode: u32,
    /// 0.
    pub reserved: u32,
    /// When it was given out, in seconds since 1970.
    pub issued: u64,
    /// When it ends.
    pub expires: u64,
    /// Its name.
    pub id: [c_char; 24],
}

sized::versioned!(kring_issued_ticket, size_of::<kring_issued_ticket>());

impl kring_issued_ticket {
    pub(crate) fn new(ticket: &TicketInfo) -> kring_issued_ticket {
        kring_issued_ticket {
            struct_size: size_of::<kring_issued_ticket>() as u32,
            one_call: ticket.one_use.into(),
            passcode: ticket.passcode.into(),
            reserved: 0,
            issued: ticket.issued.0,
            expires: ticket.expires.0,
            id: fixed(&ticket.id.to_string()),
        }
    }
}

/// An identity that does not get through.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_blocked {
    /// sizeof(kring_blocked), set before the call.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Whose.
    pub fingerprint: [c_char; 64],
}

sized::versioned!(kring_blocked, size_of::<kring_blocked>());

impl kring_blocked {
    pub(crate) fn new((fingerprint, since): &(Fingerprint, u64)) -> kring_blocked {
        kring_blocked {
            struct_size: size_of::<kring_blocked>() as u32,
            reserved: 0,
            since: *since,
            fingerprint: fixed(&fingerprint.to_string()),
        }
    }
}

fn get(home: kring_home) -> Result<Home, Failure> {
    Ok(handle::get::<HomeObject>(home)?.0.clone())
}

/// Opens what is kept in `store`; 0 keeps everything in memory.
///
/// KRING_ERROR_STORE if what is there cannot be read; it stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_open(store: kring_store, home: *mut kring_home) -> i32 {
    guard(|| {
        handle::check::<HomeObject>(home)?;
        let opened = match store {
            0 => Home::in_memory(),
            store => Home::open(handle::get::<StoreObject>(store)?.0.clone())?,
        };
        // SAFETY: the caller's promise.
        unsafe { handle::write(home, Arc::new(HomeObject(opened))) }
    })
}

/// Lets go of it.
#[unsafe(no_mangle)]
pub extern "C" fn kring_home_free(home: kring_home) -> i32 {
    guard(|| handle::take::<HomeObject>(home).map(drop))
}

/// The contacts, in the order in which they were kept: a list for kring_list_contact.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_contacts(home: kring_home, contacts: *mut kring_list) -> i32 {
    guard(|| {
        let all = get(home)?.contacts();
        // SAFETY: the caller's promise.
        unsafe { handle::write(contacts, Arc::new(List::Contacts(all))) }
    })
}

/// The contact with that name, in whatever case.
///
/// KRING_ERROR_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_contact(
    home: kring_home,
    name: *const c_char,
    contact: *mut kring_contact,
) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        let found = home.contact(unsafe { text::get(name, "a name") }?)?;
        // SAFETY: the caller's promise.
        unsafe { sized::write(contact, &kring_contact::new(&found)) }
    })
}

/// The contact of that fingerprint.
///
/// KRING_ERROR_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_contact_of(
    home: kring_home,
    fingerprint: *const c_char,
    contact: *mut kring_contact,
) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        let fingerprint = unsafe { read_fingerprint(fingerprint) }?;
        let missing = || Failure::new(KRING_ERROR_NOT_FOUND, format!("no contact is {fingerprint}"));
        let found = home.contact_of(&fingerprint).ok_or_else(missing)?;
        // SAFETY: the caller's promise.
        unsafe { sized::write(contact, &kring_contact::new(&found)) }
    })
}

/// The tickets that hold: a list for kring_list_ticket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_tickets(home: kring_home, tickets: *mut kring_list) -> i32 {
    guard(|| {
        let all = get(home)?.tickets();
        // SAFETY: the caller's promise.
        unsafe { handle::write(tickets, Arc::new(List::Tickets(all))) }
    })
}

/// Who is blocked: a list for kring_list_blocked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_blocked(home: kring_home, blocked: *mut kring_list) -> i32 {
    guard(|| {
        let all = get(home)?.blocked().into_iter().map(|(who, since)| (who, since.0)).collect();
        // SAFETY: the caller's promise.
        unsafe { handle::write(blocked, Arc::new(List::Blocked(all))) }
    })
}

/// Checks whether a contact may be called that: 1 to 64 characters, none that steers a terminal, nothing that looks like a ticket.
///
/// KRING_ERROR_CONTACT if not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_check_contact_name(name: *const c_char) -> i32 {
    // SAFETY: the caller's promise.
    guard(|| Ok(kring::check_contact_name(unsafe { text::get(name, "a name") }?)?))
}

/// Keeps the one who gave out `ticket`, to be called by it.
///
/// KRING_ERROR_CONTACT if the name cannot be had or they are blocked; KRING_ERROR_TICKET; KRING_ERROR_STORE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_add_contact(
    home: kring_home,
    name: *const c_char,
    ticket: *const c_char,
) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        let (name, ticket) = unsafe { (text::get(name, "a name")?, text::get(ticket, "a ticket")?) };
        Ok(home.add_contact(name, &ticket.parse::<Ticket>()?)?)
    })
}

/// Calls a contact something else.
///
/// KRING_ERROR_NOT_FOUND; KRING_ERROR_CONTACT; KRING_ERROR_STORE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_rename_contact(
    home: kring_home,
    name: *const c_char,
    new_name: *const c_char,
) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        let (name, new_name) = unsafe { (text::get(name, "a name")?, text::get(new_name, "a name")?) };
        Ok(home.rename_contact(name, new_name)?)
    })
}

/// Says whether (not 0) or not (0) a person has made sure that this contact is who they think.
///
/// KRING_ERROR_NOT_FOUND; KRING_ERROR_STORE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_set_verified(
    home: kring_home,
    name: *const c_char,
    verified: u32,
) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        Ok(home.set_verified(unsafe { text::get(name, "a name") }?, verified != 0)?)
    })
}

/// Forgets a contact and the secrets shared with them: without a ticket they do not get through any more, from now on.
///
/// KRING_ERROR_NOT_FOUND; KRING_ERROR_STORE: they are gone until the end of the process only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_remove_contact(home: kring_home, name: *const c_char) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        Ok(home.remove_contact(unsafe { text::get(name, "a name") }?)?)
    })
}

/// A fingerprint as people write it.
unsafe fn read_fingerprint(text: *const c_char) -> Result<Fingerprint, Failure> {
    // SAFETY: the caller's promise.
    Ok(unsafe { text::get(text, "a fingerprint") }?.parse()?)
}

/// Lets that identity not get through any more, by whatever ticket. A call that is under way goes on.
///
/// KRING_ERROR_STORE: they are blocked until the end of the process only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_block(home: kring_home, fingerprint: *const c_char) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        Ok(home.block(unsafe { read_fingerprint(fingerprint) }?)?)
    })
}

/// Lets that identity get through again, with a ticket.
///
/// KRING_ERROR_NOT_FOUND if it was not blocked; KRING_ERROR_STORE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_unblock(home: kring_home, fingerprint: *const c_char) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        let fingerprint = unsafe { read_fingerprint(fingerprint) }?;
        if home.unblock(&fingerprint)? {
            Ok(())
        } else {
            Err(Failure::new(KRING_ERROR_NOT_FOUND, format!("{fingerprint} was not blocked")))
        }
    })
}

/// Lets nobody through with the ticket of that id any more. Calls under way go on.
///
/// KRING_ERROR_NOT_FOUND if it was not live; KRING_ERROR_STORE: it is revoked until the end of the process only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_revoke(home: kring_home, ticket_id: *const c_char) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        let id = unsafe { text::get(ticket_id, "a ticket's id") }?.parse()?;
        if home.revoke(id)? {
            Ok(())
        } else {
            Err(Failure::new(KRING_ERROR_NOT_FOUND, format!("there is no ticket {id} that holds")))
        }
    })
}

/// Has a live ticket ring only for those who know `passcode` from now on, with all guesses before it forgotten. Takes some tenths of a
/// second.
///
/// KRING_ERROR_NOT_FOUND if the ticket has ended; KRING_ERROR_PASSCODE; KRING_ERROR_STORE: nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_home_set_passcode(
    home: kring_home,
    ticket_id: *const c_char,
    passcode: *const c_char,
) -> i32 {
    guard(|| {
        let home = get(home)?;
        // SAFETY: the caller's promise.
        let (id, passcode) =
            unsafe { (text::get(ticket_id, "a ticket's id")?, text::get(passcode, "a passcode")?) };
        Ok(home.set_passcode(id.parse()?, &Passcode::new(passcode)?)?)
    })
}
