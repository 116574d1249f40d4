//! The form of the files in which tickets and contacts are kept.
//!
//! Guarantee: what reads is whole and of this version, and has one encoding; nothing is allocated that the bytes do not hold.
//!
//! magic (8) ‖ version (1) ‖ body ‖ first 8 bytes of SHA-256 over all before. Numbers are big-endian.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const SUM: usize = 8;
/// What stands around a body, in bytes.
const AROUND: usize = 8 + 1 + SUM;

/// What is wrong with a file of tickets or contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// The first eight bytes are others.
    #[error("expected a file that begins with {expected:?}; this is something else")]
    Other {
        /// What it should begin with.
        expected: &'static str,
    },
    /// A version that this build does not know.
    #[error("expected version 1, came version {came}; a newer Kring wrote it, so use that one")]
    Version {
        /// The version found.
        came: u8,
    },
    /// The checksum does not fit.
    #[error("its checksum does not fit: the end is missing or bytes were changed; restore it from a backup")]
    Checksum,
    /// The checksum fits, and what it holds makes no sense.
    #[error("it holds what no Kring of this version writes; restore it from a backup")]
    Malformed,
}

/// Writes a file around `body`, reserved in full so that no copy of a secret is left behind by growing.
pub(crate) fn wrap(magic: &'static str, len: usize, body: impl FnOnce(&mut Vec<u8>)) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(len + AROUND));
    out.extend_from_slice(magic.as_bytes());
    out.push(VERSION);
    body(&mut out);
    debug_assert_eq!(out.len() + SUM, len + AROUND, "reserved exactly");
    let sum = Sha256::digest(&out[..]);
    out.extend_from_slice(&sum[..SUM]);
    out
}

/// The body of a whole file.
pub(crate) fn unwrap<'a>(magic: &'static str, bytes: &'a [u8]) -> Result<Reader<'a>, KeptError> {
    let rest = bytes.strip_prefix(magic.as_bytes()).ok_or(KeptError::Other { expected: magic })?;
    let (&version, rest) = rest.split_first().ok_or(KeptError::Checksum)?;
    if version != VERSION {
        return Err(KeptError::Version { came: version });
    }
    let (body, sum) = rest.split_last_chunk::<SUM>().ok_or(KeptError::Checksum)?;
    if Sha256::digest(&bytes[..bytes.len() - SUM])[..SUM] != *sum {
        return Err(KeptError::Checksum);
    }
    Ok(Reader(body))
}

/// Takes a body apart.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], KeptError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(KeptError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], KeptError> {
        Ok(self.bytes(N)?.try_into().expect("N bytes"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, KeptError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, KeptError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, KeptError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A number of things, at most `most`.
    pub(crate) fn count(&mut self, most: usize) -> Result<usize, KeptError> {
        Some(usize::from(self.u16()?)).filter(|n| *n <= most).ok_or(KeptError::Malformed)
    }

    pub(crate) fn end(self) -> Result<(), KeptError> {
        if self.0.is_empty() { Ok(()) } else { Err(KeptError::Malformed) }
    }
}
