//! Contacts as they are kept.
//!
//! Guarantee: what reads keeps every promise of [`Contacts`], and has one encoding.
//!
//! File: [`"kring ct"`](crate::kept) ‖ count (2) ‖ for each contact: length of the name in bytes (2) ‖ name ‖ fingerprint (20)
//! ‖ flags (1: bit 0 identity known, 1 verified) ‖ identity (32, if known) ‖ since (8) ‖ last call (8, or 0) ‖ number of keys
//! (2) ‖ for each: psk0 (32), generation (8), used (1), own Noise key (32), the contact's (32) ‖ length of the addresses
//! (2) ‖ [addresses](crate::address) and, last, a [relay](crate::mailbox) ‖ length of a ticket's body (2, 0 without) ‖ body; then the count of those who are blocked
//! (2) ‖ for each: fingerprint (20), since (8).

use super::{Blocked, Contact, ContactKey, Contacts, MAX_BLOCKED, MAX_CONTACTS, MAX_KEYS, check_name, same};
use crate::address::{self, MAX_ADDRESSES};
use crate::identity::{Fingerprint, PublicIdentity};
use crate::kept::{self, KeptError, Reader};
use crate::mailbox::RelayHint;
use crate::offer::MAX_NAME;
use crate::ticket::{MAX_TEXT, Ticket};
use crate::time::WallTime;
use zeroize::Zeroizing;

const MAGIC: &str = "kring ct";
const KNOWN: u8 = 1;
const VERIFIED: u8 = 2;

impl Contacts {
    /// The bytes to keep, wiped when dropped.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let len = self.list.iter().map(encoded_len).sum::<usize>() + 2 + 2 + 28 * self.blocked.len();
        kept::wrap(MAGIC, len, |out| {
            out.extend_from_slice(&(self.list.len() as u16).to_be_bytes());
            for contact in &self.list {
                encode(contact, out);
            }
            out.extend_from_slice(&(self.blocked.len() as u16).to_be_bytes());
            for blocked in &self.blocked {
                out.extend_from_slice(blocked.fingerprint.as_bytes());
                out.extend_from_slice(&blocked.since.0.to_be_bytes());
            }
        })
    }

    /// Reads what [`encode`](Contacts::encode) wrote.
    ///
    /// # Errors
    /// A [`KeptError`] that says which kind of damage was found.
    pub fn decode(bytes: &[u8]) -> Result<Contacts, KeptError> {
        let mut body = kept::unwrap(MAGIC, bytes)?;
        let mut contacts = Contacts::default();
        for _ in 0..body.count(MAX_CONTACTS)? {
            let contact = decode(&mut body)?;
            let known = |c: &Contact| c.fingerprint == contact.fingerprint || same(&c.name, &contact.name);
            if contacts.list.iter().any(known) {
                return Err(KeptError::Malformed);
            }
            contacts.list.push(contact);
        }
        for _ in 0..body.count(MAX_BLOCKED)? {
            let fingerprint = Fingerprint(body.array()?);
            let since = WallTime(body.u64()?);
            let callable =
                contacts.of(&fingerprint).is_some_and(|c| !c.keys.is_empty() || c.ticket.is_some());
            if callable || contacts.is_blocked(&fingerprint) {
                return Err(KeptError::Malformed);
            }
            contacts.blocked.push(Blocked { fingerprint, since });
        }
        body.end()?;
        Ok(contacts)
    }
}

fn addresses(contact: &Contact) -> Vec<u8> {
    let mut out = Vec::new();
    contact.addresses.iter().for_each(|a| address::put(*a, &mut out));
    contact.relay.iter().for_each(|relay| relay.put(&mut out));
    out
}

fn encoded_len(contact: &Contact) -> usize {
    let identity = if contact.identity.is_some() { 32 } else { 0 };
    let ticket = contact.ticket.as_ref().map_or(0, |t| t.body().len());
    2 + contact.name.len()
        + 20
        + 1
        + identity
        + 16
        + 2
        + ContactKey::LEN * contact.keys.len()
        + 2
        + addresses(contact).len()
        + 2
        + ticket
}

fn put_long(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn encode(contact: &Contact, out: &mut Vec<u8>) {
    put_long(contact.name.as_bytes(), out);
    out.extend_from_slice(contact.fingerprint.as_bytes());
    let known = if contact.identity.is_some() { KNOWN } else { 0 };
    out.push(known | if contact.verified { VERIFIED } else { 0 });
    out.extend_from_slice(contact.identity.as_ref().map_or(&[][..], |id| id.as_bytes()));
    out.extend_from_slice(&contact.since.0.to_be_bytes());
    out.extend_from_slice(&contact.last_call.map_or(0, |at| at.0).to_be_bytes());
    out.extend_from_slice(&(contact.keys.len() as u16).to_be_bytes());
    contact.keys.iter().for_each(|key| key.encode(out));
    put_long(&addresses(contact), out);
    put_long(contact.ticket.as_ref().map_or(&[][..], Ticket::body), out);
}

fn decode(body: &mut Reader<'_>) -> Result<Contact, KeptError> {
    let len = body.count(MAX_NAME * 4)?;
    let name = std::str::from_utf8(body.bytes(len)?).map_err(|_| KeptError::Malformed)?;
    check_name(name).map_err(|_| KeptError::Malformed)?;
    let fingerprint = Fingerprint(body.array()?);
    let flags = body.u8()?;
    if flags & !(KNOWN | VERIFIED) != 0 {
        return Err(KeptError::Malformed);
    }
    let identity = if flags & KNOWN != 0 { Some(PublicIdentity::from(body.array()?)) } else { None };
    if identity.is_some_and(|id| id.fingerprint() != fingerprint) {
        return Err(KeptError::Malformed);
    }
    let mut contact = Contact::new(name, fingerprint, WallTime(body.u64()?));
    contact.identity = identity;
    contact.verified = flags & VERIFIED != 0;
    contact.last_call = Some(WallTime(body.u64()?)).filter(|at| at.0 != 0);
    for _ in 0..body.count(if identity.is_some() { MAX_KEYS } else { 0 })? {
        let key = ContactKey::decode(body)?;
        let later = contact.keys.last().is_none_or(|k| k.generation >= key.generation);
        if !later || contact.keys.iter().any(|k| k.id() == key.id()) {
            return Err(KeptError::Malformed);
        }
        contact.keys.push(key);
    }
    let len = body.count(MAX_ADDRESSES * 20 + 2 + 255)?;
    let mut fields = body.bytes(len)?;
    while let Some((&[kind, len], rest)) = fields.split_first_chunk::<2>() {
        let (value, rest) = rest.split_at_checked(len.into()).ok_or(KeptError::Malformed)?;
        fields = rest;
        if contact.relay.is_some() {
            return Err(KeptError::Malformed);
        }
        contact.relay = RelayHint::read(kind, value).map_err(|_| KeptError::Malformed)?;
        if contact.relay.is_some() {
            continue;
        }
        let address = address::read(kind, value).ok().flatten().ok_or(KeptError::Malformed)?;
        if contact.addresses.len() >= MAX_ADDRESSES || contact.addresses.contains(&address) {
            return Err(KeptError::Malformed);
        }
        contact.addresses.push(address);
    }
    if !fields.is_empty() {
        return Err(KeptError::Malformed);
    }
    let len = body.count(MAX_TEXT)?;
    let ticket = Zeroizing::new(body.bytes(len)?.to_vec());
    if len > 0 {
        let ticket = Ticket::from_body(ticket).map_err(|_| KeptError::Malformed)?;
        if ticket.fingerprint() != fingerprint {
            return Err(KeptError::Malformed);
        }
        contact.ticket = Some(ticket);
    }
    Ok(contact)
}
