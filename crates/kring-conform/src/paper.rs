//! The key schedule of docs/protocol.md, written from the paper with HMAC and HKDF alone.
//!
//! Guarantee: nothing here is `kring-core`'s, so that the two agree only if the paper says what the code does.

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// 32 bytes that are wiped.
pub type Secret = Zeroizing<[u8; 32]>;

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn hkdf(salt: &[u8], ikm: &[u8], info: &str) -> Secret {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), ikm)
        .expand(info.as_bytes(), &mut *out)
        .expect("32 bytes are not too many");
    out
}

/// Section 5: what the call's handshake is bound to.
#[must_use]
pub fn prologue(exporter: &[u8; 32]) -> Vec<u8> {
    [b"kring/1\0", &[0][..], exporter].concat()
}

/// Section 5: by which the callee finds psk0.
#[must_use]
pub fn hint(psk0: &Secret, exporter: &[u8; 32]) -> [u8; 16] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&**psk0).expect("any length is a key");
    mac.update(b"kring hint");
    mac.update(exporter);
    mac.finalize().into_bytes()[..16].try_into().expect("16 of 32 bytes")
}

/// Section 6.1: what a handshake inside the session is bound to.
#[must_use]
pub fn renewal_prologue(counter: u64, hash_before: &[u8; 32]) -> Vec<u8> {
    [b"kring/1\0", &[1][..], &counter.to_be_bytes(), hash_before].concat()
}

/// Section 6.1.
#[must_use]
pub fn renewal_psk(hash_before: &[u8; 32], seed: &Secret) -> Secret {
    hkdf(hash_before, &**seed, "kring renewal psk")
}

/// Section 7.3: by which the caller binds itself to its nonce.
#[must_use]
pub fn code_commitment(hash: &[u8; 32], nonce: &[u8; 32]) -> [u8; 32] {
    sha256(&[b"kring code commitment", hash, nonce])
}

/// Section 7.3: the eight bytes that words and emoji are made of.
#[must_use]
pub fn code(hash: &[u8; 32], caller: &[u8; 32], callee: &[u8; 32]) -> u64 {
    let okm = hkdf(hash, &[&caller[..], callee].concat(), "kring code");
    u64::from_be_bytes(okm[..8].try_into().expect("8 of 32 bytes"))
}

/// Section 12: the secret that a call leaves to two contacts.
#[must_use]
pub fn contact_psk(hash: &[u8; 32], psk0: &Secret, caller: &Secret, callee: &Secret) -> Secret {
    let ikm = Zeroizing::new([&psk0[..], &caller[..], &callee[..]].concat());
    hkdf(hash, &ikm, "kring contact psk")
}

/// Section 8: what the media keys of a direct call are bound to.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    room_id: [u8; 32],
    roster_hash: [u8; 32],
}

impl Room {
    /// A direct call, by its id and its first handshake's hash.
    #[must_use]
    pub fn direct(call_id: &[u8; 16], hash: &[u8; 32]) -> Room {
        Room { room_id: sha256(&[b"kring direct call", call_id]), roster_hash: *hash }
    }

    /// What the sender of a key signs.
    #[must_use]
    pub fn statement(&self, rotation: u8, leaf: u8, c: &Secret) -> Vec<u8> {
        let commitment = sha256(&[b"kring sender key", &**c]);
        [
            b"kring sender key commitment",
            &self.room_id[..],
            &self.roster_hash,
            &0u64.to_be_bytes(),
            &[rotation, leaf],
            &commitment,
        ]
        .concat()
    }

    /// What goes into SFrame's key derivation.
    #[must_use]
    pub fn base_key(&self, c: &Secret, kid: u64) -> Secret {
        let mut out = Zeroizing::new([0; 32]);
        let info = [b"kring media", &self.room_id[..], &self.roster_hash, &kid.to_be_bytes()].concat();
        Hkdf::<Sha256>::from_prk(&**c)
            .expect("32 bytes are a key")
            .expand(&info, &mut *out)
            .expect("32 bytes are not too many");
        out
    }
}

/// Section 8: the KID of a direct call.
#[must_use]
pub const fn kid(rotation: u8, track: u8, leaf: u8) -> u64 {
    (rotation as u64) << 11 | (track as u64) << 7 | leaf as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use kring_core::fuzzing::raw;

    #[test]
    fn the_code_is_the_one_that_the_core_shows() {
        let (hash, a, b) = ([1; 32], [2; 32], [3; 32]);
        let words = raw::code(&hash, &a, &b).words();
        let list: Vec<&str> = include_str!("../../kring-core/src/verify/words.txt").lines().collect();
        let own = code(&hash, &a, &b);
        assert_eq!([53, 42, 31, 20].map(|shift| list[(own >> shift & 0x7ff) as usize]), words);
    }
}
