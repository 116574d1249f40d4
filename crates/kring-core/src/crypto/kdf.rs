//! SHA-256, HMAC and HKDF in the shapes that the key schedule uses.
//!
//! Guarantee: every input that varies in length is preceded by its length or stands last, so that no two different
//! inputs meet in one hash.

use super::Secret32;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// SHA-256 over a label and fixed-length parts.
pub(crate) fn hash(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(label.as_bytes());
    for part in parts {
        h.update(part);
    }
    h.finalize().into()
}

/// HMAC-SHA256 (RFC 2104) over a label and fixed-length parts.
pub(crate) fn hmac(key: &[u8], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(label.as_bytes());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HKDF-SHA256 (RFC 5869): extract from `secret` with `salt`, expand with `label`.
pub(crate) fn extract_expand(salt: &[u8], secret: &[u8], label: &str) -> Secret32 {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(label.as_bytes(), &mut *out)
        .expect("32 bytes are within HKDF's limit");
    out
}

/// HKDF-Expand (RFC 5869, section 2.3) with a uniformly random 32-byte `key`.
pub(crate) fn expand(key: &Secret32, label: &str, parts: &[&[u8]]) -> Secret32 {
    let mut out = Zeroizing::new([0; 32]);
    let mut info = vec![label.as_bytes()];
    info.extend_from_slice(parts);
    Hkdf::<Sha256>::from_prk(&key[..])
        .expect("32 bytes are a SHA-256 pseudo-random key")
        .expand_multi_info(&info, &mut *out)
        .expect("32 bytes are within HKDF's limit");
    out
}
