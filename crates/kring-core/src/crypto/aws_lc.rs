//! ML-KEM-768 and AES-256-GCM by aws-lc, which wipes its own keys when freed.

use super::{
    AeadKey, CryptoError, KEM_CIPHERTEXT_LEN, KemKey, OpenFrame, Provider, SealFrame, Secret32,
    generic_opener, generic_sealer,
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::kem::{DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

/// The native provider.
pub struct AwsLc;

impl Provider for AwsLc {
    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        aws_lc_rs::rand::fill(out).map_err(|_| CryptoError::Random)
    }

    fn kem_generate(&self) -> Result<Box<dyn KemKey>, CryptoError> {
        let secret = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| CryptoError::Random)?;
        let public = secret.encapsulation_key().and_then(|k| k.key_bytes()).map_err(|_| CryptoError::Kem)?;
        Ok(Box::new(Key { public: public.as_ref().to_vec(), secret }))
    }

    fn kem_encapsulate(
        &self,
        public: &[u8],
        ciphertext: &mut [u8; KEM_CIPHERTEXT_LEN],
    ) -> Result<Secret32, CryptoError> {
        let key = EncapsulationKey::new(&ML_KEM_768, public).map_err(|_| CryptoError::Kem)?;
        let (sent, shared) = key.encapsulate().map_err(|_| CryptoError::Kem)?;
        if sent.as_ref().len() != KEM_CIPHERTEXT_LEN {
            return Err(CryptoError::Kem);
        }
        ciphertext.copy_from_slice(sent.as_ref());
        to_secret(shared.as_ref())
    }

    fn sealer(&self, kid: u64, base_key: &Secret32) -> Box<dyn SealFrame> {
        generic_sealer::<Gcm>(kid, base_key)
    }

    fn opener(&self, kid: u64, base_key: &Secret32) -> Box<dyn OpenFrame> {
        generic_opener::<Gcm>(kid, &base_key[..])
    }
}

fn to_secret(bytes: &[u8]) -> Result<Secret32, CryptoError> {
    let mut secret = Zeroizing::new([0; 32]);
    if bytes.len() != secret.len() {
        return Err(CryptoError::Kem);
    }
    secret.copy_from_slice(bytes);
    Ok(secret)
}

struct Key {
    secret: DecapsulationKey,
    public: Vec<u8>,
}

/// A key pair from its expanded halves, as test vectors have them.
#[cfg(test)]
pub(crate) fn kem_key(secret: &[u8], public: &[u8]) -> Box<dyn KemKey> {
    let secret = DecapsulationKey::new(&ML_KEM_768, secret).expect("a decapsulation key");
    Box::new(Key { secret, public: public.to_vec() })
}

impl KemKey for Key {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret32, CryptoError> {
        let shared = self.secret.decapsulate(ciphertext.into()).map_err(|_| CryptoError::Kem)?;
        to_secret(shared.as_ref())
    }
}

pub(crate) struct Gcm(LessSafeKey);

impl AeadKey for Gcm {
    fn new(key: &[u8; 32]) -> Gcm {
        Gcm(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes")))
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let made = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
            .map_err(|_| CryptoError::Aead)?;
        tag.copy_from_slice(made.as_ref());
        Ok(())
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
            .map(|_| ())
            .map_err(|_| CryptoError::Aead)
    }
}
