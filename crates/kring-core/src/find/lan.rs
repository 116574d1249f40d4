//! What a side says on the local network: where it is, and, for those who share a secret with it, who it is.
//!
//! Guarantee: whoever shares no secret with the side that says it sees its addresses, which that network knows anyway, and
//! random bytes, which are others each time; under a secret, only what was said whole and unchanged is recognised.
//!
//! ```text
//! record = version (1: 1) ‖ nonce (16) ‖ count of addresses (1) ‖ addresses as in a ticket ‖ tags (8 each, 16 to 64 of them)
//! key    = HKDF-SHA256(salt = fingerprint of who says it, IKM = psk0 of a ticket or contact, info = "kring lan")
//! tag    = the first 8 bytes of HMAC-SHA256(key, "kring lan tag" ‖ all before the tags)
//! ```
//!
//! One tag for each secret, in the order of their bytes, filled up with random ones to the next multiple of 16, so that their number
//! says little of how many tickets are out and how many contacts there are.

use super::NoRecord;
use crate::address::{self, MAX_ADDRESSES};
use crate::crypto::{CryptoError, Provider, Secret32, kdf};
use crate::identity::Fingerprint;
use std::fmt;
use std::net::SocketAddr;
use subtle::ConstantTimeEq;

const VERSION: u8 = 1;
const NONCE: usize = 16;
/// A tag's length, in bytes.
pub const TAG: usize = 8;
/// Most tags of a record.
pub const MAX_TAGS: usize = 64;
/// Tags come in groups of so many.
const GROUP: usize = 16;
/// The longest record: 690 bytes.
const MAX: usize = 1 + NONCE + 1 + MAX_ADDRESSES * 20 + MAX_TAGS * TAG;

/// By what one who shares a secret recognises who says a record.
#[derive(Clone)]
pub struct LanKey(Secret32);

impl LanKey {
    /// Of a secret that two share, for what `announcer` says.
    pub(crate) fn new(psk0: &Secret32, announcer: &Fingerprint) -> LanKey {
        LanKey(kdf::extract_expand(announcer.as_bytes(), &**psk0, "kring lan"))
    }

    fn tag(&self, said: &[u8]) -> [u8; TAG] {
        let whole = kdf::hmac(&*self.0, "kring lan tag", &[said]);
        whole[..TAG].try_into().expect("8 of 32 bytes")
    }
}

/// What somebody says.
#[derive(Clone, PartialEq, Eq)]
pub struct LanRecord {
    addresses: Vec<SocketAddr>,
    /// All before the tags.
    said: Vec<u8>,
    tags: Vec<[u8; TAG]>,
}

impl LanRecord {
    /// Says that this side is at `addresses` to those with whom it shares `keys`; of either the first [`MAX_ADDRESSES`] and
    /// [`MAX_TAGS`] count. Each call draws another nonce.
    ///
    /// # Errors
    /// [`CryptoError::Random`] without randomness.
    pub fn new(
        keys: &[LanKey],
        addresses: &[SocketAddr],
        provider: &dyn Provider,
    ) -> Result<LanRecord, CryptoError> {
        let mut nonce = [0; NONCE];
        provider.random(&mut nonce)?;
        let addresses = addresses[..addresses.len().min(MAX_ADDRESSES)].to_vec();
        let mut said = vec![VERSION];
        said.extend_from_slice(&nonce);
        said.push(addresses.len() as u8);
        addresses.iter().for_each(|address| address::put(*address, &mut said));
        let mut tags: Vec<_> = keys.iter().take(MAX_TAGS).map(|key| key.tag(&said)).collect();
        let mut random = vec![[0; TAG]; (GROUP - tags.len() % GROUP) % GROUP];
        if tags.is_empty() {
            random = vec![[0; TAG]; GROUP];
        }
        random.iter_mut().try_for_each(|tag| provider.random(tag))?;
        tags.append(&mut random);
        // Their order would tell the real ones from the others.
        tags.sort_unstable();
        Ok(LanRecord { addresses, said, tags })
    }

    /// As it is said.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&self.said[..], self.tags.as_flattened()].concat()
    }

    /// Reads what somebody says.
    ///
    /// # Errors
    /// [`NoRecord::Version`], [`NoRecord::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<LanRecord, NoRecord> {
        let bad = NoRecord::Malformed;
        let (version, rest) = bytes.split_first().ok_or(bad)?;
        if *version != VERSION {
            return Err(NoRecord::Version { came: *version });
        }
        let (count, mut rest) = rest.get(NONCE..).and_then(|rest| rest.split_first()).ok_or(bad)?;
        if bytes.len() > MAX || usize::from(*count) > MAX_ADDRESSES {
            return Err(bad);
        }
        let mut addresses = Vec::with_capacity(usize::from(*count));
        for _ in 0..*count {
            let (&[kind, length], after) = rest.split_first_chunk::<2>().ok_or(bad)?;
            let (value, after) = after.split_at_checked(length.into()).ok_or(bad)?;
            addresses.push(address::read(kind, value).map_err(|_| bad)?.ok_or(bad)?);
            rest = after;
        }
        let (tags, odd) = rest.as_chunks::<TAG>();
        if !odd.is_empty() || tags.is_empty() || tags.len() > MAX_TAGS || !tags.len().is_multiple_of(GROUP) {
            return Err(bad);
        }
        let said = bytes[..bytes.len() - rest.len()].to_vec();
        Ok(LanRecord { addresses, said, tags: tags.to_vec() })
    }

    /// Whether it was said by whoever that key is for.
    #[must_use]
    pub fn is_by(&self, key: &LanKey) -> bool {
        let own = key.tag(&self.said);
        self.tags.iter().fold(false, |found, tag| found | bool::from(tag.ct_eq(&own)))
    }

    /// Where whoever says it is.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl fmt::Debug for LanRecord {
    /// Without the addresses, which say where somebody is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LanRecord({} addresses, {} tags)", self.addresses.len(), self.tags.len())
    }
}
