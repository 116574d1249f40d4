//! What QUIC is told in place of addresses.
//!
//! Guarantee: no name is an address of anything on a network: they are from blocks that are never routed, 240.0.0.0/4
//! (RFC 1112, section 4) and 100::/64 (RFC 6666), and the socket sends nothing there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// QUIC wants some port.
const PORT: u16 = 1;

/// The `number`th name, for a socket of that family.
pub(crate) fn name(number: u32, v6: bool) -> SocketAddr {
    let ip: IpAddr = if v6 {
        let [a, b] = [(number >> 16) as u16, number as u16];
        Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, a, b).into()
    } else {
        // The last address of the block is the broadcast address.
        Ipv4Addr::from(0xf000_0000 | (number % 0x0fff_ffff)).into()
    };
    SocketAddr::new(ip, PORT)
}

/// Whether that is a name that stands for whoever is at the other end of a relay's session, rather than an address.
#[must_use]
pub fn is_name(address: &SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.octets()[0] >= 240 && !ip.is_broadcast(),
        IpAddr::V6(ip) => ip.segments()[..4] == [0x100, 0, 0, 0],
    }
}

/// Whether somebody may be there at all: anybody can name any address. Loopback counts only for who is `at_home` there.
#[must_use]
pub fn is_usable(address: SocketAddr, at_home: bool) -> bool {
    let ip = address.ip().to_canonical();
    let nowhere = ip.is_multicast() || ip.is_unspecified() || is_name(&address) || address.port() == 0;
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !nowhere && !broadcast && (at_home || !ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_are_told_from_addresses() {
        for v6 in [false, true] {
            let names: Vec<_> = [0, 1, 65_535, 65_536, 0x0fff_fffe].map(|n| name(n, v6)).into();
            for (at, one) in names.iter().enumerate() {
                assert!(is_name(one) && one.is_ipv6() == v6, "{one}");
                assert!(names[..at].iter().all(|other| other != one));
            }
        }
        for address in
            ["192.0.2.1:1", "255.255.255.255:1", "239.1.1.1:1", "[2001:db8::1]:1", "[100:0:0:1::]:1"]
        {
            assert!(!is_name(&address.parse().unwrap()), "{address}");
        }
    }
}
