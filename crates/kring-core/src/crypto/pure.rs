//! ML-KEM-768 and AES-256-GCM in pure Rust, with randomness from wherever the caller says.
//!
//! Guarantee: with a seeded source every byte is reproducible, since nothing else is drawn from.

use super::{
    AeadKey, CryptoError, KEM_CIPHERTEXT_LEN, KemKey, OpenFrame, Provider, SealFrame, Secret32,
    generic_opener, generic_sealer,
};
use aes_gcm::{AeadInPlace, Aes256Gcm, KeyInit};
use libcrux_ml_kem::mlkem768;
use std::sync::Mutex;
use zeroize::{Zeroize, Zeroizing};

/// Fills a buffer with random bytes, or says that it cannot.
pub type RandomSource = Box<dyn FnMut(&mut [u8]) -> Result<(), CryptoError> + Send>;

/// The pure-Rust provider.
pub struct Pure(Mutex<RandomSource>);

impl Pure {
    /// With the operating system's randomness.
    #[must_use]
    pub fn system() -> Pure {
        Pure::with_random(Box::new(|out| getrandom::fill(out).map_err(|_| CryptoError::Random)))
    }

    /// With randomness from `source`: for simulations. A call made with a predictable source has no secrecy.
    #[must_use]
    pub fn with_random(source: RandomSource) -> Pure {
        Pure(Mutex::new(source))
    }
}

impl Provider for Pure {
    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let mut source = self.0.lock().map_err(|_| CryptoError::Random)?;
        source(out)
    }

    fn kem_generate(&self) -> Result<Box<dyn KemKey>, CryptoError> {
        let mut seed = Zeroizing::new([0; 64]);
        self.random(&mut *seed)?;
        let pair = mlkem768::generate_key_pair(*seed);
        Ok(Box::new(Key { public: pair.pk().to_vec(), secret: Zeroizing::new(pair.sk().to_vec()) }))
    }

    fn kem_encapsulate(
        &self,
        public: &[u8],
        ciphertext: &mut [u8; KEM_CIPHERTEXT_LEN],
    ) -> Result<Secret32, CryptoError> {
        let public = mlkem768::MlKem768PublicKey::try_from(public).map_err(|_| CryptoError::Kem)?;
        if !mlkem768::validate_public_key(&public) {
            return Err(CryptoError::Kem);
        }
        let mut seed = Zeroizing::new([0; 32]);
        self.random(&mut *seed)?;
        let (sent, mut shared) = mlkem768::encapsulate(&public, *seed);
        ciphertext.copy_from_slice(sent.as_slice());
        let secret = Zeroizing::new(shared);
        shared.zeroize();
        Ok(secret)
    }

    fn sealer(&self, kid: u64, base_key: &Secret32) -> Box<dyn SealFrame> {
        generic_sealer::<Gcm>(kid, base_key)
    }

    fn opener(&self, kid: u64, base_key: &Secret32) -> Box<dyn OpenFrame> {
        generic_opener::<Gcm>(kid, &base_key[..])
    }
}

struct Key {
    secret: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

/// A key pair from its expanded halves, as test vectors have them.
#[cfg(test)]
pub(crate) fn kem_key(secret: &[u8], public: &[u8]) -> Box<dyn KemKey> {
    Box::new(Key { secret: Zeroizing::new(secret.to_vec()), public: public.to_vec() })
}

impl KemKey for Key {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret32, CryptoError> {
        let secret =
            mlkem768::MlKem768PrivateKey::try_from(&self.secret[..]).map_err(|_| CryptoError::Kem)?;
        let sent = mlkem768::MlKem768Ciphertext::try_from(ciphertext).map_err(|_| CryptoError::Kem)?;
        Ok(Zeroizing::new(mlkem768::decapsulate(&secret, &sent)))
    }
}

pub(crate) struct Gcm(Aes256Gcm);

impl AeadKey for Gcm {
    fn new(key: &[u8; 32]) -> Gcm {
        Gcm(Aes256Gcm::new(key.into()))
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let made =
            self.0.encrypt_in_place_detached(&nonce.into(), aad, data).map_err(|_| CryptoError::Aead)?;
        tag.copy_from_slice(&made);
        Ok(())
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let at = data.len().checked_sub(16).ok_or(CryptoError::Aead)?;
        let (data, tag) = data.split_at_mut(at);
        let tag: [u8; 16] = (&*tag).try_into().map_err(|_| CryptoError::Aead)?;
        self.0.decrypt_in_place_detached(&nonce.into(), aad, data, &tag.into()).map_err(|_| CryptoError::Aead)
    }
}
