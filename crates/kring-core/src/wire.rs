//! Type–length–value fields with QUIC varints, the form of everything inside the Noise channel.
//!
//! Guarantee: reading allocates nothing and looks at nothing beyond the bytes given; unknown types are passed over.
//!
//! Types of the form 31·n + 33 are reserved for GREASE (the idea of RFC 8701): senders add one at random, receivers
//! must pass over it, so that no implementation grows to depend on there being only known types.

use crate::crypto::{CryptoError, Provider};
use crate::varint;

/// A field cut short, or a number not in its shortest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a field is cut short or not in its shortest form")]
pub struct Malformed;

/// Appends a field.
pub(crate) fn put(kind: u64, value: &[u8], out: &mut Vec<u8>) {
    varint::write(kind, out);
    varint::write(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Appends a field that holds one number.
pub(crate) fn put_number(kind: u64, value: u64, out: &mut Vec<u8>) {
    varint::write(kind, out);
    varint::write(varint::len(value) as u64, out);
    varint::write(value, out);
}

/// Appends a field that means nothing.
pub(crate) fn put_grease(provider: &dyn Provider, out: &mut Vec<u8>) -> Result<(), CryptoError> {
    let mut random = [0; 12];
    provider.random(&mut random)?;
    let kind = 31 * u64::from(random[0]) + 33;
    put(kind, &random[2..2 + usize::from(random[1] % 10)], out);
    Ok(())
}

/// The fields of a message, in order.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut rest = self.0;
        let field = (|| {
            let kind = varint::read(&mut rest)?;
            let len = usize::try_from(varint::read(&mut rest)?).ok()?;
            let (value, after) = rest.split_at_checked(len)?;
            rest = after;
            Some((kind, value))
        })();
        // After damage nothing more can be told apart.
        self.0 = if field.is_some() { rest } else { &[] };
        Some(field.ok_or(Malformed))
    }
}

/// The number that makes up all of `value`.
pub(crate) fn number(mut value: &[u8]) -> Result<u64, Malformed> {
    let n = varint::read(&mut value).ok_or(Malformed)?;
    if value.is_empty() { Ok(n) } else { Err(Malformed) }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;

    #[test]
    fn grease_is_passed_over_and_known_fields_found() {
        let mut out = Vec::new();
        put_grease(&AwsLc, &mut out).unwrap();
        put(5, b"five", &mut out);
        put_grease(&AwsLc, &mut out).unwrap();
        put_number(6, 1_000_000, &mut out);
        let known: Vec<_> = Fields(&out).map(Result::unwrap).filter(|(k, _)| *k < 33).collect();
        assert_eq!(known[0], (5, &b"five"[..]));
        assert_eq!(number(known[1].1), Ok(1_000_000));
    }

    #[test]
    fn a_length_beyond_the_end_is_malformed() {
        assert_eq!(Fields(&[5, 9, 1]).collect::<Vec<_>>(), [Err(Malformed)]);
        assert_eq!(Fields(&[5]).collect::<Vec<_>>(), [Err(Malformed)]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            assert!(Fields(&bytes).count() <= bytes.len());
        }
    }
}
