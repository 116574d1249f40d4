//! CPace with ristretto255 and SHA-512, as an initiator and a responder: draft-irtf-cfrg-cpace-21, sections 7 and 8.3.
//!
//! Guarantee: a share that is no group element, or the neutral one, gives no key. Scalars and keys are wiped.

use crate::crypto::{CryptoError, Provider, Secret32, random_secret};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

const DSI: &[u8] = b"CPaceRistretto255";
const DSI_ISK: &[u8] = b"CPaceRistretto255_ISK";
/// SHA-512's block, in bytes.
const BLOCK: usize = 128;

/// A share as it stands on the wire.
pub(super) type Share = [u8; 32];
/// An authenticator, HMAC-SHA512.
pub(super) type Tag = [u8; 64];

/// Appends `data` behind its length in LEB128 (appendix A.1.1).
fn prepend_len(data: &[u8], out: &mut Vec<u8>) {
    let mut len = data.len();
    while len >= 128 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(data);
}

/// Each of `parts` behind its length (appendix A.1.3).
fn lv_cat(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    // Reserved in full, so that growing leaves no copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len() + 9).sum()));
    parts.iter().for_each(|part| prepend_len(part, &mut out));
    out
}

/// The generator that both derive from what they share (section 8.1). `prs` is padded so that it fills the first block.
fn generator(prs: &[u8], ci: &[u8], sid: &[u8]) -> RistrettoPoint {
    let used = lv_cat(&[prs]).len() + lv_cat(&[DSI]).len() + 1;
    let padding = vec![0; BLOCK.saturating_sub(used)];
    let string = lv_cat(&[DSI, prs, &padding, ci, sid]);
    let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(&*string)));
    RistrettoPoint::from_uniform_bytes(&hash)
}

/// One side's secret of one run, used once.
pub(super) struct Secret(Zeroizing<Scalar>);

impl Secret {
    fn draw(provider: &dyn Provider) -> Result<Secret, CryptoError> {
        let mut bytes = random_secret(provider)?;
        // Below 2²⁵², and so below the order of the group.
        bytes[31] &= 0x0f;
        Ok(Secret(Zeroizing::new(Scalar::from_bytes_mod_order(*bytes))))
    }

    /// Draws a secret, and the share for the other side.
    pub(super) fn begin(
        prs: &Secret32,
        ci: &[u8],
        sid: &[u8],
        provider: &dyn Provider,
    ) -> Result<(Secret, Share), CryptoError> {
        let secret = Secret::draw(provider)?;
        let share = secret.share(&generator(&prs[..], ci, sid));
        Ok((secret, share))
    }

    fn share(&self, generator: &RistrettoPoint) -> Share {
        (*self.0 * generator).compress().to_bytes()
    }

    /// The point that both come to; `None` if the other's share is no group element or leads to the neutral one.
    fn point(&self, theirs: &Share) -> Option<Zeroizing<[u8; 32]>> {
        let theirs = CompressedRistretto(*theirs).decompress()?;
        let point = *self.0 * theirs;
        (!point.is_identity()).then(|| Zeroizing::new(point.compress().to_bytes()))
    }
}

/// Both shares and whose they are, the initiator's first.
pub(super) struct Transcript<'a> {
    pub(super) sid: &'a [u8],
    pub(super) a: (&'a Share, &'a [u8]),
    pub(super) b: (&'a Share, &'a [u8]),
}

impl Transcript<'_> {
    /// The intermediate session key (section 7.2). `theirs` is the share of whoever does not hold `secret`.
    fn isk(&self, secret: &Secret, theirs: &Share) -> Option<Zeroizing<[u8; 64]>> {
        let point = secret.point(theirs)?;
        let mut hash = Sha512::new();
        hash.update(&*lv_cat(&[DSI_ISK, self.sid, &*point]));
        hash.update(&*lv_cat(&[self.a.0, self.a.1, self.b.0, self.b.1]));
        Some(Zeroizing::new(hash.finalize().into()))
    }

    /// What each side shows to have come to the same key (section 10.4): the initiator's, and the responder's.
    pub(super) fn tags(&self, secret: &Secret, theirs: &Share) -> Option<(Tag, Tag)> {
        let isk = self.isk(secret, theirs)?;
        let mut hash = Sha512::new();
        hash.update(b"CPaceMac");
        hash.update(self.sid);
        hash.update(&isk[..]);
        let key = Zeroizing::new(<[u8; 64]>::from(hash.finalize()));
        let tag = |(share, who): (&Share, &[u8])| {
            let mut mac = Hmac::<Sha512>::new_from_slice(&*key).expect("HMAC takes a key of any length");
            mac.update(&lv_cat(&[share, who]));
            mac.finalize().into_bytes().into()
        };
        Some((tag(self.a), tag(self.b)))
    }
}

#[cfg(test)]
mod tests {
    //! Appendix B.3 of draft-irtf-cfrg-cpace-21, and B.3.11 for what is no share.

    use super::*;
    use data_encoding::HEXLOWER;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret(Zeroizing::new(Scalar::from_canonical_bytes(hex(text)).unwrap()))
    }

    const CI: &[u8] = b"\x0bA_initiator\x0bB_responder";

    #[test]
    fn lengths_are_written_as_in_appendix_a() {
        assert_eq!(lv_cat(&[b"1234", b"5", b"", b"678"])[..], *b"\x041234\x015\x00\x03678");
        let long: Vec<u8> = (0..128).collect();
        assert_eq!(lv_cat(&[&long])[..4], [0x80, 1, 0, 1]);
    }

    #[test]
    fn the_drafts_vectors_come_out() {
        let sid = hex::<16>("7e4b4791d6a8ef019b936c79fb7f2c57");
        let g = generator(b"Password", CI, &sid);
        let encoded = hex::<32>("222b6b195fe84b1652badb6f6a3ae3d24341e7306967f0b8115b40d5698c7e56");
        assert_eq!(g.compress().to_bytes(), encoded);

        let a = secret("da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08");
        let b = secret("d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d");
        let (ya, yb) = (a.share(&g), b.share(&g));
        assert_eq!(ya, hex("d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157"));
        assert_eq!(yb, hex("3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258"));
        let point = hex("80b69a8a76457ab6a4d7f887a4bf6b55a2f80ac19c333f917a05fc9887c8b40f");
        assert_eq!(*a.point(&yb).unwrap(), point);
        assert_eq!(*b.point(&ya).unwrap(), point);

        let transcript = Transcript { sid: &sid, a: (&ya, b"ADa"), b: (&yb, b"ADb") };
        let isk = hex(concat!(
            "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd",
            "2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447"
        ));
        assert_eq!(*transcript.isk(&a, &yb).unwrap(), isk);
        assert_eq!(*transcript.isk(&b, &ya).unwrap(), isk);
    }

    #[test]
    fn a_share_that_is_no_group_element_or_the_neutral_one_gives_no_key() {
        let s = secret("7cd0e075fa7955ba52c02759a6c90dbbfc10e6d40aea8d283e407d88cf538a05");
        let valid = hex("2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c");
        let result = hex("7c13645fe790a468f62c39beb7388e541d8405d1ade69d1778c5fe3e7f6b600e");
        assert_eq!(*s.point(&valid).unwrap(), result);
        let invalid = hex("2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c");
        assert!(s.point(&invalid).is_none());
        assert!(s.point(&[0; 32]).is_none());
        let (ya, transcript_sid) = (s.share(&generator(b"x", b"", b"")), [1; 32]);
        for share in [invalid, [0; 32], [0xff; 32]] {
            let transcript = Transcript { sid: &transcript_sid, a: (&ya, b"a"), b: (&share, b"b") };
            assert!(transcript.tags(&s, &share).is_none());
        }
    }
}
