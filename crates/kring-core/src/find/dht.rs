//! What a side leaves in the DHT for one contact: the relay at which it waits for that contact, and never an address.
//!
//! Guarantee: without the secret of the two nobody finds the place, links one day's place to another's, reads what is there, or
//! learns from its length what it says.
//!
//! ```text
//! salt  = fingerprint of who leaves it ‖ day (8)          day: whole days since 1970, UTC
//! seed  = HKDF-SHA256(salt, IKM = psk0 of the contact, info = "kring dht key")      Ed25519; its public half is the place
//! seal  = HKDF-SHA256(salt, IKM = psk0 of the contact, info = "kring dht seal")
//! value = version (1: 1) ‖ nonce (12, random) ‖ ChaCha20-Poly1305(seal, nonce, AD = version, relay filled up with zeros to 260)
//! ```

use super::NoRecord;
use crate::crypto::{CryptoError, Provider, Secret32, kdf};
use crate::identity::Fingerprint;
use crate::mailbox::{RelayHint, mailbox_of};
use crate::time::WallTime;
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

const VERSION: u8 = 1;
const NONCE: usize = 12;
/// A field has at most 2 + 255 bytes.
const PLAIN: usize = 260;
const TAG: usize = 16;
/// The length of every value, in bytes.
pub const DHT_VALUE: usize = 1 + NONCE + PLAIN + TAG;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Most days that count at once.
pub const MAX_DAYS: usize = 2;

/// The days whose places are filled and looked into at `now`: today, and within an hour of midnight (UTC) the day next to it as well, so
/// that clocks may differ by an hour.
pub fn days(now: WallTime) -> impl Iterator<Item = u64> {
    let (first, last) = (now.0.saturating_sub(HOUR) / DAY, now.0.saturating_add(HOUR) / DAY);
    first..=last
}

/// The place of one day, for what one of two contacts leaves for the other.
pub struct DhtKey {
    seed: Secret32,
    seal: Secret32,
}

impl DhtKey {
    pub(crate) fn new(psk0: &Secret32, publisher: &Fingerprint, day: u64) -> DhtKey {
        let mut salt = publisher.as_bytes().to_vec();
        salt.extend_from_slice(&day.to_be_bytes());
        let of = |label| kdf::extract_expand(&salt, &**psk0, label);
        DhtKey { seed: of("kring dht key"), seal: of("kring dht seal") }
    }

    /// The secret half of the place: an Ed25519 seed.
    #[must_use]
    pub fn seed(&self) -> &Secret32 {
        &self.seed
    }

    /// The place: an Ed25519 public key.
    #[must_use]
    pub fn place(&self) -> [u8; 32] {
        mailbox_of(&self.seed)
    }

    /// What is to be left there.
    ///
    /// # Errors
    /// [`CryptoError::Random`] without randomness.
    pub fn seal(&self, relay: &RelayHint, provider: &dyn Provider) -> Result<[u8; DHT_VALUE], CryptoError> {
        let mut plain = Vec::with_capacity(PLAIN);
        relay.put(&mut plain);
        plain.resize(PLAIN, 0);
        let mut nonce = [0; NONCE];
        provider.random(&mut nonce)?;
        let tag = self.cipher().encrypt_in_place_detached(&nonce.into(), &[VERSION], &mut plain);
        let tag = tag.map_err(|_| CryptoError::Aead)?;
        let mut out = [VERSION; DHT_VALUE];
        out[1..=NONCE].copy_from_slice(&nonce);
        out[1 + NONCE..][..PLAIN].copy_from_slice(&plain);
        out[1 + NONCE + PLAIN..].copy_from_slice(&tag);
        Ok(out)
    }

    /// Reads what was found there.
    ///
    /// # Errors
    /// A [`NoRecord`].
    pub fn open(&self, value: &[u8]) -> Result<RelayHint, NoRecord> {
        let bad = NoRecord::Malformed;
        let (version, rest) = value.split_first().ok_or(bad)?;
        if *version != VERSION {
            return Err(NoRecord::Version { came: *version });
        }
        let rest: &[u8; DHT_VALUE - 1] = rest.try_into().map_err(|_| bad)?;
        let (nonce, sealed) = rest.split_at(NONCE);
        let (plain, tag) = sealed.split_at(PLAIN);
        let mut plain = plain.to_vec();
        self.cipher()
            .decrypt_in_place_detached(nonce.into(), &[VERSION], &mut plain, tag.into())
            .map_err(|_| NoRecord::Forged)?;
        relay_in(&plain)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.seal).into())
    }
}

/// What stands inside the seal: one field, and zeros.
pub(crate) fn relay_in(plain: &[u8]) -> Result<RelayHint, NoRecord> {
    let bad = NoRecord::Malformed;
    let (&[kind, length], rest) = plain.split_first_chunk::<2>().ok_or(bad)?;
    let (value, rest) = rest.split_at_checked(length.into()).ok_or(bad)?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(bad);
    }
    RelayHint::read(kind, value).ok().flatten().ok_or(bad)
}
