//! The secret that two contacts share, renewed by each call.
//!
//! Guarantee: it can be computed by the two ends of a call alone; whoever learns one generation learns no other without
//! the random values that a call exchanged inside its encrypted channel.
//!
//! ```text
//! psk0 = HKDF-SHA256(salt = handshake hash of the call, IKM = the call's psk0 ‖ caller's r ‖ callee's r,
//!                    info = "kring contact psk", 32 bytes)
//! ```

use crate::crypto::{Secret32, kdf};
use crate::find::{DhtKey, LanKey};
use crate::identity::{Fingerprint, Identity};
use crate::kept::{KeptError, Reader};
use std::fmt;
use zeroize::Zeroizing;

/// Names a generation of a contact's secret; says nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContactKeyId(pub(crate) [u8; 8]);

impl fmt::Debug for ContactKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContactKeyId(")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}

/// One generation of the secret, and the Noise keys that go with it.
#[derive(Clone)]
pub struct ContactKey {
    psk0: Secret32,
    /// How many calls it comes after a ticket; the same at both ends.
    pub(super) generation: u64,
    /// Whether a handshake got through with it, so that the other side has it for certain.
    pub(super) used: bool,
    own_noise: [u8; 32],
    peer_noise: [u8; 32],
}

impl ContactKey {
    /// Its length in a file.
    pub(super) const LEN: usize = 32 + 8 + 1 + 32 + 32;

    /// From what the two exchanged in a call; `old` is what let the caller through.
    pub(crate) fn derive(
        (old, generation): (&Secret32, u64),
        handshake_hash: &[u8; 32],
        (of_caller, of_callee): (&Secret32, &Secret32),
        (own_noise, peer_noise): ([u8; 32], [u8; 32]),
    ) -> ContactKey {
        let mut secrets = Zeroizing::new([0; 96]);
        for (part, secret) in secrets.chunks_exact_mut(32).zip([old, of_caller, of_callee]) {
            part.copy_from_slice(&secret[..]);
        }
        ContactKey {
            psk0: kdf::extract_expand(handshake_hash, &*secrets, "kring contact psk"),
            generation: generation.saturating_add(1),
            used: false,
            own_noise,
            peer_noise,
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ContactKeyId {
        let hash = kdf::hash("kring contact key id", &[&*self.psk0]);
        ContactKeyId(hash[..8].try_into().expect("8 of 32 bytes"))
    }

    /// The secret half (an Ed25519 seed) of the mailbox at a relay where this side waits for the contact, for as long as it holds this
    /// secret; `None` if it is of another identity. It comes of the device's Noise key, so that it need not be kept.
    #[must_use]
    pub fn mailbox_seed(&self, identity: &Identity) -> Option<Secret32> {
        let secret = identity.noise_key_of(&self.own_noise)?.secret();
        Some(kdf::extract_expand(&self.id().0, &*secret, "kring contact mailbox"))
    }

    /// By what one of the two recognises what `announcer`, the other, says on the local network.
    #[must_use]
    pub fn lan_key(&self, announcer: &Fingerprint) -> LanKey {
        LanKey::new(&self.psk0, announcer)
    }

    /// The place in the DHT where `publisher`, one of the two, leaves something for the other on that [day](crate::find::days).
    #[must_use]
    pub fn dht_key(&self, publisher: &Fingerprint, day: u64) -> DhtKey {
        DhtKey::new(&self.psk0, publisher, day)
    }

    pub(crate) fn psk0(&self) -> &Secret32 {
        &self.psk0
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The key of this side that the contact dials.
    pub(crate) fn own_noise(&self) -> &[u8; 32] {
        &self.own_noise
    }

    /// The contact's key, which this side dials.
    pub(crate) fn peer_noise(&self) -> &[u8; 32] {
        &self.peer_noise
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&*self.psk0);
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.push(self.used.into());
        out.extend_from_slice(&self.own_noise);
        out.extend_from_slice(&self.peer_noise);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<ContactKey, KeptError> {
        Ok(ContactKey {
            psk0: Zeroizing::new(body.array()?),
            generation: body.u64()?,
            used: match body.u8()? {
                0 => false,
                1 => true,
                _ => return Err(KeptError::Malformed),
            },
            own_noise: body.array()?,
            peer_noise: body.array()?,
        })
    }
}
