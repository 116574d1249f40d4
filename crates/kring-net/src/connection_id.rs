//! How QUIC's connections are named on the wire.
//!
//! Guarantee: ids are random and say nothing of what they name. They are as short as serves: each packet carries one, and the
//! packets of a handshake two, where four bytes decide whether the callee's answer fits into one datagram. With 2³² of them and
//! some thousand in use, a stray packet meets one by chance once in a million, and fails its authentication there.

use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator};

/// How long ids of an endpoint's own connections are, in bytes.
const LEN: usize = 4;

/// How long the id is by which a caller's first packets name the callee: the least that RFC 9000, section 7.2, allows.
const FIRST_LEN: usize = 8;

/// Draws ids of [`LEN`] bytes.
pub(crate) struct Random;

impl ConnectionIdGenerator for Random {
    fn generate_cid(&mut self) -> ConnectionId {
        random::<LEN>()
    }

    fn cid_len(&self) -> usize {
        LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// An id for the callee, before it has named itself.
pub(crate) fn first() -> ConnectionId {
    random::<FIRST_LEN>()
}

fn random<const N: usize>() -> ConnectionId {
    let mut bytes = [0; N];
    // quinn asks again for an id that is in use; a system without randomness could not have made its keys.
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    ConnectionId::new(&bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_as_long_as_said_and_differ() {
        let mut random = Random;
        let ids: HashSet<_> = (0..1000).map(|_| random.generate_cid()).collect();
        assert!(ids.len() > 990 && ids.iter().all(|id| id.len() == random.cid_len()));
        assert_eq!(first().len(), 8);
        assert_ne!(first(), first());
    }
}
