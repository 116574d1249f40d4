//! Type–length–value fields with QUIC's variable-length integers (RFC 9000, section 16), the form of everything that
//! a relay and its clients tell each other.
//!
//! Guarantee: reading allocates nothing and looks at nothing beyond the bytes given; a number has one encoding, its
//! shortest; unknown types are passed over. Types of the form 31·n + 33 mean nothing (the idea of RFC 8701).

use crate::varint::{MAX, len, read, write};

/// A field cut short, missing, repeated where it must not be, or of a form that it cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a field is missing, cut short, or not in the form that it should have")]
pub struct Malformed;

/// Appends a field.
pub(crate) fn put(kind: u64, value: &[u8], out: &mut Vec<u8>) {
    write(kind, out);
    write(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Appends a field that holds one number, at most 2⁶² − 1.
pub(crate) fn put_number(kind: u64, value: u64, out: &mut Vec<u8>) {
    write(kind, out);
    write(len(value.min(MAX)) as u64, out);
    write(value, out);
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
            let kind = read(&mut rest)?;
            let len = usize::try_from(read(&mut rest)?).ok()?;
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
    let n = read(&mut value).ok_or(Malformed)?;
    if value.is_empty() { Ok(n) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_9000_appendix_a1_come_out() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            assert_eq!(number(bytes), Ok(value));
            let mut out = Vec::new();
            write(value, &mut out);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn long_forms_and_lengths_beyond_the_end_are_malformed() {
        assert_eq!(number(&[0x40, 0x25]), Err(Malformed));
        assert_eq!(Fields(&[5, 9, 1]).collect::<Vec<_>>(), [Err(Malformed)]);
        assert_eq!(Fields(&[5]).collect::<Vec<_>>(), [Err(Malformed)]);
    }
}
