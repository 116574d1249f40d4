//! QUIC's variable-length integers (RFC 9000, section 16).
//!
//! Guarantee: reading allocates nothing and looks at nothing beyond the bytes given. [`read`] takes the shortest form alone, as what Kring
//! writes has one encoding; QUIC itself may use any.

/// The largest value: 2⁶² − 1.
pub(crate) const MAX: u64 = (1 << 62) - 1;

/// How many bytes [`write`] uses.
pub(crate) const fn len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends `value`, or [`MAX`] if it is larger.
pub(crate) fn write(value: u64, out: &mut Vec<u8>) {
    let value = value.min(MAX);
    let n = len(value);
    let tagged = value | ((n.trailing_zeros() as u64) << (n * 8 - 2));
    out.extend_from_slice(&tagged.to_be_bytes()[8 - n..]);
}

/// Takes one off the front in whatever form, as packets' headers have them; `None` if it is cut short.
pub(crate) fn read_any(input: &mut &[u8]) -> Option<u64> {
    let n = 1usize << (*input.first()? >> 6);
    let (head, rest) = input.split_at_checked(n)?;
    let mut bytes = [0; 8];
    bytes[8 - n..].copy_from_slice(head);
    *input = rest;
    Some(u64::from_be_bytes(bytes) & (u64::MAX >> (66 - n * 8)))
}

/// Takes one off the front; `None` if it is cut short or not in its shortest form.
pub(crate) fn read(input: &mut &[u8]) -> Option<u64> {
    let mut rest = *input;
    let value = read_any(&mut rest)?;
    if input.len() - rest.len() != len(value) {
        return None;
    }
    *input = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number and what follows it.
    fn any(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
        read_any(&mut bytes).map(|number| (number, bytes))
    }

    #[test]
    fn the_examples_of_rfc_9000_appendix_a1_come_out_in_any_form() {
        assert_eq!(any(&[0x25]), Some((37, &[][..])));
        assert_eq!(any(&[0x40, 0x25]), Some((37, &[][..])));
        assert_eq!(read(&mut &[0x40, 0x25][..]), None);
        assert_eq!(any(&[0x7b, 0xbd, 1]), Some((15_293, &[1][..])));
        assert_eq!(
            any(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
            Some((151_288_809_941_952_652, &[][..]))
        );
        assert_eq!(any(&[0x40]), None);
    }
}
