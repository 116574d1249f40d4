//! Addresses as they stand in tickets, in control messages and in the file of contacts.
//!
//! Guarantee: an address that is read has a port, and at most [`MAX_ADDRESSES`] are read.
//!
//! Each is kind (1) ‖ length (1) ‖ value. Kind 4: IPv4 address (4) ‖ port (2). Kind 6: IPv6 address (16) ‖ port (2). As
//! kinds and lengths are below 64, these bytes are those of a [field](crate::wire) too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most addresses of one person.
pub const MAX_ADDRESSES: usize = 8;

/// An address of a known kind that is none; holds the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoAddress(pub(crate) u8);

pub(crate) fn put(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.extend_from_slice(&[4, 6]);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.extend_from_slice(&[6, 18]);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// The address in a field; `None` if its kind is another.
pub(crate) fn read(kind: u8, value: &[u8]) -> Result<Option<SocketAddr>, NoAddress> {
    let (ip, port): (IpAddr, &[u8]) = match kind {
        4 => {
            let (ip, port) = value.split_first_chunk::<4>().ok_or(NoAddress(kind))?;
            (Ipv4Addr::from(*ip).into(), port)
        }
        6 => {
            let (ip, port) = value.split_first_chunk::<16>().ok_or(NoAddress(kind))?;
            (Ipv6Addr::from(*ip).into(), port)
        }
        _ => return Ok(None),
    };
    let port = u16::from_be_bytes(port.try_into().map_err(|_| NoAddress(kind))?);
    if port == 0 {
        return Err(NoAddress(kind));
    }
    Ok(Some(SocketAddr::new(ip, port)))
}
