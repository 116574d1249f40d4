//! The table and an agent under hostile datagrams; for `kring-fuzz`.
#![allow(missing_docs)]

use super::agent::{Agent, Candidate, CandidateKind, Credentials};
use super::link::Lane;
use super::table::{Check, Direct, Table};
use crate::relay::Token;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Sorts datagrams, each behind two bytes that say how it comes and one for its length, and shows them to an agent.
///
/// # Panics
/// If a datagram finds a way, or one that is QUIC's is not where it was.
pub fn datagrams(mut input: &[u8]) {
    let relay = SocketAddr::from(([192, 0, 2, 9], 443));
    let peer = SocketAddr::from(([192, 0, 2, 1], 9));
    let mut now = Instant::now();
    let mut table = Table::default();
    let (to, mut checks) = mpsc::channel(8);
    table.set_checks("fuzz", Some(to));
    table.add_lane(now, Lane::of_test(relay, Token(7)), false);
    table.set_direct(now, peer, Direct { to: peer, from: [10, 0, 0, 1].into() });
    let (own, theirs) = (Credentials::new(&[1; 6], &[1; 18]), Credentials::new(&[2; 6], &[2; 18]));
    let mut agent = Agent::new(&own, true);
    agent.set_locals(&[SocketAddr::from(([10, 0, 0, 1], 1))], &[], None);
    agent.set_peer(&theirs, &[Candidate { kind: CandidateKind::Host, priority: 1, address: peer }]);
    while let Some((&[how, wait, len], rest)) = input.split_first_chunk() {
        let (datagram, rest) = rest.split_at(rest.len().min(len.into()));
        input = rest;
        now += Duration::from_millis(wait.into());
        let from = match how % 4 {
            0 => relay,
            1 => peer,
            n => SocketAddr::from(([198, 51, 100, how], n.into())),
        };
        if let super::table::Sorted::Quic(_, skip) = table.sort(now, from, None, datagram) {
            assert!(skip <= datagram.len());
        }
        agent.handle(now, &Check { from, to: None, bytes: datagram.to_vec() });
        while let Ok(check) = checks.try_recv() {
            agent.handle(now, &check);
        }
        agent.tick(now);
        while agent.transmit().is_some() {}
        while let Some(found) = agent.found() {
            assert!(!matches!(found, super::agent::Found::Way(_)), "nobody has the peer's password");
        }
    }
}
