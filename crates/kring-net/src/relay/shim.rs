//! The packets that a relay forwards: plain UDP, beside QUIC on the same port.
//!
//! Guarantee: a packet is told by its first byte, which neither QUIC (RFC 9000, section 17: 0x40 is set), STUN (0 to 3)
//! nor DTLS (20 to 63) has (RFC 9443); what a relay sends is never longer than what it got; an address counts only after
//! a MAC under the session's secret *and* a cookie that was received there.
//!
//! | first byte | then |
//! |---|---|
//! | 0x10 data | token (8), payload |
//! | 0x11 bind | token (8), counter (8), cookie (8), zeros (19), MAC (16) |
//! | 0x12 bound | token (8), counter (8), cookie (8), 1 if bound else 0 (1), observed address (16), port (2), MAC (16) |

use super::keys::{SessionSecret, Token};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// First byte of a packet with a payload.
pub const DATA: u8 = 0x10;
/// First byte of a client's word that it is at a new address.
pub const BIND: u8 = 0x11;
/// First byte of a relay's answer to that.
pub const BOUND: u8 = 0x12;
/// Bytes in front of a payload.
pub const HEADER: usize = 9;
/// Length of [`BIND`] and [`BOUND`] packets, in bytes.
pub const BIND_LEN: usize = 60;
/// The longest payload, in bytes. A connection that begins at a relay has packets of 1,223 bytes at most, which with headers are
/// 1,280 of IPv6; one that comes to it later may have nine bytes more, until QUIC finds that these do not arrive.
pub const MAX_PAYLOAD: usize = 1232;

const MAC: usize = 16;
const SIGNED: usize = BIND_LEN - MAC;

/// What a relay's client or a relay received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// From the other side of a session, or for it.
    Data {
        /// The receiver's own handle if a relay sent it, the sender's if a client did.
        token: Token,
        /// What one client has for the other.
        payload: &'a [u8],
    },
    /// A client's word that it is at the address that this comes from.
    Bind(Bind<'a>),
    /// A relay's answer to it.
    Bound(Bound<'a>),
}

/// A packet by which a client tells where it is. Nothing in it is proven before [`Bind::opens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The session's side.
    pub token: Token,
    /// Higher in each than in the one before.
    pub counter: u64,
    /// From the relay's last answer; 0 if there was none.
    pub cookie: u64,
    whole: &'a [u8; BIND_LEN],
}

impl Bind<'_> {
    /// Whether whoever has `secret` wrote it.
    #[must_use]
    pub fn opens(&self, secret: &SessionSecret) -> bool {
        secret.holds(&self.whole[..SIGNED], &self.whole[SIGNED..])
    }
}

/// A packet by which a relay tells what it sees. Nothing in it is proven before [`Bound::opens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound<'a> {
    /// The session's side.
    pub token: Token,
    /// That of the packet that this answers.
    pub counter: u64,
    /// To be sent back, so that the relay knows that packets arrive.
    pub cookie: u64,
    /// Whether the relay sends to that address from now on.
    pub bound: bool,
    /// Where the relay saw the packet come from.
    pub observed: SocketAddr,
    whole: &'a [u8; BIND_LEN],
}

impl Bound<'_> {
    /// Whether whoever has `secret` wrote it.
    #[must_use]
    pub fn opens(&self, secret: &SessionSecret) -> bool {
        secret.holds(&self.whole[..SIGNED], &self.whole[SIGNED..])
    }
}

/// Whether a datagram that came from a relay's address is one of these, and not QUIC's or STUN's.
#[must_use]
pub fn is_shim(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (DATA..=BOUND).contains(first))
}

/// Reads a datagram; `None` if it is none of these.
#[must_use]
pub fn parse(datagram: &[u8]) -> Option<Packet<'_>> {
    let (kind, rest) = datagram.split_first()?;
    let (token, payload) = rest.split_first_chunk()?;
    let token = Token(u64::from_be_bytes(*token));
    if *kind == DATA {
        return Some(Packet::Data { token, payload });
    }
    let whole: &[u8; BIND_LEN] = datagram.try_into().ok()?;
    let number = |at: usize| u64::from_be_bytes(whole[at..at + 8].try_into().expect("eight bytes"));
    let (counter, cookie) = (number(9), number(17));
    match *kind {
        BIND if whole[25..SIGNED] == [0; 19] => Some(Packet::Bind(Bind { token, counter, cookie, whole })),
        BOUND if whole[25] <= 1 => {
            let observed = read_address(&whole[26..44]).expect("eighteen bytes");
            Some(Packet::Bound(Bound { token, counter, cookie, bound: whole[25] == 1, observed, whole }))
        }
        _ => None,
    }
}

/// Puts the header of `token` in front of `payload`.
#[must_use]
pub fn wrap(token: Token, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + payload.len());
    out.push(DATA);
    out.extend_from_slice(&token.0.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// Writes a client's word that it is at a new address.
#[must_use]
pub fn bind(token: Token, secret: &SessionSecret, counter: u64, cookie: u64) -> [u8; BIND_LEN] {
    let mut out = head(BIND, token, counter, cookie);
    let tag = secret.tag(&out[..SIGNED]);
    out[SIGNED..].copy_from_slice(&tag);
    out
}

/// Writes a relay's answer to `to`.
#[must_use]
pub fn bound(
    to: &Bind<'_>,
    secret: &SessionSecret,
    cookie: u64,
    bound: bool,
    observed: SocketAddr,
) -> [u8; BIND_LEN] {
    let mut out = head(BOUND, to.token, to.counter, cookie);
    out[25] = bound.into();
    out[26..44].copy_from_slice(&write_address(observed));
    let tag = secret.tag(&out[..SIGNED]);
    out[SIGNED..].copy_from_slice(&tag);
    out
}

fn head(kind: u8, token: Token, counter: u64, cookie: u64) -> [u8; BIND_LEN] {
    let mut out = [0; BIND_LEN];
    out[0] = kind;
    out[1..9].copy_from_slice(&token.0.to_be_bytes());
    out[9..17].copy_from_slice(&counter.to_be_bytes());
    out[17..25].copy_from_slice(&cookie.to_be_bytes());
    out
}

/// An address as 16 bytes, IPv4 ones mapped into IPv6 (RFC 4291, section 2.5.5.2), and a port.
pub(crate) fn write_address(address: SocketAddr) -> [u8; 18] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut out = [0; 18];
    out[..16].copy_from_slice(&ip.octets());
    out[16..].copy_from_slice(&address.port().to_be_bytes());
    out
}

pub(crate) fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_first_chunk::<16>()?;
    let ip = Ipv6Addr::from(*ip).to_canonical();
    Some(SocketAddr::new(ip, u16::from_be_bytes(port.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use zeroize::Zeroizing;

    fn secret(byte: u8) -> SessionSecret {
        SessionSecret(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_payload_comes_back_whole_behind_nine_bytes() {
        let packet = wrap(Token(0x0102_0304_0506_0708), b"QUIC");
        assert_eq!(packet, b"\x10\x01\x02\x03\x04\x05\x06\x07\x08QUIC");
        let read = parse(&packet);
        assert_eq!(read, Some(Packet::Data { token: Token(0x0102_0304_0506_0708), payload: b"QUIC" }));
    }

    #[test]
    fn a_bind_and_its_answer_are_as_long_and_hold_under_one_secret() {
        let sent = bind(Token(7), &secret(1), 5, 6);
        let Some(Packet::Bind(read)) = parse(&sent) else { panic!("a bind") };
        assert_eq!((read.token, read.counter, read.cookie), (Token(7), 5, 6));
        assert!(read.opens(&secret(1)) && !read.opens(&secret(2)));

        for observed in ["192.0.2.1:4433", "[2001:db8::1]:9"] {
            let observed = observed.parse().unwrap();
            let answer = bound(&read, &secret(1), 9, true, observed);
            assert_eq!(answer.len(), sent.len());
            let Some(Packet::Bound(read)) = parse(&answer) else { panic!("an answer") };
            assert_eq!((read.counter, read.cookie, read.bound, read.observed), (5, 9, true, observed));
            assert!(read.opens(&secret(1)) && !read.opens(&secret(2)));
        }
    }

    /// The example of docs/protocol.md, section 14.2, made by another program (Python's hmac).
    #[test]
    fn the_bytes_are_those_on_paper() {
        let secret = SessionSecret(Zeroizing::new(std::array::from_fn(|i| i as u8)));
        let token = Token(0x0102_0304_0506_0708);
        let sent = bind(token, &secret, 1, 0);
        assert_eq!(
            HEXLOWER.encode(&sent),
            "1101020304050607080000000000000001000000000000000000000000000000000000000000000000000000\
             da0d803365f5e4eeb8e51c6816e8c5b7"
        );
        let Some(Packet::Bind(read)) = parse(&sent) else { panic!("a bind") };
        let answer = bound(&read, &secret, 0x1122_3344_5566_7788, false, "192.0.2.1:4433".parse().unwrap());
        assert_eq!(
            HEXLOWER.encode(&answer),
            "120102030405060708000000000000000111223344556677880000000000000000000000ffffc00002011151\
             d1b2ea93295f53e0f5803b0884cc0c19"
        );
    }

    #[test]
    fn a_changed_bind_does_not_open() {
        let sent = bind(Token(7), &secret(1), 5, 6);
        for at in 0..BIND_LEN {
            let mut changed = sent;
            changed[at] ^= 1;
            assert!(!matches!(parse(&changed), Some(Packet::Bind(b)) if b.opens(&secret(1))), "byte {at}");
        }
    }

    #[test]
    fn what_is_neither_is_not_read() {
        for bytes in
            [&[][..], &[DATA], &[DATA; 8], &[BIND; 59], &[BIND; 60], &[BOUND; 61], &[0; 60], &[0x40; 60]]
        {
            assert_eq!(parse(bytes), None, "{bytes:?}");
        }
    }
}
