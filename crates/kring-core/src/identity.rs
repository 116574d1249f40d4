//! Who a device is: an Ed25519 key that signs the X25519 key of its Noise handshakes.
//!
//! Guarantee: private keys leave an [`Identity`] only through [`Identity::encode`], into memory that is wiped; there
//! is no `Debug`, `Clone` or serialisation.

use crate::crypto::{CryptoError, Provider, Secret32, kdf, random_secret};
use crate::time::WallTime;
use data_encoding::HEXLOWER_PERMISSIVE;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"kring id";
const VERSION: u8 = 1;
/// Old Noise keys are kept until their last ticket ends; more than this many at once means that something is wrong.
const MAX_NOISE_KEYS: usize = 16;

/// How long a certificate over a Noise key holds, in seconds (one year).
pub const CERTIFICATE_LIFETIME: u64 = 365 * 24 * 3600;

/// The public half of an identity: an Ed25519 key (RFC 8032), 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicIdentity([u8; 32]);

impl PublicIdentity {
    /// The key's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What stands for this identity in tickets and on screens.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = kdf::hash("kring identity", &[&self.0]);
        Fingerprint(hash[..20].try_into().expect("20 of 32 bytes"))
    }

    /// Whether `signature` was made by this identity over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
            .is_ok()
    }
}

impl From<[u8; 32]> for PublicIdentity {
    fn from(bytes: [u8; 32]) -> PublicIdentity {
        PublicIdentity(bytes)
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicIdentity({})", self.fingerprint())
    }
}

/// The first 20 bytes of a SHA-256 over an identity; shown as ten groups of four hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub(crate) [u8; 20]);

impl Fingerprint {
    /// The 20 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pair) in self.0.chunks(2).enumerate() {
            let gap = if i == 0 { "" } else { " " };
            write!(f, "{gap}{:02x}{:02x}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads 40 hexadecimal digits; blanks are passed over.
    fn from_str(text: &str) -> Result<Fingerprint, FingerprintError> {
        // More than twice as long as any is nothing to look at.
        let digits: String = text.chars().take(100).filter(|c| !c.is_whitespace()).collect();
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok();
        bytes.and_then(|b| b.try_into().ok()).map(Fingerprint).ok_or(FingerprintError)
    }
}

/// That text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a fingerprint: ten groups of four hexadecimal digits, as `kring id` shows it")]
pub struct FingerprintError;

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// An X25519 key pair for Noise handshakes.
pub(crate) struct NoiseKey {
    secret: StaticSecret,
    pub(crate) public: [u8; 32],
    /// When its certificate ends.
    pub(crate) not_after: WallTime,
}

impl NoiseKey {
    fn new(secret: [u8; 32], not_after: WallTime) -> NoiseKey {
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret).to_bytes();
        NoiseKey { secret, public, not_after }
    }

    /// One whose secret nobody here has, to be certified by somebody dishonest.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn of_public(public: [u8; 32], not_after: WallTime) -> NoiseKey {
        NoiseKey { secret: StaticSecret::from([0; 32]), public, not_after }
    }

    pub(crate) fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes())
    }
}

/// A device's private identity.
pub struct Identity {
    signing: SigningKey,
    /// The newest first; never empty.
    noise: Vec<NoiseKey>,
}

impl Identity {
    /// Draws a new identity.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if there is no randomness.
    pub fn generate(provider: &dyn Provider, now: WallTime) -> Result<Identity, CryptoError> {
        let seed = random_secret(provider)?;
        let noise: Secret32 = random_secret(provider)?;
        let not_after = WallTime(now.0.saturating_add(CERTIFICATE_LIFETIME));
        Ok(Identity { signing: SigningKey::from_bytes(&seed), noise: vec![NoiseKey::new(*noise, not_after)] })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicIdentity {
        PublicIdentity(self.signing.verifying_key().to_bytes())
    }

    /// Short for `self.public().fingerprint()`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.public().fingerprint()
    }

    /// Whether the newest Noise key's certificate ends within 30 days of `now`, so that
    /// [`renew`](Identity::renew) is due.
    #[must_use]
    pub fn renewal_due(&self, now: WallTime) -> bool {
        self.noise[0].not_after.0 < now.0.saturating_add(30 * 24 * 3600)
    }

    /// Draws a new Noise key and forgets those whose certificates have ended.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if there is no randomness; nothing changes then.
    pub fn renew(&mut self, provider: &dyn Provider, now: WallTime) -> Result<(), CryptoError> {
        let secret = random_secret(provider)?;
        self.noise.retain(|k| k.not_after > now);
        self.noise.truncate(MAX_NOISE_KEYS - 1);
        let not_after = WallTime(now.0.saturating_add(CERTIFICATE_LIFETIME));
        self.noise.insert(0, NoiseKey::new(*secret, not_after));
        Ok(())
    }

    pub(crate) fn noise_key(&self) -> &NoiseKey {
        &self.noise[0]
    }

    pub(crate) fn noise_key_of(&self, public: &[u8; 32]) -> Option<&NoiseKey> {
        self.noise.iter().find(|k| k.public == *public)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    pub(crate) fn certificate(&self, key: &NoiseKey) -> Certificate {
        let statement = Certificate::statement(&key.public, key.not_after);
        Certificate {
            identity: self.public(),
            noise: key.public,
            not_after: key.not_after,
            signature: self.sign(&statement),
        }
    }

    /// The bytes to keep in a file or key store, wiped when dropped.
    ///
    /// Layout: `"kring id"`, version 1, the Ed25519 seed (32), the number of Noise keys (1), for each the X25519 secret
    /// (32) and the end of its certificate (8, big-endian seconds), and the first 8 bytes of a SHA-256 over it all.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(50 + 40 * self.noise.len()));
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.signing.to_bytes());
        out.push(self.noise.len() as u8);
        for key in &self.noise {
            out.extend_from_slice(&*key.secret());
            out.extend_from_slice(&key.not_after.0.to_be_bytes());
        }
        let sum = Sha256::digest(&out[..]);
        out.extend_from_slice(&sum[..8]);
        out
    }

    /// Reads what [`encode`](Identity::encode) wrote.
    ///
    /// # Errors
    /// An [`IdentityError`] that says which kind of damage was found.
    pub fn decode(bytes: &[u8]) -> Result<Identity, IdentityError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(IdentityError::NotAnIdentity)?;
        let (&version, rest) = rest.split_first().ok_or(IdentityError::Truncated { came: bytes.len() })?;
        if version != VERSION {
            return Err(IdentityError::Version { came: version });
        }
        let truncated = IdentityError::Truncated { came: bytes.len() };
        let (seed, rest) = rest.split_first_chunk::<32>().ok_or(truncated)?;
        let (&count, rest) = rest.split_first().ok_or(truncated)?;
        let count = usize::from(count);
        if count == 0 || count > MAX_NOISE_KEYS {
            return Err(IdentityError::Checksum);
        }
        if rest.len() < count * 40 + 8 {
            return Err(truncated);
        }
        let (keys, sum) = rest.split_at(count * 40);
        if sum.len() != 8 || Sha256::digest(&bytes[..bytes.len() - 8])[..8] != *sum {
            return Err(IdentityError::Checksum);
        }
        let noise = keys
            .chunks_exact(40)
            .map(|key| {
                let secret = Zeroizing::new(<[u8; 32]>::try_from(&key[..32]).expect("32 of 40 bytes"));
                let end = u64::from_be_bytes(key[32..].try_into().expect("8 of 40 bytes"));
                NoiseKey::new(*secret, WallTime(end))
            })
            .collect();
        Ok(Identity { signing: SigningKey::from_bytes(seed), noise })
    }
}

/// What is wrong with an identity's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The first eight bytes are not those of an identity.
    #[error("expected a Kring identity, which begins with \"kring id\"; this is something else")]
    NotAnIdentity,
    /// A version that this build does not know.
    #[error("expected identity version 1, came version {came}; a newer Kring wrote it, so use that one")]
    Version {
        /// The version found.
        came: u8,
    },
    /// The end is missing.
    #[error("the identity ends too early, after {came} bytes; restore it from a backup")]
    Truncated {
        /// How many bytes there are.
        came: usize,
    },
    /// The checksum does not fit.
    #[error("the identity's checksum does not fit, so its bytes were changed; restore it from a backup")]
    Checksum,
}

/// A statement by an identity that a Noise key is its own until a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Who says so.
    pub identity: PublicIdentity,
    /// The X25519 public key.
    pub noise: [u8; 32],
    /// Until when.
    pub not_after: WallTime,
    signature: [u8; 64],
}

impl Certificate {
    /// Length on the wire in bytes.
    pub const LEN: usize = 32 + 32 + 8 + 64;

    fn statement(noise: &[u8; 32], not_after: WallTime) -> Vec<u8> {
        [b"kring certificate 1", &noise[..], &not_after.0.to_be_bytes()].concat()
    }

    /// identity (32) ‖ noise key (32) ‖ not-after (8, big-endian seconds) ‖ signature (64).
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.identity.0);
        out.extend_from_slice(&self.noise);
        out.extend_from_slice(&self.not_after.0.to_be_bytes());
        out.extend_from_slice(&self.signature);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Certificate, CertificateError> {
        let bytes: &[u8; Certificate::LEN] =
            bytes.try_into().map_err(|_| CertificateError::Length { came: bytes.len() })?;
        let part = |from: usize| <[u8; 32]>::try_from(&bytes[from..from + 32]).expect("32 bytes");
        Ok(Certificate {
            identity: PublicIdentity(part(0)),
            noise: part(32),
            not_after: WallTime(u64::from_be_bytes(bytes[64..72].try_into().expect("8 bytes"))),
            signature: bytes[72..].try_into().expect("64 bytes"),
        })
    }

    /// Checks that the identity in it signed it for exactly `proven`, the Noise key just used, and that it still holds.
    pub(crate) fn check(&self, proven: &[u8; 32], now: WallTime) -> Result<(), CertificateError> {
        if self.noise != *proven {
            return Err(CertificateError::OtherKey);
        }
        if !self.identity.verify(&Certificate::statement(&self.noise, self.not_after), &self.signature) {
            return Err(CertificateError::Signature);
        }
        if self.not_after <= now {
            return Err(CertificateError::Expired);
        }
        Ok(())
    }
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not [`Certificate::LEN`] bytes.
    #[error("expected a certificate of {} bytes, came {came}", Certificate::LEN)]
    Length {
        /// How many came.
        came: usize,
    },
    /// It is about another Noise key than the one proven.
    #[error("the certificate names another Noise key than the one that was proven")]
    OtherKey,
    /// Its identity did not sign it.
    #[error("the certificate is not signed by the identity in it")]
    Signature,
    /// Its time is over.
    #[error("the certificate has expired; check both clocks")]
    Expired,
    /// It is from another identity than the ticket names.
    #[error("the certificate is of another identity than the ticket names")]
    OtherIdentity,
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;

    const NOW: WallTime = WallTime(1_800_000_000);

    fn identity() -> Identity {
        Identity::generate(&AwsLc, NOW).unwrap()
    }

    #[test]
    fn an_identity_survives_being_stored() {
        let mut id = identity();
        id.renew(&AwsLc, NOW).unwrap();
        let back = Identity::decode(&id.encode()).unwrap();
        assert_eq!(back.public(), id.public());
        assert_eq!(back.noise_key().public, id.noise_key().public);
        assert_eq!(back.noise.len(), 2);
    }

    #[test]
    fn a_fingerprint_reads_as_it_is_shown_and_nothing_else_does() {
        let shown = identity().fingerprint();
        for text in [shown.to_string(), shown.to_string().replace(' ', "").to_uppercase()] {
            assert_eq!(text.parse(), Ok(shown));
        }
        for text in ["", "Anna", "00", &format!("{shown} 00"), &"0".repeat(200)] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }

    #[test]
    fn each_kind_of_damage_has_its_own_error() {
        let good = identity().encode();
        assert_eq!(Identity::decode(b"hello, this is text").err(), Some(IdentityError::NotAnIdentity));
        for n in 9..good.len() {
            assert_eq!(Identity::decode(&good[..n]).err(), Some(IdentityError::Truncated { came: n }), "{n}");
        }
        let mut other = good.to_vec();
        other[8] = 7;
        assert_eq!(Identity::decode(&other).err(), Some(IdentityError::Version { came: 7 }));
        for at in [9, 40, 45, good.len() - 1] {
            let mut bad = good.to_vec();
            bad[at] ^= 0x10;
            assert!(Identity::decode(&bad).is_err(), "byte {at}");
        }
        let longer = [&good[..], b"x"].concat();
        assert_eq!(Identity::decode(&longer).err(), Some(IdentityError::Checksum));
    }

    #[test]
    fn a_certificate_holds_for_its_own_key_and_time_only() {
        let (a, b) = (identity(), identity());
        let cert = a.certificate(a.noise_key());
        let mut wire = Vec::new();
        cert.encode(&mut wire);
        let cert = Certificate::decode(&wire).unwrap();
        assert_eq!(cert.check(&a.noise_key().public, NOW), Ok(()));
        assert_eq!(cert.check(&b.noise_key().public, NOW), Err(CertificateError::OtherKey));
        let late = WallTime(cert.not_after.0);
        assert_eq!(cert.check(&a.noise_key().public, late), Err(CertificateError::Expired));
        let stolen = Certificate { identity: b.public(), ..cert };
        assert_eq!(stolen.check(&a.noise_key().public, NOW), Err(CertificateError::Signature));
    }

    #[test]
    fn an_old_noise_key_is_kept_until_its_certificate_ends() {
        let mut id = identity();
        let old = id.noise_key().public;
        id.renew(&AwsLc, NOW).unwrap();
        assert!(id.noise_key_of(&old).is_some());
        id.renew(&AwsLc, WallTime(NOW.0 + CERTIFICATE_LIFETIME + 1)).unwrap();
        assert!(id.noise_key_of(&old).is_none());
    }
}
