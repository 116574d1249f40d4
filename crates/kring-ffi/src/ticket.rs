//! Tickets that came from others, looked at before they are dialled.

use crate::error::guard;
use crate::text::fixed;
use crate::{sized, text};
use kring::Ticket;
use std::ffi::c_char;
use std::mem::offset_of;
use zeroize::Zeroizing;

/// Room for the text of any ticket, its NUL included.
pub const KRING_TICKET_SIZE: usize = 1025;

/// What a ticket says.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_ticket {
    /// sizeof(kring_ticket), set before the call.
    pub struct_size: u32,
    /// How many addresses it holds.
    pub addresses: u32,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
    /// Names it in lists, says nothing about its secret.
    pub id: [c_char; 24],
    /// Whom one reaches with it.
    pub fingerprint: [c_char; 64],
    /// The relay at which they are reached as well: host and port; "" for none.
    pub relay: [c_char; 272],
}

sized::versioned!(kring_ticket, offset_of!(kring_ticket, relay));

/// Reads a ticket; blanks and line breaks inside its text are passed over.
///
/// KRING_ERROR_TICKET if it is none. One that has ended is one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_ticket_read(ticket: *const c_char, about: *mut kring_ticket) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let ticket: Ticket = unsafe { text::get(ticket, "a ticket") }?.parse()?;
        let value = kring_ticket {
            struct_size: size_of::<kring_ticket>() as u32,
            addresses: ticket.addresses().len() as u32,
            expires: ticket.expires().0,
            id: fixed(&ticket.id().to_string()),
            fingerprint: fixed(&ticket.fingerprint().to_string()),
            relay: fixed(ticket.relay().map_or("", |relay| relay.address())),
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(about, &value) }
    })
}

/// The ticket's text as it is put into a QR code in alphanumeric mode; at most KRING_TICKET_SIZE bytes.
///
/// KRING_ERROR_TICKET if it is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_ticket_qr(
    ticket: *const c_char,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let ticket: Ticket = unsafe { text::get(ticket, "a ticket") }?.parse()?;
        // SAFETY: the caller's promise.
        unsafe { text::put(&Zeroizing::new(ticket.to_qr_text()), buffer, capacity, length) }
    })
}
