//! QUIC's variable-length integers (RFC 9000, section 16), always in their shortest form.
//!
//! Guarantee: [`read`] takes nothing that [`write()`] would not have written, so every value has one encoding.

/// The largest value that a varint holds: 2⁶² − 1.
pub const MAX: u64 = (1 << 62) - 1;

/// How many bytes [`write()`] uses for `value` (values above [`MAX`] are written as [`MAX`]).
#[must_use]
pub const fn len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends `value` to `out`.
pub fn write(value: u64, out: &mut Vec<u8>) {
    let value = value.min(MAX);
    let n = len(value);
    let tagged = value | ((n.trailing_zeros() as u64) << (n * 8 - 2));
    out.extend_from_slice(&tagged.to_be_bytes()[8 - n..]);
}

/// Takes a varint off the front of `input`; `None` if it is cut short or not in its shortest form.
pub fn read(input: &mut &[u8]) -> Option<u64> {
    let n = 1usize << (*input.first()? >> 6);
    let (head, rest) = input.split_at_checked(n)?;
    let mut bytes = [0; 8];
    bytes[8 - n..].copy_from_slice(head);
    let value = u64::from_be_bytes(bytes) & (u64::MAX >> (66 - n * 8));
    if len(value) != n {
        return None;
    }
    *input = rest;
    Some(value)
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
            let mut input = bytes;
            assert_eq!(read(&mut input), Some(value));
            assert!(input.is_empty());
            let mut out = Vec::new();
            write(value, &mut out);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn a_long_form_of_a_small_value_is_refused() {
        assert_eq!(read(&mut &[0x40, 0x25][..]), None);
    }

    #[test]
    fn a_cut_value_is_refused() {
        assert_eq!(read(&mut &[0x9d, 0x7f, 0x3e][..]), None);
        assert_eq!(read(&mut &[][..]), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(value in 0..=MAX) {
            let mut out = Vec::new();
            write(value, &mut out);
            assert_eq!(out.len(), len(value));
            assert_eq!(read(&mut &out[..]), Some(value));
        }
    }
}
