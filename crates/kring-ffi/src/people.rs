//! Who is on the other side, and what people compare to be sure of it.

use crate::call::{get, kring_call};
use crate::error::{Failure, KRING_ERROR_MISMATCH, KRING_ERROR_NOT_FOUND, KRING_ERROR_STATE, guard};
use crate::text::fixed;
use crate::{event, sized, text};
use kring::{Incoming, Knock, Pass, PublicIdentity, SafetyNumber, SafetyScan, Who};
use std::ffi::c_char;

/// Nobody has compared anything for this identity. There is media, and a program shows that it may be somebody else's.
pub const KRING_TRUST_UNVERIFIED: u32 = 1;
/// A person has compared the code or the safety number for this identity.
pub const KRING_TRUST_VERIFIED: u32 = 2;
/// The identity is not the one that was expected: a new device of the person, or an impostor. There is no media until a person accepts
/// it.
pub const KRING_TRUST_KEY_CHANGED: u32 = 3;

/// The length of an identity's public half in bytes: an Ed25519 key.
pub const KRING_IDENTITY_SIZE: usize = 32;

/// Somebody who has proven an identity.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_peer {
    /// sizeof(kring_peer), set before the call.
    pub struct_size: u32,
    /// A KRING_TRUST_ value.
    pub trust: u32,
    /// With KRING_TRUST_KEY_CHANGED: 1 if the expected identity had been verified.
    pub was_verified: u32,
    /// Incoming calls: 1 if this is a contact.
    pub is_contact: u32,
    /// Their identity's public half.
    pub identity: [u8; KRING_IDENTITY_SIZE],
    /// With KRING_TRUST_KEY_CHANGED: the identity that was expected.
    pub expected: [u8; KRING_IDENTITY_SIZE],
    /// Their identity in short, for people.
    pub fingerprint: [c_char; 64],
    /// How they call themselves; nobody has checked it.
    pub name: [c_char; 264],
    /// Incoming calls: what this side calls the contact.
    pub contact: [c_char; 264],
    /// Incoming calls: the id of the ticket that let them through; "" if it was a contact's secret.
    pub ticket_id: [c_char; 24],
    /// Where they are: address and port.
    pub address: [c_char; 64],
}

sized::versioned!(kring_peer, size_of::<kring_peer>());

impl kring_peer {
    fn new(identity: &PublicIdentity, name: &str, address: &str) -> kring_peer {
        kring_peer {
            struct_size: size_of::<kring_peer>() as u32,
            trust: KRING_TRUST_UNVERIFIED,
            was_verified: 0,
            is_contact: 0,
            identity: *identity.as_bytes(),
            expected: [0; KRING_IDENTITY_SIZE],
            fingerprint: fixed(&identity.fingerprint().to_string()),
            name: fixed(name),
            contact: [0; 264],
            ticket_id: [0; 24],
            address: fixed(address),
        }
    }

    fn trusted(self, who: Option<Who>) -> kring_peer {
        match who {
            Some(Who::Verified(_)) => kring_peer { trust: KRING_TRUST_VERIFIED, ..self },
            Some(Who::KeyChanged(peer)) => kring_peer {
                trust: KRING_TRUST_KEY_CHANGED,
                was_verified: peer.was_verified().into(),
                expected: *peer.pinned().as_bytes(),
                ..self
            },
            Some(Who::Unverified(_)) | None => self,
        }
    }
}

pub(crate) fn of_incoming(incoming: &Incoming) -> kring_peer {
    let contact = incoming.contact();
    let ticket_id = match incoming.pass() {
        Pass::Ticket(id) => fixed(&id.to_string()),
        _ => [0; 24],
    };
    kring_peer {
        is_contact: contact.is_some().into(),
        contact: fixed(contact.map_or("", |contact| &contact.name)),
        ticket_id,
        ..kring_peer::new(&incoming.peer(), incoming.name(), &incoming.from().to_string())
            .trusted(incoming.who())
    }
}

pub(crate) fn of_knock(knock: &Knock) -> kring_peer {
    kring_peer::new(&knock.peer(), knock.name(), &knock.from().to_string())
}

/// An identity's 32 bytes.
///
/// # Safety
/// `bytes` is NULL or points to 32 bytes.
pub(crate) unsafe fn identity(bytes: *const u8) -> Result<PublicIdentity, Failure> {
    if bytes.is_null() {
        return Err(Failure::null("an identity's 32 bytes"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { bytes.cast::<[u8; KRING_IDENTITY_SIZE]>().read() }.into())
}

fn unproven() -> Failure {
    Failure::new(KRING_ERROR_STATE, "it is not proven yet who is on the other side, or the call is over")
}

/// Who is on the other side, proven by the handshake, and what is known about whose identity it is.
///
/// KRING_ERROR_STATE until that is proven.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_peer(call: kring_call, peer: *mut kring_peer) -> i32 {
    guard(|| {
        let call = &get(call)?.call;
        let identity = call.peer().ok_or_else(unproven)?;
        let from = call.from().map(|from| from.to_string()).unwrap_or_default();
        let value = kring_peer::new(&identity, &call.peer_name(), &from).trusted(call.who());
        // SAFETY: the caller's promise.
        unsafe { sized::write(peer, &value) }
    })
}

/// The call's code as four words, such as "acid bird cloth dune".
pub const KRING_CODE_WORDS: u32 = 0;
/// The call's code as five emoji with blanks between.
pub const KRING_CODE_EMOJI: u32 = 1;
/// The names of these emoji, a line each.
pub const KRING_CODE_EMOJI_NAMES: u32 = 2;

/// The call's code, for both people to read to each other, once KRING_EVENT_CODE was taken; `form` is KRING_CODE_WORDS, KRING_CODE_EMOJI
/// or KRING_CODE_EMOJI_NAMES.
///
/// KRING_ERROR_STATE before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_code(
    call: kring_call,
    form: u32,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard(|| {
        let code = get(call)?.code();
        let code =
            code.ok_or_else(|| Failure::new(KRING_ERROR_STATE, "the call has no code, or none yet"))?;
        let code = match form {
            KRING_CODE_WORDS => code.words().join(" "),
            KRING_CODE_EMOJI => event::emoji(&code),
            KRING_CODE_EMOJI_NAMES => code.emoji().map(|emoji| emoji.name).join("\n"),
            other => return Err(Failure::argument(format!("expected a form of 0 to 2, got {other}"))),
        };
        // SAFETY: the caller's promise.
        unsafe { text::put(&code, buffer, capacity, length) }
    })
}

/// The sixty digits that this side and the other have in common in every call, in twelve groups of five (71 characters). Takes some
/// milliseconds.
///
/// KRING_ERROR_STATE until it is proven who is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_safety_number(
    call: kring_call,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard(|| {
        let number = get(call)?.call.safety_number().ok_or_else(unproven)?;
        // SAFETY: the caller's promise.
        unsafe { text::put(&number.to_string(), buffer, capacity, length) }
    })
}

/// Compares the safety number with what a person has typed or pasted; blanks and line breaks are passed over.
///
/// KRING_ERROR_MISMATCH if it is another; KRING_ERROR_ARGUMENT if it has not sixty digits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_compare_safety_number(call: kring_call, typed: *const c_char) -> i32 {
    guard(|| {
        let call = get(call)?;
        // SAFETY: the caller's promise.
        let typed = unsafe { text::get(typed, "a safety number") }?;
        let typed = SafetyNumber::read(typed)
            .ok_or_else(|| Failure::argument("expected sixty digits, got others"))?;
        if call.call.safety_number().ok_or_else(unproven)? == typed {
            Ok(())
        } else {
            Err(Failure::new(KRING_ERROR_MISMATCH, "the two safety numbers differ: somebody else is there"))
        }
    })
}

/// The safety number as a text in upper case for a QR code that the other person scans.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_safety_qr(
    call: kring_call,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard(|| {
        let scan = get(call)?.call.safety_scan().ok_or_else(unproven)?;
        // SAFETY: the caller's promise.
        unsafe { text::put(&scan.to_qr_text(), buffer, capacity, length) }
    })
}

/// Compares what was scanned from the other person's screen with the two who call each other; `own` is this side's identity
/// (kring_endpoint_identity), 32 bytes.
///
/// KRING_ERROR_MISMATCH if somebody else is there; KRING_ERROR_ARGUMENT if it is no such code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_compare_safety_qr(
    call: kring_call,
    own: *const u8,
    scanned: *const c_char,
) -> i32 {
    guard(|| {
        let call = get(call)?;
        // SAFETY: the caller's promise.
        let (own, scanned) = unsafe { (identity(own)?, text::get(scanned, "what was scanned")?) };
        let peer = call.call.peer().ok_or_else(unproven)?;
        Ok(scanned.parse::<SafetyScan>()?.check(&own, &peer)?)
    })
}

/// A person has compared the call's code or the safety number with whoever has this identity (32 bytes, from kring_call_peer), and they
/// are the same. Holds for this call; for the next as well with kring_home_set_verified.
///
/// KRING_ERROR_NOT_FOUND if that is not who is on the other side; KRING_ERROR_STATE if their key has changed and nobody has accepted it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_mark_verified(call: kring_call, identity: *const u8) -> i32 {
    guard(|| {
        let call = get(call)?;
        // SAFETY: the caller's promise.
        let compared = unsafe { self::identity(identity) }?;
        match call.call.who().ok_or_else(unproven)? {
            who if who.identity() != compared => Err(somebody_else()),
            Who::Unverified(peer) => call.call.mark_verified(peer).map(drop).map_err(|_| somebody_else()),
            Who::Verified(_) => Ok(()),
            Who::KeyChanged(_) => {
                Err(Failure::new(KRING_ERROR_STATE, "their key has changed: accept it first"))
            }
        }
    })
}

/// A person accepts that the other side has this identity (32 bytes, from kring_call_peer) and not the one that was expected: from now on
/// there is media, as with anybody unverified. Whoever calls this has asked somebody, and said what it may mean.
///
/// KRING_ERROR_NOT_FOUND if that is not who is on the other side.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_accept_changed_key(call: kring_call, identity: *const u8) -> i32 {
    guard(|| {
        let call = get(call)?;
        // SAFETY: the caller's promise.
        let accepted = unsafe { self::identity(identity) }?;
        match call.call.who().ok_or_else(unproven)? {
            who if who.identity() != accepted => Err(somebody_else()),
            Who::KeyChanged(peer) => {
                call.call.accept_changed_key(&peer);
                Ok(())
            }
            _ => Ok(()),
        }
    })
}

fn somebody_else() -> Failure {
    Failure::new(KRING_ERROR_NOT_FOUND, "somebody of another identity is on the other side")
}
