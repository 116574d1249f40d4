//! One identity on one socket: gives out tickets, dials, and takes calls.

use crate::call::{CallObject, kring_call};
use crate::error::{Failure, KRING_ERROR_RELAY, guard};
use crate::home::{HomeObject, kring_home};
use crate::list::{List, kring_list};
use crate::media::{self, kring_media};
use crate::runtime::{self, Freed};
use crate::store::{StoreObject, kring_store};
use crate::text::fixed;
use crate::ticket::KRING_TICKET_SIZE;
use crate::{handle, people, sized, text};
use kring::{DEFAULT_LIFETIME, Endpoint, Home, Passcode, Pin, Ticket, Timeouts};
use std::ffi::c_char;
use std::mem::offset_of;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use zeroize::Zeroizing;

/// One identity on one socket. Freeing it stops taking calls; calls that are under way go on.
pub type kring_endpoint = u64;

/// Lets nobody through but contacts, whatever ticket they hold.
pub const KRING_ENDPOINT_CONTACTS_ONLY: u32 = 1;
/// Has everybody who comes by a ticket wait until they are admitted (kring_endpoint_next_knock). Contacts ring at once.
pub const KRING_ENDPOINT_LOBBY: u32 = 2;
/// Takes from the store the identity only: tickets end with the endpoint, and there are no contacts.
pub const KRING_ENDPOINT_IDENTITY_ONLY: u32 = 4;
/// Calls go through relays only: the other side does not learn this side's addresses, which stand in no ticket either, nor is anybody
/// called at an address. Without a relay in the options nobody can call here.
pub const KRING_ENDPOINT_RELAY_ONLY: u32 = 8;

/// Settings of an endpoint; all zero is the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_endpoint_options {
    /// sizeof(kring_endpoint_options).
    pub struct_size: u32,
    /// A sum of KRING_ENDPOINT_ values.
    pub flags: u32,
    /// Address and port to listen at, such as `0.0.0.0:4433` or `[::]:0`. NULL: every IPv4 address, at a port that the system chooses.
    pub bind: *const c_char,
    /// Where the identity, tickets and contacts are kept; the identity is made if there is none. 0: an identity that lasts as long as the
    /// endpoint.
    pub store: kring_store,
    /// Where tickets and contacts are kept instead. 0: in the store; without one, tickets end with the endpoint, and there are no contacts.
    pub home: kring_home,
    /// How long it rings, in ms. 0: 60,000.
    pub ringing_ms: u32,
    /// How long nothing may be heard of a peer, in ms. 0: 30,000.
    pub vanished_ms: u32,
    /// A relay to listen at as well, such as `relay.example:4433#` and its pin, as the one who runs it gives it out. Tickets name it, so
    /// that calls come where no address of this machine is reached; it is trusted with nothing. NULL: none.
    pub relay: *const c_char,
}

sized::versioned!(kring_endpoint_options, offset_of!(kring_endpoint_options, relay));

/// What a `kring_endpoint` stands for.
pub(crate) struct EndpointObject {
    pub(crate) endpoint: Endpoint,
    pub(crate) freed: Freed,
    /// Incoming calls go to a callback.
    pub(crate) incoming_watched: AtomicBool,
    /// Knocks do.
    pub(crate) knocks_watched: AtomicBool,
}

impl EndpointObject {
    pub(crate) fn free(&self) {
        self.freed.set();
    }
}

fn get(endpoint: kring_endpoint) -> Result<Arc<EndpointObject>, Failure> {
    handle::get(endpoint)
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    let wrong = |_| Failure::argument(format!("expected an address such as \"0.0.0.0:4433\", got {text:?}"));
    text.parse().map_err(wrong)
}

/// Listens. `options` may be NULL. With a store or home this may take a disk's time.
///
/// KRING_ERROR_BIND if the address cannot be had; KRING_ERROR_STORE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_new(
    options: *const kring_endpoint_options,
    endpoint: *mut kring_endpoint,
) -> i32 {
    guard(|| {
        handle::check::<EndpointObject>(endpoint)?;
        let mut builder = Endpoint::builder();
        // SAFETY: the caller's promise.
        if let Some(options) = unsafe { sized::read_optional(options) }? {
            let known = KRING_ENDPOINT_CONTACTS_ONLY
                | KRING_ENDPOINT_LOBBY
                | KRING_ENDPOINT_IDENTITY_ONLY
                | KRING_ENDPOINT_RELAY_ONLY;
            if options.flags & !known != 0 {
                return Err(Failure::argument(format!("unknown flags: {:#x}", options.flags & !known)));
            }
            let has = |flag| options.flags & flag != 0;
            builder = builder
                .contacts_only(has(KRING_ENDPOINT_CONTACTS_ONLY))
                .lobby(has(KRING_ENDPOINT_LOBBY))
                .relay_only(has(KRING_ENDPOINT_RELAY_ONLY));
            // SAFETY: the caller's promise.
            if let Some(bind) = unsafe { text::get_optional(options.bind, "an address") }? {
                builder = builder.bind(address(bind)?);
            }
            // SAFETY: the caller's promise.
            if let Some(relay) = unsafe { text::get_optional(options.relay, "a relay's address") }? {
                builder = builder.relay(relay.parse()?);
            }
            if options.home != 0 {
                builder = builder.home(handle::get::<HomeObject>(options.home)?.0.clone());
            }
            if options.store != 0 {
                let store = handle::get::<StoreObject>(options.store)?;
                builder = builder.identity(kring::store::load_or_create_in(&store.0)?.0);
                if options.home == 0 && !has(KRING_ENDPOINT_IDENTITY_ONLY) {
                    builder = builder.home(Home::open(store.0.clone())?);
                }
            }
            let or = |ms: u32, default| if ms == 0 { default } else { Duration::from_millis(ms.into()) };
            let mut timeouts = Timeouts::default();
            timeouts.ringing = or(options.ringing_ms, timeouts.ringing);
            timeouts.vanished = or(options.vanished_ms, timeouts.vanished);
            builder = builder.timeouts(timeouts);
        }
        let runtime = runtime::runtime()?;
        let _within = runtime.enter();
        let object = EndpointObject {
            endpoint: builder.build()?,
            freed: Freed::default(),
            incoming_watched: AtomicBool::new(false),
            knocks_watched: AtomicBool::new(false),
        };
        // SAFETY: the caller's promise.
        unsafe { handle::write(endpoint, Arc::new(object)) }
    })
}

/// Ends all calls of the endpoint, tells the other sides, and waits (a second at most) until that is done. The handle stays until it is
/// freed.
#[unsafe(no_mangle)]
pub extern "C" fn kring_endpoint_close(endpoint: kring_endpoint) -> i32 {
    guard(|| {
        let object = get(endpoint)?;
        runtime::wait(object.endpoint.close(), -1)
    })
}

/// Lets go of the endpoint: it takes no calls any more, while calls that are under way go on.
#[unsafe(no_mangle)]
pub extern "C" fn kring_endpoint_free(endpoint: kring_endpoint) -> i32 {
    guard(|| {
        handle::take::<EndpointObject>(endpoint)?.free();
        Ok(())
    })
}

/// Waits until the relay of the options is reached, `timeout_ms` at most: negative is for ever, 0 only looks. Without one, that is at once.
///
/// KRING_ERROR_TIMEOUT; KRING_ERROR_RELAY if it is not reached, but is tried again and again all the same; KRING_ERROR_ENDED if the endpoint was
/// freed meanwhile.
#[unsafe(no_mangle)]
pub extern "C" fn kring_endpoint_wait_relay(endpoint: kring_endpoint, timeout_ms: i32) -> i32 {
    guard(|| {
        let object = get(endpoint)?;
        let reached = runtime::wait(object.freed.or(object.endpoint.relay_reached()), timeout_ms)?;
        let reached = reached.ok_or_else(|| Failure::ended("the endpoint"))?;
        reached.map_err(|error| Failure::new(KRING_ERROR_RELAY, error))
    })
}

/// Says that the network has changed, or that the machine has slept: calls look for other ways at once. What this machine's addresses tell
/// is noticed without it, within 200 ms.
#[unsafe(no_mangle)]
pub extern "C" fn kring_endpoint_network_changed(endpoint: kring_endpoint) -> i32 {
    guard(|| {
        get(endpoint)?.endpoint.network_changed();
        Ok(())
    })
}

/// Who somebody is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_identity {
    /// sizeof(kring_identity), set before the call.
    pub struct_size: u32,
    /// The identity's public half.
    pub identity: [u8; people::KRING_IDENTITY_SIZE],
    /// The same in short, for people: ten groups of four digits.
    pub fingerprint: [c_char; 64],
}

sized::versioned!(kring_identity, size_of::<kring_identity>());

/// Who this endpoint is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_identity(
    endpoint: kring_endpoint,
    identity: *mut kring_identity,
) -> i32 {
    guard(|| {
        let own = get(endpoint)?.endpoint.identity();
        let value = kring_identity {
            struct_size: size_of::<kring_identity>() as u32,
            identity: *own.as_bytes(),
            fingerprint: fixed(&own.fingerprint().to_string()),
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(identity, &value) }
    })
}

/// Where it listens: address and port.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_local_address(
    endpoint: kring_endpoint,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard(|| {
        let gone = |error| Failure::new(crate::error::KRING_ERROR_BIND, error);
        let address = get(endpoint)?.endpoint.local_addr().map_err(|error: std::io::Error| gone(error))?;
        // SAFETY: the caller's promise.
        unsafe { text::put(&address.to_string(), buffer, capacity, length) }
    })
}

/// The addresses under which others may reach it, as they go into tickets: a list for kring_list_text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_addresses(
    endpoint: kring_endpoint,
    addresses: *mut kring_list,
) -> i32 {
    guard(|| {
        let all = get(endpoint)?.endpoint.addresses().iter().map(ToString::to_string).collect();
        // SAFETY: the caller's promise.
        unsafe { handle::write(addresses, Arc::new(List::Texts(all))) }
    })
}

/// The ticket is good for one call: spent as soon as a caller with it has proven who that is.
pub const KRING_TICKET_ONE_CALL: u32 = 1;

/// What ticket to give out; all zero is the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_ticket_options {
    /// sizeof(kring_ticket_options).
    pub struct_size: u32,
    /// A sum of KRING_TICKET_ values.
    pub flags: u32,
    /// How long it holds, in s. 0: a day.
    pub lifetime_s: u64,
    /// Addresses with ports that the endpoint is reached at, say because a router forwards them. NULL: those of this machine.
    pub addresses: *const *const c_char,
    /// How many there are.
    pub address_count: usize,
    /// What a caller has to know beside the ticket; it takes some tenths of a second to set. NULL: nothing.
    pub passcode: *const c_char,
}

sized::versioned!(kring_ticket_options, size_of::<kring_ticket_options>());

/// Gives out a ticket, by which whoever holds its text can call this endpoint. `options` may be NULL; `capacity` is KRING_TICKET_SIZE at
/// least. It is saved, which may take 0.1 s.
///
/// KRING_ERROR_TICKET, say without any address; KRING_ERROR_STORE; KRING_ERROR_PASSCODE. Nothing is given out then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_ticket(
    endpoint: kring_endpoint,
    options: *const kring_ticket_options,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard(|| {
        let object = get(endpoint)?;
        if capacity < KRING_TICKET_SIZE {
            // SAFETY: the caller's promise. Not even the longest would do any harm then.
            return unsafe { text::put(&"x".repeat(KRING_TICKET_SIZE - 1), buffer, capacity, length) };
        }
        if buffer.is_null() {
            return Err(Failure::null("a buffer"));
        }
        let (mut lifetime, mut one_call, mut addresses, mut passcode) =
            (DEFAULT_LIFETIME, false, Vec::new(), None);
        // SAFETY: the caller's promise.
        if let Some(options) = unsafe { sized::read_optional(options) }? {
            if options.flags & !KRING_TICKET_ONE_CALL != 0 {
                return Err(Failure::argument(format!("unknown flags: {:#x}", options.flags)));
            }
            one_call = options.flags & KRING_TICKET_ONE_CALL != 0;
            if options.lifetime_s != 0 {
                lifetime = Duration::from_secs(options.lifetime_s);
            }
            // SAFETY: the caller's promise.
            for &one in unsafe { text::slice(options.addresses, options.address_count, "addresses") }? {
                // SAFETY: the caller's promise.
                addresses.push(address(unsafe { text::get(one, "an address") }?)?);
            }
            // SAFETY: the caller's promise.
            let code = unsafe { text::get_optional(options.passcode, "a passcode") }?;
            passcode = code.map(Passcode::new).transpose()?;
        }
        let endpoint = &object.endpoint;
        let ticket = match (one_call, addresses.is_empty()) {
            (false, true) => endpoint.ticket(lifetime),
            (true, true) => endpoint.ticket_for_one_call(lifetime),
            (false, false) => endpoint.ticket_for(&addresses, lifetime),
            (true, false) => {
                return Err(Failure::argument(
                    "a ticket for one call holds this machine's addresses: give none",
                ));
            }
        }?;
        if let Some(passcode) = passcode
            && let Err(error) = endpoint.home().set_passcode(ticket.id(), &passcode)
        {
            // It must not ring for those who know no passcode.
            let _ = endpoint.revoke(ticket.id());
            return Err(error.into());
        }
        // SAFETY: the caller's promise.
        unsafe { text::put(&Zeroizing::new(ticket.to_string()), buffer, capacity, length) }
    })
}

/// Where this endpoint's tickets and contacts are kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_home(endpoint: kring_endpoint, home: *mut kring_home) -> i32 {
    guard(|| {
        let found = get(endpoint)?.endpoint.home().clone();
        // SAFETY: the caller's promise.
        unsafe { handle::write(home, Arc::new(HomeObject(found))) }
    })
}

/// Keeps the other side of a call as a contact, during the call or after it; `identity` is 32 bytes from kring_call_peer. If they have kept
/// this side too, the two can call each other again without a ticket. Who is a contact already keeps the name.
///
/// KRING_ERROR_CONTACT if the name cannot be had or they are blocked; KRING_ERROR_STORE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_keep(
    endpoint: kring_endpoint,
    identity: *const u8,
    name: *const c_char,
) -> i32 {
    guard(|| {
        let object = get(endpoint)?;
        // SAFETY: the caller's promise.
        let (identity, name) = unsafe { (people::identity(identity)?, text::get(name, "a name")?) };
        Ok(object.endpoint.keep(&identity, name)?)
    })
}

fn start(
    endpoint: &EndpointObject,
    media: kring::Media,
    dial: impl FnOnce(&Endpoint, kring::Media) -> Result<kring::Call, Failure>,
) -> Result<Arc<CallObject>, Failure> {
    let runtime = runtime::runtime()?;
    let _within = runtime.enter();
    Ok(CallObject::new(dial(&endpoint.endpoint, media)?))
}

/// Dials the one who gave out `ticket`. The call begins at once and tells by its events how it goes on. `media` is used up, also if
/// this fails.
///
/// KRING_ERROR_TICKET if that is no ticket. One that has ended makes the call end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_dial(
    endpoint: kring_endpoint,
    ticket: *const c_char,
    media: kring_media,
    call: *mut kring_call,
) -> i32 {
    guard(|| {
        let media = media::take(media);
        handle::check::<CallObject>(call)?;
        let object = get(endpoint)?;
        // SAFETY: the caller's promise.
        let ticket: Ticket = unsafe { text::get(ticket, "a ticket") }?.parse()?;
        let dialled = start(&object, media?, |endpoint, media| Ok(endpoint.dial(&ticket, media)))?;
        // SAFETY: the caller's promise.
        unsafe { handle::write(call, dialled) }
    })
}

/// As kring_endpoint_dial, for somebody who is known: `identity` is 32 bytes, `verified` not 0 if a person has compared it. If somebody
/// else answers, the call is KRING_TRUST_KEY_CHANGED and has no media before a person has accepted that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_dial_expecting(
    endpoint: kring_endpoint,
    ticket: *const c_char,
    identity: *const u8,
    verified: u32,
    media: kring_media,
    call: *mut kring_call,
) -> i32 {
    guard(|| {
        let media = media::take(media);
        handle::check::<CallObject>(call)?;
        let object = get(endpoint)?;
        // SAFETY: the caller's promise.
        let ticket: Ticket = unsafe { text::get(ticket, "a ticket") }?.parse()?;
        // SAFETY: the caller's promise.
        let pin = Pin { identity: unsafe { people::identity(identity) }?, verified: verified != 0 };
        let dialled =
            start(&object, media?, |endpoint, media| Ok(endpoint.dial_expecting(&ticket, pin, media)))?;
        // SAFETY: the caller's promise.
        unsafe { handle::write(call, dialled) }
    })
}

/// Dials a contact by its name, where it was found last. `media` is used up, also if this fails.
///
/// KRING_ERROR_NOT_FOUND if there is none of that name, KRING_ERROR_CONTACT if they are blocked, KRING_ERROR_NO_SECRET if there is nothing
/// to call them with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_dial_contact(
    endpoint: kring_endpoint,
    name: *const c_char,
    media: kring_media,
    call: *mut kring_call,
) -> i32 {
    guard(|| {
        let media = media::take(media);
        handle::check::<CallObject>(call)?;
        let object = get(endpoint)?;
        // SAFETY: the caller's promise.
        let name = unsafe { text::get(name, "a name") }?;
        let dialled = start(&object, media?, |endpoint, media| Ok(endpoint.dial_contact(name, media)?))?;
        // SAFETY: the caller's promise.
        unsafe { handle::write(call, dialled) }
    })
}

/// Consents to answer the next caller, whoever holds a live ticket, with `media`, which is used up, also if this fails. The call waits
/// until somebody calls; freeing it takes the consent back. Further callers ring as ever.
///
/// That saves the caller a round trip: devices open, and what they take leaves, before it is proven who calls, readable for the device
/// that calls and nobody else. Do not use this where it matters who calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_answer_next(
    endpoint: kring_endpoint,
    media: kring_media,
    call: *mut kring_call,
) -> i32 {
    guard(|| {
        let media = media::take(media);
        handle::check::<CallObject>(call)?;
        let waiting = start(&*get(endpoint)?, media?, |endpoint, media| Ok(endpoint.answer_next(media)))?;
        // SAFETY: the caller's promise.
        unsafe { handle::write(call, waiting) }
    })
}

/// How many handshakes came to what.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_counters {
    /// sizeof(kring_counters), set before the call.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// First messages by no live ticket and no contact.
    pub unknown_hint: u64,
    /// Callers who have proven that they are somebody whom this side has blocked.
    pub blocked: u64,
    /// First messages seen before.
    pub replayed: u64,
    /// First messages from a clock that is off.
    pub clock: u64,
    /// Messages that did not open, were malformed or proved nothing.
    pub invalid: u64,
    /// Handshakes that came to a session.
    pub completed: u64,
}

sized::versioned!(kring_counters, size_of::<kring_counters>());

/// How many strangers and broken handshakes were dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_counters(
    endpoint: kring_endpoint,
    counters: *mut kring_counters,
) -> i32 {
    guard(|| {
        let counted = get(endpoint)?.endpoint.counters();
        let value = kring_counters {
            struct_size: size_of::<kring_counters>() as u32,
            reserved: 0,
            unknown_hint: counted.unknown_hint,
            blocked: counted.blocked,
            replayed: counted.replayed,
            clock: counted.clock,
            invalid: counted.invalid,
            completed: counted.completed,
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(counters, &value) }
    })
}
