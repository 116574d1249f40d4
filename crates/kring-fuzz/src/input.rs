//! A fuzzer's bytes, read as numbers and choices.
//!
//! Guarantee: never fails; past the end everything is zero, so that a shorter input is a simpler one.

pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (mut array, bytes) = ([0; N], self.bytes(N));
        array[..bytes.len()].copy_from_slice(bytes);
        array
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// A number below `end`, which is at most 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.u8()) % end
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// Up to 255 bytes, their number first.
    pub(crate) fn short(&mut self) -> &'a [u8] {
        let count = self.u8().into();
        self.bytes(count)
    }
}

/// Changes `bytes` at up to four places; says whether they are other bytes now.
pub(crate) fn damage(input: &mut Input<'_>, bytes: &mut Vec<u8>) -> bool {
    let before = bytes.clone();
    for _ in 0..=input.below(4) {
        let (at, value) = (usize::from(input.u16()), input.u8());
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match input.below(5) {
            0 | 1 => bytes[at] ^= value,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, value),
            _ => drop(bytes.remove(at)),
        }
    }
    *bytes != before
}
