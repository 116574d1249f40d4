//! Set-ups under hostile datagrams; for `kring-fuzz`.
#![allow(missing_docs)]

use super::{COPIES, Copy, Flows, LIFETIME, MAX_DATAGRAMS, MAX_FLOWS, MAX_LEN, key};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

impl Flows {
    fn check(&self) {
        assert!(self.flows.len() <= MAX_FLOWS);
        for flow in self.flows.values() {
            assert!(flow.kept.len() <= MAX_DATAGRAMS && flow.waiting.len() <= MAX_DATAGRAMS);
            assert!(flow.kept.iter().all(|kept| kept.copy.bytes.len() <= MAX_LEN && kept.made < COPIES));
            if let Some((received, sent)) = flow.stranger {
                assert!(sent <= 3 * received, "a stranger gets more than three times what came from there");
            }
        }
    }
}

/// Lets datagrams come and go: each step is what happens, with whom, how much later, how long a datagram is beyond what is
/// given of it, and that, behind its length.
///
/// # Panics
/// If more is kept or sent than promised, or copying does not end.
pub fn set_ups(mut input: &[u8]) {
    let (mut flows, mut now) = (Flows::default(), Instant::now());
    let mut connections = [0u8; 256];
    while let Some((&[what, who, wait, long, len], rest)) = input.split_first_chunk() {
        let (given, rest) = rest.split_at(rest.len().min(len.into()));
        input = rest;
        now += Duration::from_millis(wait.into());
        let to = SocketAddr::from(([192, 0, 2, who], 9));
        let mut bytes = given.to_vec();
        bytes.resize(given.len() + usize::from(long) * 8, 0);
        match what % 8 {
            0 | 1 => drop(flows.received(now, to, &bytes)),
            2 => {
                let copy = Copy { to, from: None, bytes };
                if !flows.is_needless(now, &copy)
                    && flows.may_send(&copy)
                    && let Some(copy) = flows.wait(now, copy)
                {
                    flows.sent(now, copy);
                }
            }
            3 => flows.begin(now, to),
            4 => {
                flows.connected(now, to);
                connections[usize::from(who)] += 1;
                if connections[usize::from(who)] == u8::MAX {
                    return;
                }
            }
            5 => flows.answered(now, to),
            6 if connections[usize::from(who)] > 0 => {
                connections[usize::from(who)] -= 1;
                flows.disconnected(to);
                assert!(!flows.flows.contains_key(&key(to)));
            }
            6 => flows.failed(to),
            _ => flows.settle(now, to),
        }
        if flows.next().is_some_and(|at| at <= now) {
            flows.due(now);
        }
        flows.check();
    }
    // All that is kept goes out within a bound, and is forgotten.
    let most = MAX_FLOWS * MAX_DATAGRAMS * (COPIES as usize + 1);
    for _ in 0..=most {
        let Some(at) = flows.next() else { break };
        now = now.max(at);
        flows.due(now);
        flows.check();
    }
    assert!(flows.next().is_none(), "copies end");
    flows.due(now + LIFETIME);
    assert!(flows.is_empty(), "set-ups end");
}
