//! What can be read of QUIC's packets without keys (RFC 9000, section 17.2): types, connection ids, lengths.
//!
//! Guarantee: whatever the bytes are, nothing beyond them is looked at.

use crate::varint::read_any;

/// Packets of QUIC's handshake have a long header (RFC 9000, section 17.2).
pub(crate) fn is_long(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0x80 != 0)
}

/// Types of packets with a long header.
pub(crate) const INITIAL: u8 = 0xc0;

/// Whether the first packet has a long header of this type; the low bits are protected.
pub(crate) fn is_of_type(datagram: &[u8], kind: u8) -> bool {
    datagram.first().is_some_and(|first| first & 0xf0 == kind)
}

/// The connection ids of a packet with a long header, the receiver's and the sender's, and what follows them.
pub(crate) fn ids(datagram: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (to, rest) = id(datagram.get(5..)?)?;
    let (from, rest) = id(rest)?;
    Some((to, from, rest))
}

fn id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

/// Whether one Initial packet fills the datagram (RFC 9000, section 17.2.2).
pub(crate) fn is_initial_alone(datagram: &[u8]) -> bool {
    let alone = || {
        let (_, _, mut rest) = ids(datagram)?;
        let token = usize::try_from(read_any(&mut rest)?).ok()?;
        let mut rest = rest.get(token..)?;
        let len = read_any(&mut rest)?;
        Some(rest.len() as u64 == len)
    };
    is_of_type(datagram, INITIAL) && alone() == Some(true)
}

/// The packet that begins a connection, in a datagram as long as RFC 9000, section 14.1, demands.
pub(crate) fn is_initial(datagram: &[u8]) -> bool {
    datagram.len() >= 1200 && is_of_type(datagram, INITIAL) && datagram[1..5] == [0, 0, 0, 1]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One Initial packet of `len` bytes in all, with connection ids of 8 bytes.
    pub(crate) fn initial(len: usize) -> Vec<u8> {
        let mut bytes = vec![0xc0, 0, 0, 0, 1, 8];
        bytes.extend([7; 8]);
        bytes.push(8);
        bytes.extend([9; 8]);
        bytes.push(0);
        let rest = len - bytes.len() - 2;
        bytes.extend((0x4000 | rest as u16).to_be_bytes());
        bytes.resize(len, 0);
        bytes
    }

    #[test]
    fn only_a_datagram_of_one_initial_packet_counts_as_one() {
        let good = initial(1200);
        assert!(is_initial_alone(&good));
        assert!((0..good.len()).all(|len| !is_initial_alone(&good[..len])));
    }
}
