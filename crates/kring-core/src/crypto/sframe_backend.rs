//! SFrame (RFC 9605) over any [`AeadKey`], with the expanded AES key held from frame to frame.
//!
//! Guarantee: one sealer never uses a counter twice; it is the only one for its key id.

use super::{AeadKey, CryptoError, OpenFrame, SealFrame, Secret32};
use hkdf::Hkdf;
use sframe::CipherSuite;
use sframe::crypto::{
    AeadDecrypt, AeadEncrypt, DecryptionBufferView, EncryptionBufferView, KeyDerivation,
    get_hkdf_key_expand_label, get_hkdf_salt_expand_label,
};
use sframe::error::{Result, SframeError};
use sframe::frame::{EncryptedFrameView, MediaFrameView, MonotonicCounter};
use sframe::header::{Counter, KeyId};
use sframe::key::{GenericDecryptionKey, GenericEncryptionKey};
use sha2::Sha512;
use std::marker::PhantomData;
use zeroize::Zeroizing;

const SUITE: CipherSuite = CipherSuite::AesGcm256Sha512;

/// What RFC 9605, section 4.4.2, derives from a base key: the AEAD key, expanded, and the nonce salt.
pub(super) struct FrameSecret<A> {
    aead: A,
    salt: Zeroizing<[u8; 12]>,
}

impl<A> FrameSecret<A> {
    /// Section 4.4.3: the salt XOR the counter.
    fn nonce(&self, counter: Counter) -> [u8; 12] {
        let mut nonce = *self.salt;
        for (n, c) in nonce[4..].iter_mut().zip(counter.to_be_bytes()) {
            *n ^= c;
        }
        nonce
    }
}

pub(super) struct Kdf<A>(PhantomData<A>);

impl<A: AeadKey> KeyDerivation for Kdf<A> {
    type Secret = FrameSecret<A>;

    fn expand_from<M: AsRef<[u8]>, K: Into<KeyId>>(
        suite: CipherSuite,
        material: M,
        kid: K,
    ) -> Result<FrameSecret<A>> {
        let kid = kid.into();
        let hkdf = Hkdf::<Sha512>::new(Some(&[]), material.as_ref());
        let mut key = Zeroizing::new([0; 32]);
        let mut salt = Zeroizing::new([0; 12]);
        hkdf.expand(&get_hkdf_key_expand_label(kid, suite), &mut *key)
            .and_then(|()| hkdf.expand(&get_hkdf_salt_expand_label(kid, suite), &mut *salt))
            .map_err(|_| SframeError::KeyDerivationFailure)?;
        Ok(FrameSecret { aead: A::new(&key), salt })
    }
}

pub(super) struct Aead<A>(PhantomData<A>);

impl<A> TryFrom<CipherSuite> for Aead<A> {
    type Error = SframeError;

    fn try_from(suite: CipherSuite) -> Result<Self> {
        match suite {
            CipherSuite::AesGcm256Sha512 => Ok(Aead(PhantomData)),
            _ => Err(SframeError::KeyDerivationFailure),
        }
    }
}

impl<A: AeadKey> AeadEncrypt for Aead<A> {
    type Secret = FrameSecret<A>;

    fn encrypt<'a, B: Into<EncryptionBufferView<'a>>>(
        &self,
        secret: &FrameSecret<A>,
        buffer: B,
        counter: Counter,
    ) -> Result<()> {
        let view = buffer.into();
        secret
            .aead
            .seal(secret.nonce(counter), view.aad, view.data, view.tag)
            .map_err(|_| SframeError::EncryptionFailure)
    }
}

impl<A: AeadKey> AeadDecrypt for Aead<A> {
    type Secret = FrameSecret<A>;

    fn decrypt<'a, B: Into<DecryptionBufferView<'a>>>(
        &self,
        secret: &FrameSecret<A>,
        buffer: B,
        counter: Counter,
    ) -> Result<()> {
        let view = buffer.into();
        secret
            .aead
            .open(secret.nonce(counter), view.aad, view.data)
            .map_err(|_| SframeError::DecryptionFailure)
    }
}

struct Sealer<A: AeadKey> {
    key: GenericEncryptionKey<Aead<A>, Kdf<A>>,
    counter: MonotonicCounter,
}

impl<A: AeadKey> SealFrame for Sealer<A> {
    fn seal(
        &mut self,
        metadata: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), CryptoError> {
        if self.counter.is_exhausted() {
            return Err(CryptoError::CounterExhausted);
        }
        out.clear();
        MediaFrameView::try_with_meta_data(&mut self.counter, plaintext, metadata)
            .and_then(|frame| frame.encrypt_into(&self.key, out).map(|_| ()))
            .map_err(|_| CryptoError::Aead)
    }

    fn sealed(&self) -> u64 {
        self.counter.current()
    }
}

struct Opener<A: AeadKey>(GenericDecryptionKey<Aead<A>, Kdf<A>>);

impl<A: AeadKey> OpenFrame for Opener<A> {
    fn open(
        &self,
        metadata: &[u8],
        sframe: &[u8],
        out: &mut Vec<u8>,
    ) -> std::result::Result<u64, CryptoError> {
        out.clear();
        let opened = EncryptedFrameView::try_with_meta_data(sframe, metadata).and_then(|frame| {
            let counter = frame.header().counter();
            frame.decrypt_into(&self.0, out).map(|_| counter)
        });
        match opened {
            Ok(counter) => {
                // The buffer holds metadata ‖ plaintext.
                out.drain(..metadata.len());
                Ok(counter)
            }
            Err(_) => {
                out.clear();
                Err(CryptoError::Aead)
            }
        }
    }
}

/// A sealer from key material of any length whose counter starts elsewhere, as in test vectors.
#[cfg(test)]
pub(crate) fn sealer_at<A: AeadKey>(kid: u64, material: &[u8], counter: u64) -> Box<dyn SealFrame> {
    let key = GenericEncryptionKey::derive_from(SUITE, kid, material).expect("HKDF takes any key");
    Box::new(Sealer::<A> { key, counter: MonotonicCounter::with_start_value(counter, u64::MAX) })
}

pub(crate) fn generic_sealer<A: AeadKey>(kid: u64, base_key: &Secret32) -> Box<dyn SealFrame> {
    let key = GenericEncryptionKey::derive_from(SUITE, kid, &base_key[..])
        .expect("HKDF-SHA512 gives 44 bytes from any key");
    Box::new(Sealer::<A> { key, counter: MonotonicCounter::default() })
}

pub(crate) fn generic_opener<A: AeadKey>(kid: u64, base_key: &[u8]) -> Box<dyn OpenFrame> {
    let key = GenericDecryptionKey::derive_from(SUITE, kid, base_key)
        .expect("HKDF-SHA512 gives 44 bytes from any key");
    Box::new(Opener::<A>(key))
}
