//! Where a callee listens at a relay: the relay as a ticket names it, and the mailbox that goes with the ticket.
//!
//! Guarantee: a relay that is read has a host and a port; a mailbox's secret half cannot be had from the ticket, and says
//! nothing about the keys that it comes of.

use crate::address::NoAddress;
use crate::crypto::{Secret32, kdf};
use crate::identity::Identity;
use crate::time::WallTime;
use crate::wire::{self, Fields, Malformed};
use ed25519_dalek::SigningKey;
use std::fmt;

const K_RELAY: u8 = 7;
const K_PINNED: u8 = 8;
/// The longest `HOST:PORT`; with mailbox and pin it fits into a ticket's field.
pub const MAX_RELAY: usize = 255 - 64;

/// A relay and a mailbox there, as they stand in a ticket.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayHint {
    address: String,
    pin: Option<[u8; 32]>,
    mailbox: [u8; 32],
}

/// A relay's address that cannot stand in a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a relay as HOST:PORT of at most {MAX_RELAY} characters, came {came}")]
pub struct NoRelay {
    /// How many characters there were.
    pub came: usize,
}

impl RelayHint {
    /// `address` is HOST:PORT, an IPv6 host in brackets; `pin` the SHA-256 of the relay's public key, if it has to be a certain
    /// one; `mailbox` an Ed25519 public key.
    ///
    /// # Errors
    /// [`NoRelay`].
    pub fn new(address: &str, pin: Option<[u8; 32]>, mailbox: [u8; 32]) -> Result<RelayHint, NoRelay> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"-._:[]".contains(&c);
        let whole = address.rsplit_once(':').is_some_and(|(host, port)| {
            let digits = port.bytes().all(|c| c.is_ascii_digit());
            !host.is_empty() && digits && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if !whole || address.len() > MAX_RELAY || !address.bytes().all(fits) {
            return Err(NoRelay { came: address.len() });
        }
        Ok(RelayHint { address: address.into(), pin, mailbox })
    }

    /// HOST:PORT.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The SHA-256 of the key that the relay has to hold; `None` if any serves.
    #[must_use]
    pub fn pin(&self) -> Option<&[u8; 32]> {
        self.pin.as_ref()
    }

    /// Where the callee listens there: an Ed25519 public key.
    #[must_use]
    pub fn mailbox(&self) -> &[u8; 32] {
        &self.mailbox
    }

    /// The kind and value of its field.
    fn field(&self) -> (u8, Vec<u8>) {
        let pin = self.pin.as_ref().map_or(&[][..], |pin| pin);
        let kind = if pin.is_empty() { K_RELAY } else { K_PINNED };
        (kind, [&self.mailbox, pin, self.address.as_bytes()].concat())
    }

    /// As it stands in tickets and in the file of contacts.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let (kind, value) = self.field();
        out.extend_from_slice(&[kind, value.len() as u8]);
        out.extend_from_slice(&value);
    }

    /// As it stands in a control message.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (kind, value) = self.field();
        wire::put(kind.into(), &value, out);
    }

    pub(crate) fn decode(value: &[u8]) -> Result<RelayHint, Malformed> {
        let mut hint = None;
        for field in Fields(value) {
            let (kind, value) = field?;
            let Ok(kind) = u8::try_from(kind) else { continue };
            hint = RelayHint::read(kind, value).map_err(|_| Malformed)?.or(hint);
        }
        hint.ok_or(Malformed)
    }

    /// The relay in a field; `None` if its kind is another.
    pub(crate) fn read(kind: u8, value: &[u8]) -> Result<Option<RelayHint>, NoAddress> {
        if kind != K_RELAY && kind != K_PINNED {
            return Ok(None);
        }
        let bad = NoAddress(kind);
        let (mailbox, mut rest) = value.split_first_chunk::<32>().ok_or(bad)?;
        let mut pin = None;
        if kind == K_PINNED {
            let (key, after) = rest.split_first_chunk::<32>().ok_or(bad)?;
            (pin, rest) = (Some(*key), after);
        }
        let address = std::str::from_utf8(rest).map_err(|_| bad)?;
        RelayHint::new(address, pin, *mailbox).map(Some).map_err(|_| bad)
    }
}

impl fmt::Debug for RelayHint {
    /// Without the mailbox: whoever has it can ring there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayHint").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The secret half of the mailbox of a ticket of `identity` that was issued and ends at these times: an Ed25519 seed. It comes of
/// the device's Noise key, so that it need not be kept, and of the times, so that tickets cannot be told to be of one callee. (Tickets
/// given out in one second with one end share theirs.)
#[must_use]
pub fn mailbox_seed(
    identity: &Identity,
    noise: &[u8; 32],
    issued: WallTime,
    ends: WallTime,
) -> Option<Secret32> {
    let secret = identity.noise_key_of(noise)?.secret();
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&issued.0.to_be_bytes());
    salt[8..].copy_from_slice(&ends.0.to_be_bytes());
    Some(kdf::extract_expand(&salt, &*secret, "kring mailbox"))
}

/// The public half.
#[must_use]
pub fn mailbox_of(seed: &Secret32) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// The mailbox of a ticket that `identity` is about to give out.
#[must_use]
pub fn new_mailbox(identity: &Identity, issued: WallTime, ends: WallTime) -> [u8; 32] {
    // A ticket holds its end in 32 bits.
    let ends = WallTime(u32::try_from(ends.0).unwrap_or(u32::MAX).into());
    let seed = mailbox_seed(identity, &identity.noise_key().public, issued, ends);
    mailbox_of(&seed.expect("the identity has its own key"))
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;
    use crate::issued::IssuedTickets;
    use crate::ticket::Ticket;

    const NOW: WallTime = WallTime(1_800_000_000);

    #[test]
    fn relays_are_read_as_they_were_written_and_others_refused() {
        for (address, pin) in [("relay.example:443", None), ("[2001:db8::1]:9", Some([1; 32]))] {
            let (hint, mut out) = (RelayHint::new(address, pin, [2; 32]).unwrap(), Vec::new());
            hint.put(&mut out);
            assert_eq!(RelayHint::read(out[0], &out[2..]).unwrap(), Some(hint));
            assert_eq!(usize::from(out[1]), out.len() - 2);
            let (hint, mut out) = (RelayHint::new(address, pin, [2; 32]).unwrap(), Vec::new());
            hint.encode(&mut out);
            assert_eq!(RelayHint::decode(&out), Ok(hint));
        }
        assert!(RelayHint::decode(&[]).is_err() && RelayHint::decode(&[7, 1, 0]).is_err());
        let long = format!("{}:1", "a".repeat(MAX_RELAY));
        for address in ["", ":443", "a", "a:", "a:0", "a:65536", "a:+1", "a b:1", "a\n:1", "\u{e9}:1", &long]
        {
            assert!(RelayHint::new(address, None, [2; 32]).is_err(), "{address}");
        }
        assert!(RelayHint::read(7, &[0; 31]).is_err() && RelayHint::read(8, &[0; 40]).is_err());
    }

    #[test]
    fn a_tickets_mailbox_is_found_again_and_is_no_other_tickets() {
        let identity = Identity::generate(&AwsLc, NOW).unwrap();
        let (mut all, mut mailboxes) = (IssuedTickets::default(), Vec::new());
        for hours in [1, 2] {
            let ends = WallTime(NOW.0 + hours * 3600);
            let mailbox = new_mailbox(&identity, NOW, ends);
            let hint = RelayHint::new("a:1", None, mailbox).unwrap();
            let ticket = Ticket::issue_with(&identity, &[], Some(&hint), ends, &AwsLc).unwrap();
            all.add(&ticket, false, NOW);
            mailboxes.push(mailbox);
        }
        let all = IssuedTickets::decode(&all.encode()).unwrap();
        let found: Vec<_> = all.iter().map(|t| mailbox_of(&t.mailbox_seed(&identity).unwrap())).collect();
        assert_eq!(found, mailboxes);
        assert_ne!(found[0], found[1]);
        let other = Identity::generate(&AwsLc, NOW).unwrap();
        assert!(all.iter().all(|t| t.mailbox_seed(&other).is_none()));
    }
}
