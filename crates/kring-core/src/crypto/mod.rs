//! Primitives behind one provider, so that the protocol above names none of them twice.
//!
//! Guarantee: whatever holds a secret wipes it when dropped, and has no `Debug`, `Clone` or serialisation.
//!
//! Two backends need choosing between: ML-KEM-768 and AES-256-GCM, by aws-lc (feature `aws-lc`) or in pure Rust
//! (feature `pure-rust`, also for `wasm32`). X25519, Ed25519, ChaCha20-Poly1305, SHA-2 and HKDF are the same everywhere.

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
pub(crate) mod kdf;
pub(crate) mod noise;
#[cfg(feature = "pure-rust")]
pub mod pure;
mod sframe_backend;

use zeroize::Zeroizing;

#[cfg(test)]
pub(crate) use sframe_backend::sealer_at;
pub(crate) use sframe_backend::{generic_opener, generic_sealer, read_header};

/// A 32-byte secret, wiped when dropped.
pub type Secret32 = Zeroizing<[u8; 32]>;

/// Length of an ML-KEM-768 encapsulation key (FIPS 203, table 3), in bytes.
pub const KEM_PUBLIC_LEN: usize = 1184;
/// Length of an ML-KEM-768 ciphertext (FIPS 203, table 3), in bytes.
pub const KEM_CIPHERTEXT_LEN: usize = 1088;

/// Why a primitive refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The source of randomness failed.
    #[error("the source of randomness failed; no key can be made without it")]
    Random,
    /// An ML-KEM key or ciphertext was not valid.
    #[error("an ML-KEM-768 key or ciphertext was not valid")]
    Kem,
    /// A frame did not authenticate, or could not be sealed.
    #[error("the frame does not authenticate under this key")]
    Aead,
    /// A passcode's key could not be made.
    #[error("there is not enough memory to make a key of the passcode")]
    Passcode,
    /// The counter of a key is used up; a new key is needed.
    #[error("the frame counter of this key is used up")]
    CounterExhausted,
}

/// Where the protocol takes its randomness, ML-KEM-768 (FIPS 203) and media encryption from.
pub trait Provider: Send + Sync + 'static {
    /// Fills `out` with random bytes fit for keys.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if there are none; nothing may be sent then.
    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError>;

    /// Makes a fresh ML-KEM-768 key pair.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if there is no randomness.
    fn kem_generate(&self) -> Result<Box<dyn KemKey>, CryptoError>;

    /// Draws a shared secret for the holder of `public` (1,184 bytes); writes the ciphertext (1,088 bytes).
    ///
    /// # Errors
    /// [`CryptoError::Kem`] if `public` fails the checks of FIPS 203, section 7.2.
    fn kem_encapsulate(
        &self,
        public: &[u8],
        ciphertext: &mut [u8; KEM_CIPHERTEXT_LEN],
    ) -> Result<Secret32, CryptoError>;

    /// An SFrame sealer (AES-256-GCM, SHA-512) for one key id; its counter starts at zero.
    fn sealer(&self, kid: u64, base_key: &Secret32) -> Box<dyn SealFrame>;

    /// The matching opener.
    fn opener(&self, kid: u64, base_key: &Secret32) -> Box<dyn OpenFrame>;
}

/// Draws `N` random bytes as a secret.
///
/// # Errors
/// [`CryptoError::Random`] as from [`Provider::random`].
pub(crate) fn random_secret(provider: &dyn Provider) -> Result<Secret32, CryptoError> {
    let mut secret = Zeroizing::new([0; 32]);
    provider.random(&mut *secret)?;
    Ok(secret)
}

/// The private half of an ML-KEM-768 key pair.
pub trait KemKey: Send + Sync {
    /// The encapsulation key, 1,184 bytes.
    fn public(&self) -> &[u8];

    /// The shared secret inside `ciphertext`.
    ///
    /// # Errors
    /// [`CryptoError::Kem`] if the length is wrong. A forged ciphertext gives a wrong secret, not an error
    /// (implicit rejection).
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret32, CryptoError>;
}

/// Seals frames under one SFrame key (RFC 9605), counting them.
pub trait SealFrame: Send + Sync {
    /// Replaces `out` by `metadata ‖ SFrame header ‖ ciphertext ‖ tag`; both `metadata` and header are authenticated.
    ///
    /// # Errors
    /// [`CryptoError::CounterExhausted`] when the key is used up.
    fn seal(&mut self, metadata: &[u8], plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError>;

    /// How many frames were sealed.
    fn sealed(&self) -> u64;
}

/// Opens frames of one SFrame key.
pub trait OpenFrame: Send + Sync {
    /// Replaces `out` by the plaintext of `sframe`, which was sealed with `metadata`; returns the counter.
    /// `out` is empty if this fails.
    ///
    /// # Errors
    /// [`CryptoError::Aead`] if anything about it was changed.
    fn open(&self, metadata: &[u8], sframe: &[u8], out: &mut Vec<u8>) -> Result<u64, CryptoError>;
}

/// The most that sealing adds to a frame: frame header, SFrame header (RFC 9605, section 4.3) and tag, in bytes.
pub const MAX_SEAL_OVERHEAD: usize = 6 + 17 + 16;

/// AES-256-GCM with its key schedule held ready.
pub(crate) trait AeadKey: Send + Sync + Sized + 'static {
    fn new(key: &[u8; 32]) -> Self;
    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError>;
    /// `data` ends with the tag.
    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<(), CryptoError>;
}

/// The provider that this build prefers: aws-lc where compiled in.
#[cfg(feature = "aws-lc")]
#[must_use]
pub fn default_provider() -> std::sync::Arc<dyn Provider> {
    std::sync::Arc::new(aws_lc::AwsLc)
}

/// The provider that this build prefers: aws-lc where compiled in.
#[cfg(all(feature = "pure-rust", not(feature = "aws-lc")))]
#[must_use]
pub fn default_provider() -> std::sync::Arc<dyn Provider> {
    std::sync::Arc::new(pure::Pure::system())
}
