//! SFrame (RFC 9605) over any [`AeadKey`], with the expanded AES key held from frame to frame.
//!
//! Guarantee: one sealer never uses a counter twice; it is the only one for its key id.

use super::{AeadKey, CryptoError, OpenFrame, SealFrame, Secret32};
use hkdf::Hkdf;
use sframe::CipherSuite;
use sframe::crypto::{get_hkdf_key_expand_label, get_hkdf_salt_expand_label};
use sframe::frame::{FrameCounter, MonotonicCounter};
use sframe::header::{Counter, KeyId};
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

const SUITE: CipherSuite = CipherSuite::AesGcm256Sha512;
const TAG: usize = 16;

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

struct Sealer<A> {
    secret: FrameSecret<A>,
    kid: KeyId,
    counter: MonotonicCounter,
}

/// What is authenticated beside the plaintext (RFC 9605, section 4.4.3): SFrame's header, then the metadata.
struct Beside {
    bytes: [u8; MAX_HEADER + MAX_METADATA],
    len: usize,
}

/// The longest SFrame header: configuration, KID and counter (section 4.3).
const MAX_HEADER: usize = 17;
const MAX_METADATA: usize = 64;

impl Beside {
    /// `None` for metadata longer than any frame header.
    fn new(header: &[u8], metadata: &[u8]) -> Option<Beside> {
        let mut beside = Beside { bytes: [0; MAX_HEADER + MAX_METADATA], len: header.len() + metadata.len() };
        beside.bytes.get_mut(..header.len())?.copy_from_slice(header);
        beside.bytes.get_mut(header.len()..beside.len)?.copy_from_slice(metadata);
        Some(beside)
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<A: AeadKey> SealFrame for Sealer<A> {
    fn seal(&mut self, metadata: &[u8], plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        let counter = self.counter.try_next().map_err(|_| CryptoError::CounterExhausted)?;
        let mut encoded = [0; MAX_HEADER];
        let len = write_header(self.kid, counter, &mut encoded);
        let encoded = &encoded[..len];
        let beside = Beside::new(encoded, metadata).ok_or(CryptoError::Aead)?;
        out.clear();
        // A little more than needed, so that frames of about one size find room at once.
        out.reserve(metadata.len() + MAX_HEADER + plaintext.len() + TAG);
        out.extend_from_slice(metadata);
        out.extend_from_slice(encoded);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let mut tag = [0; TAG];
        let sealed =
            self.secret.aead.seal(self.secret.nonce(counter), beside.get(), &mut out[start..], &mut tag);
        if sealed.is_err() {
            // No plaintext stays where a sealed frame is expected.
            out.zeroize();
            return Err(CryptoError::Aead);
        }
        out.extend_from_slice(&tag);
        Ok(())
    }

    fn sealed(&self) -> u64 {
        self.counter.current()
    }
}

struct Opener<A> {
    secret: FrameSecret<A>,
    kid: KeyId,
}

impl<A: AeadKey> OpenFrame for Opener<A> {
    fn open(&self, metadata: &[u8], sframe: &[u8], out: &mut Vec<u8>) -> Result<u64, CryptoError> {
        out.clear();
        let (kid, counter, len) = read_header(sframe).ok_or(CryptoError::Aead)?;
        let (encoded, ciphertext) = sframe.split_at(len);
        if kid != self.kid || ciphertext.len() < TAG {
            return Err(CryptoError::Aead);
        }
        let beside = Beside::new(encoded, metadata).ok_or(CryptoError::Aead)?;
        out.extend_from_slice(ciphertext);
        let nonce = self.secret.nonce(counter);
        if self.secret.aead.open(nonce, beside.get(), out).is_err() {
            out.clear();
            return Err(CryptoError::Aead);
        }
        out.truncate(ciphertext.len() - TAG);
        Ok(counter)
    }
}

/// Writes SFrame's header (section 4.3): a byte of lengths or values below 8, then the KID and the counter where they are
/// larger, in as few bytes as will do. Gives its length.
fn write_header(kid: KeyId, counter: Counter, out: &mut [u8; MAX_HEADER]) -> usize {
    let mut len = 1;
    let mut field = |value: u64| {
        if value < 8 {
            return value as u8;
        }
        let bytes = value.to_be_bytes();
        let skipped = value.leading_zeros() as usize / 8;
        out[len..len + 8 - skipped].copy_from_slice(&bytes[skipped..]);
        len += 8 - skipped;
        8 | (7 - skipped) as u8
    };
    let config = field(kid) << 4 | field(counter);
    out[0] = config;
    len
}

/// The KID, the counter and the length of an SFrame header; `None` if it is cut short.
pub(crate) fn read_header(sframe: &[u8]) -> Option<(KeyId, Counter, usize)> {
    let config = *sframe.first()?;
    let mut len = 1;
    let mut field = |bits: u8| {
        if bits & 8 == 0 {
            return Some(u64::from(bits));
        }
        let end = len + usize::from(bits & 7) + 1;
        let value = sframe.get(len..end)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        len = end;
        Some(value)
    };
    let (kid, counter) = (field(config >> 4)?, field(config & 15)?);
    Some((kid, counter, len))
}

fn derive<A: AeadKey>(kid: u64, material: &[u8]) -> FrameSecret<A> {
    let hkdf = Hkdf::<Sha512>::new(Some(&[]), material);
    let mut key = Zeroizing::new([0; 32]);
    let mut salt = Zeroizing::new([0; 12]);
    hkdf.expand(&get_hkdf_key_expand_label(kid, SUITE), &mut *key)
        .and_then(|()| hkdf.expand(&get_hkdf_salt_expand_label(kid, SUITE), &mut *salt))
        .expect("HKDF-SHA512 gives 44 bytes from any key");
    FrameSecret { aead: A::new(&key), salt }
}

/// A sealer from key material of any length whose counter starts elsewhere, as in test vectors.
#[cfg(test)]
pub(crate) fn sealer_at<A: AeadKey>(kid: u64, material: &[u8], counter: u64) -> Box<dyn SealFrame> {
    let counter = MonotonicCounter::with_start_value(counter, u64::MAX);
    Box::new(Sealer { secret: derive::<A>(kid, material), kid, counter })
}

pub(crate) fn generic_sealer<A: AeadKey>(kid: u64, base_key: &Secret32) -> Box<dyn SealFrame> {
    Box::new(Sealer { secret: derive::<A>(kid, &base_key[..]), kid, counter: MonotonicCounter::default() })
}

pub(crate) fn generic_opener<A: AeadKey>(kid: u64, base_key: &[u8]) -> Box<dyn OpenFrame> {
    Box::new(Opener { secret: derive::<A>(kid, base_key), kid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sframe::header::SframeHeader;

    proptest::proptest! {
        #[test]
        fn headers_are_those_of_another_implementation(kid in 0u64.., counter in 0u64.., shift in 0u32..64) {
            let (kid, counter) = (kid >> shift, counter >> (63 - shift));
            let (mut own, other) = ([0; MAX_HEADER], SframeHeader::new(kid, counter));
            let len = write_header(kid, counter, &mut own);
            let mut expected = [0; MAX_HEADER];
            other.serialize(&mut expected[..]).unwrap();
            proptest::prop_assert_eq!(&own[..len], &expected[..other.len()]);
            proptest::prop_assert_eq!(read_header(&own[..len]), Some((kid, counter, len)));
        }

        #[test]
        fn any_bytes_read_as_another_implementation_reads_them(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
        ) {
            let other = SframeHeader::deserialize(&bytes).ok().map(|h| (h.key_id(), h.counter()));
            proptest::prop_assert_eq!(read_header(&bytes).map(|(kid, counter, _)| (kid, counter)), other);
        }
    }
}
