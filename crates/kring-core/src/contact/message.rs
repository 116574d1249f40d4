//! What two who talk tell each other so that they can call again: the values of control messages 20 and 21.
//!
//! Guarantee: decoding is bounded, and passes over what it does not know.

use crate::address::{self, MAX_ADDRESSES};
use crate::crypto::Secret32;
use crate::identity::Certificate;
use crate::wire::{self, Fields, Malformed};
use std::net::SocketAddr;
use zeroize::Zeroizing;

/// One side's part of the secret, and the Noise key by which it can be dialled from now on.
pub(crate) struct ContactOffer {
    pub(crate) secret: Secret32,
    pub(crate) certificate: Certificate,
}

impl ContactOffer {
    /// 1: random (32), 2: certificate (136).
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(40 + Certificate::LEN);
        wire::put(1, &*self.secret, out);
        let mut certificate = Vec::with_capacity(Certificate::LEN);
        self.certificate.encode(&mut certificate);
        wire::put(2, &certificate, out);
    }

    pub(crate) fn decode(value: &[u8]) -> Result<ContactOffer, Malformed> {
        let (mut secret, mut certificate) = (None, None);
        for field in Fields(value) {
            match field? {
                (1, v) => secret = Some(Zeroizing::new(v.try_into().map_err(|_| Malformed)?)),
                (2, v) => certificate = Some(Certificate::decode(v).map_err(|_| Malformed)?),
                _ => {}
            }
        }
        Ok(ContactOffer { secret: secret.ok_or(Malformed)?, certificate: certificate.ok_or(Malformed)? })
    }
}

/// Where one can be reached: addresses as in tickets.
pub(crate) fn encode_reach(addresses: &[SocketAddr], out: &mut Vec<u8>) {
    addresses.iter().take(MAX_ADDRESSES).for_each(|a| address::put(*a, out));
}

pub(crate) fn decode_reach(value: &[u8]) -> Result<Vec<SocketAddr>, Malformed> {
    let mut addresses = Vec::new();
    for field in Fields(value) {
        let (kind, value) = field?;
        let Ok(kind) = u8::try_from(kind) else { continue };
        if let Some(address) = address::read(kind, value).map_err(|_| Malformed)? {
            if addresses.len() == MAX_ADDRESSES {
                return Err(Malformed);
            }
            addresses.push(address);
        }
    }
    Ok(addresses)
}
