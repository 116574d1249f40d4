//! What a relay and its clients know each other by: the relay's pinned key, mailboxes, tokens and their secrets.
//!
//! Guarantee: what is secret is wiped when dropped, compared in constant time and never printed. None of it names a
//! person: a mailbox's key is drawn for one ticket or contact, a token for one call.

use aws_lc_rs::{digest, hmac, rand};
use data_encoding::{BASE32_NOPAD, DecodeError};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// No randomness from the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed; no key can be made without it")]
pub struct NoRandomness;

pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// SHA-256 of a relay's public key (its SubjectPublicKeyInfo, RFC 7250), by which a client knows that relay again.
///
/// Written as 52 characters of lower-case base32.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// The pin of a relay with this key, in DER.
    #[must_use]
    pub fn of(public_key: &[u8]) -> Pin {
        let hash = digest::digest(&digest::SHA256, public_key);
        Pin(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// A text that is no pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a relay's pin, 52 characters of base32, came {came} characters{}", wrong(*.came))]
pub struct PinError {
    /// How many characters came.
    pub came: usize,
}

fn wrong(came: usize) -> &'static str {
    if came == 52 { " of which some are not base32" } else { "" }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Pin, PinError> {
        let error = PinError { came: text.chars().count() };
        let mut bytes = [0; 32];
        let text = text.to_ascii_uppercase();
        if text.len() != 52 || BASE32_NOPAD.decode_len(text.len()).is_ok_and(|len| len != 32) {
            return Err(error);
        }
        let decoded: Result<Vec<u8>, DecodeError> = BASE32_NOPAD.decode(text.as_bytes());
        bytes.copy_from_slice(&decoded.map_err(|_| error)?);
        Ok(Pin(bytes))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

/// Where somebody can be reached at a relay: the public half of a [`MailboxKey`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox(pub [u8; 32]);

impl Mailbox {
    /// Whether `signature` is the mailbox's over this connection with this relay.
    #[must_use]
    pub fn verify(&self, relay: &Pin, exporter: &[u8; 32], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            key.verify_strict(&signed(relay, exporter), &Signature::from_bytes(signature)).is_ok()
        })
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two apart in a log, too little to dial.
        write!(f, "Mailbox({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// What is signed to listen: it holds for one connection with one relay, so nobody can use it again or elsewhere.
fn signed(relay: &Pin, exporter: &[u8; 32]) -> Vec<u8> {
    [&b"kring relay listen 1"[..], &relay.0, exporter].concat()
}

/// The secret half of a mailbox: who has it receives what is dialled there.
pub struct MailboxKey(SigningKey);

impl MailboxKey {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<MailboxKey, NoRandomness> {
        Ok(MailboxKey::from_seed(&Zeroizing::new(random()?)))
    }

    /// The one that belongs to an Ed25519 seed (RFC 8032).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> MailboxKey {
        MailboxKey(SigningKey::from_bytes(seed))
    }

    /// Its public half, which goes into a ticket.
    #[must_use]
    pub fn mailbox(&self) -> Mailbox {
        Mailbox(self.0.verifying_key().to_bytes())
    }

    /// The right to listen, over one connection with one relay.
    #[must_use]
    pub fn sign(&self, relay: &Pin, exporter: &[u8; 32]) -> [u8; 64] {
        self.0.sign(&signed(relay, exporter)).to_bytes()
    }
}

impl fmt::Debug for MailboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxKey({:?})", self.mailbox())
    }
}

/// One side's handle on a session, in front of each of its packets. It is no secret on the path; what counts beside it
/// is the address that the packets come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Token, NoRandomness> {
        Ok(Token(u64::from_be_bytes(random()?)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:04x}…)", self.0 >> 48)
    }
}

/// What one side of a session shares with the relay, to change its address.
#[derive(Clone)]
pub struct SessionSecret(pub(crate) Zeroizing<[u8; 32]>);

impl SessionSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<SessionSecret, NoRandomness> {
        Ok(SessionSecret(Zeroizing::new(random()?)))
    }

    /// HMAC-SHA256 over `bytes`, its first 16.
    pub(crate) fn tag(&self, bytes: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), bytes);
        tag.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
    }

    /// Whether `tag` is that of `bytes`.
    pub(crate) fn holds(&self, bytes: &[u8], tag: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.tag(bytes), tag).is_ok()
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_to_listen_holds_for_one_connection_with_one_relay() {
        let key = MailboxKey::from_seed(&[7; 32]);
        let (relay, exporter) = (Pin([1; 32]), [2; 32]);
        let signature = key.sign(&relay, &exporter);
        assert!(key.mailbox().verify(&relay, &exporter, &signature));
        assert!(!key.mailbox().verify(&Pin([3; 32]), &exporter, &signature));
        assert!(!key.mailbox().verify(&relay, &[3; 32], &signature));
        assert!(!MailboxKey::from_seed(&[8; 32]).mailbox().verify(&relay, &exporter, &signature));
    }

    #[test]
    fn a_pin_reads_as_it_is_written() {
        let pin = Pin::of(b"a key");
        let text = pin.to_string();
        assert_eq!(text.len(), 52);
        assert_eq!(text.parse(), Ok(pin));
        assert_eq!(text.to_uppercase().parse(), Ok(pin));
        for wrong in ["", "abc", &text[1..], &format!("{}1", &text[1..]), &"é".repeat(26)] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let secret = SessionSecret(Zeroizing::new([0x5a; 32]));
        let key = MailboxKey::from_seed(&[0x5a; 32]);
        assert!(!format!("{secret:?} {key:?}").to_lowercase().contains("5a5a"));
    }
}
