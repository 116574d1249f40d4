//! What the two ends of a call tell each other of the ways between them: the values of control messages 40 and 41.
//!
//! Guarantee: decoding is bounded, at most [`MAX_CANDIDATES`] addresses are read, and what is not known is passed over.
//!
//! These are candidates of ICE (RFC 8445) with the credentials of its checks; how they are used is not the core's affair.

use crate::crypto::{CryptoError, Provider};
use crate::wire::{self, Fields, Malformed};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use zeroize::Zeroizing;

/// Most candidates of one side.
pub const MAX_CANDIDATES: usize = 16;

const F_NAME: u64 = 1;
const F_PASSWORD: u64 = 2;
const F_SESSION: u64 = 1;

/// What a candidate's address is (RFC 8445, section 5.1.1). Peer-reflexive ones show themselves in checks, and relayed
/// ones are no candidates here: a call's relay is known to both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// One of the device's own.
    Host,
    /// Where a relay sees the device's packets come from.
    ServerReflexive,
    /// One that a router forwards because it was asked to.
    Mapped,
}

impl CandidateKind {
    const ALL: [CandidateKind; 3] =
        [CandidateKind::Host, CandidateKind::ServerReflexive, CandidateKind::Mapped];

    const fn code(self) -> u64 {
        match self {
            CandidateKind::Host => 10,
            CandidateKind::ServerReflexive => 11,
            CandidateKind::Mapped => 12,
        }
    }
}

/// An address at which a side may be found.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// What it is.
    pub kind: CandidateKind,
    /// The higher, the better (RFC 8445, section 5.1.2).
    pub priority: u32,
    /// Where.
    pub address: SocketAddr,
}

impl fmt::Debug for Candidate {
    /// Without the address, which says where somebody is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidate({:?}, {})", self.kind, self.priority)
    }
}

/// By what a side's checks are told from anybody else's: STUN's short-term credentials (RFC 8489, section 9.1).
#[derive(Clone, PartialEq, Eq)]
pub struct CheckCredentials {
    /// Says whose a check is; no secret.
    pub name: [u8; 6],
    /// Authenticates it.
    pub password: Zeroizing<[u8; 18]>,
}

impl CheckCredentials {
    /// Draws new ones.
    ///
    /// # Errors
    /// [`CryptoError::Random`] without randomness.
    pub fn generate(provider: &dyn Provider) -> Result<CheckCredentials, CryptoError> {
        let (mut name, mut password) = ([0; 6], Zeroizing::new([0; 18]));
        provider.random(&mut name)?;
        provider.random(&mut *password)?;
        Ok(CheckCredentials { name, password })
    }
}

impl fmt::Debug for CheckCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckCredentials(…)")
    }
}

/// All the ways to one side, as it sees them itself: what it tells later stands in place of what it told before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Its checks are under these, for the whole call.
    pub credentials: CheckCredentials,
    /// At most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
}

impl Ways {
    /// 1: name (6), 2: password (18), 10 to 12: priority (4) ‖ IPv4 (4) or IPv6 address (16) ‖ port (2).
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        wire::put(F_NAME, &self.credentials.name, out);
        wire::put(F_PASSWORD, &*self.credentials.password, out);
        for candidate in self.candidates.iter().take(MAX_CANDIDATES) {
            let mut value = candidate.priority.to_be_bytes().to_vec();
            match candidate.address.ip().to_canonical() {
                IpAddr::V4(ip) => value.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => value.extend_from_slice(&ip.octets()),
            }
            value.extend_from_slice(&candidate.address.port().to_be_bytes());
            wire::put(candidate.kind.code(), &value, out);
        }
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Ways, Malformed> {
        let (mut name, mut password, mut candidates) = (None, None, Vec::new());
        for field in Fields(value) {
            let (code, value) = field?;
            match code {
                F_NAME => name = Some(value.try_into().map_err(|_| Malformed)?),
                F_PASSWORD => password = Some(Zeroizing::new(value.try_into().map_err(|_| Malformed)?)),
                _ => {
                    let Some(kind) = CandidateKind::ALL.into_iter().find(|kind| kind.code() == code) else {
                        continue;
                    };
                    if candidates.len() == MAX_CANDIDATES {
                        return Err(Malformed);
                    }
                    candidates.push(candidate(kind, value)?);
                }
            }
        }
        let credentials =
            CheckCredentials { name: name.ok_or(Malformed)?, password: password.ok_or(Malformed)? };
        Ok(Ways { credentials, candidates })
    }
}

fn candidate(kind: CandidateKind, value: &[u8]) -> Result<Candidate, Malformed> {
    let (priority, rest) = value.split_first_chunk::<4>().ok_or(Malformed)?;
    let (ip, port) = rest.split_last_chunk::<2>().ok_or(Malformed)?;
    let ip: IpAddr = match ip.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(ip).expect("four bytes")).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(ip).expect("sixteen bytes")).into(),
        _ => return Err(Malformed),
    };
    let (port, priority) = (u16::from_be_bytes(*port), u32::from_be_bytes(*priority));
    if port == 0 || priority == 0 {
        return Err(Malformed);
    }
    Ok(Candidate { kind, priority, address: SocketAddr::new(ip.to_canonical(), port) })
}

/// Names a relay's session to somebody who has its other end, and to nobody else.
pub type SessionName = [u8; 16];

pub(crate) fn encode_session(name: &SessionName, out: &mut Vec<u8>) {
    wire::put(F_SESSION, name, out);
}

pub(crate) fn decode_session(value: &[u8]) -> Result<SessionName, Malformed> {
    let mut name = None;
    for field in Fields(value) {
        if let (F_SESSION, value) = field? {
            name = Some(value.try_into().map_err(|_| Malformed)?);
        }
    }
    name.ok_or(Malformed)
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;

    fn ways(count: usize) -> Ways {
        let kinds = CandidateKind::ALL.into_iter().cycle();
        let addresses = ["192.0.2.7:4433", "[2001:db8::7]:4433"].into_iter().cycle();
        let candidate = |(kind, address): (_, &str)| Candidate {
            kind,
            priority: 7 + kind.code() as u32,
            address: address.parse().unwrap(),
        };
        let candidates = kinds.zip(addresses).map(candidate).take(count).collect();
        Ways { credentials: CheckCredentials::generate(&AwsLc).unwrap(), candidates }
    }

    #[test]
    fn ways_are_read_as_they_were_written() {
        for count in [0, 1, 6, MAX_CANDIDATES] {
            let (ways, mut out) = (ways(count), Vec::new());
            ways.encode(&mut out);
            wire::put(70, b"later", &mut out);
            assert_eq!(Ways::decode(&out), Ok(ways));
        }
    }

    #[test]
    fn too_many_or_broken_candidates_are_refused() {
        let written = |extra: &[u8]| {
            let mut out = Vec::new();
            ways(MAX_CANDIDATES - 1).encode(&mut out);
            wire::put(10, extra, &mut out);
            out
        };
        let good = [0, 0, 0, 1, 192, 0, 2, 1, 1, 1];
        assert!(Ways::decode(&written(&good)).is_ok());
        assert!(Ways::decode(&[written(&good), written(&good)].concat()).is_err());
        for bad in [&good[..9], &[&good[..], &[0]].concat(), &[0; 10], &[0, 0, 0, 1, 1, 1, 1, 1, 0, 0], &[]] {
            assert!(Ways::decode(&written(bad)).is_err(), "{bad:?}");
        }
        assert!(Ways::decode(&[]).is_err(), "no credentials");
    }

    #[test]
    fn neither_passwords_nor_addresses_are_printed() {
        let mut ways = ways(2);
        ways.credentials.password.fill(0x5a);
        let shown = format!("{ways:?}").to_lowercase();
        assert!(!shown.contains("5a") && !shown.contains("90") && !shown.contains("192.0"), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_or_fail_quietly(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Ways::decode(&bytes);
            let _ = decode_session(&bytes);
        }
    }
}
