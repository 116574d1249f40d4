//! ICE (RFC 8445) for one call, by the crate `is`: which of this side's addresses reach which of the peer's.
//!
//! Guarantee: no way is found that the peer has not answered an authenticated check on; of a peer at most [`MAX_SOURCES`]
//! addresses are remembered; nothing is written to logs. A value without socket or clock.

use super::names::is_usable;
use super::table::{Check, Direct, key};
use aws_lc_rs::hmac;
use data_encoding::BASE64_NOPAD;
use is::stun::{StunMessage, StunPacket};
use is::{IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol, Sha1HmacProvider};
use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Addresses of a peer that are remembered, told or seen; more, and it is up to no good.
const MAX_SOURCES: usize = 256;
/// Candidates of one side.
const MAX_CANDIDATES: usize = 16;
/// Pairs that are checked; each costs a packet each [`CONSENT`] once it works.
const MAX_PAIRS: usize = 32;
/// Between two checks (RFC 8445, section 14.2, has 5 ms at least).
const PACE: Duration = Duration::from_millis(10);
/// How long an answer is waited for first; twice that for the next.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How often a way that works is checked (RFC 7675, section 5.1, has 5 s at most).
const CONSENT: Duration = Duration::from_millis(1500);
/// Checks without an answer until a pair does not count any more: six seconds in all.
const ATTEMPTS: usize = 7;

/// What a candidate's address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// One of the device's own.
    Host,
    /// Where somebody else sees the device's packets come from.
    ServerReflexive,
    /// One that a router forwards because it was asked to.
    Mapped,
}

/// An address at which a side may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// What it is.
    pub kind: CandidateKind,
    /// The higher, the better.
    pub priority: u32,
    /// Where.
    pub address: SocketAddr,
}

/// By what a side's checks are told from others'.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// From random bytes.
    #[must_use]
    pub fn new(name: &[u8; 6], password: &[u8; 18]) -> Credentials {
        let password = Zeroizing::new(BASE64_NOPAD.encode(password));
        Credentials { user: BASE64_NOPAD.encode(name), password }
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    fn ice(&self) -> IceCreds {
        IceCreds { ufrag: self.user.clone(), pass: self.password.to_string() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// STUN's HMAC-SHA1 (RFC 8489, section 14.5).
#[derive(Debug)]
struct Sha1;

impl Sha1HmacProvider for Sha1 {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
        payloads.iter().for_each(|part| context.update(part));
        context.sign().as_ref().try_into().expect("SHA-1 has 20 bytes")
    }
}

/// What the agent has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The best way of those that work.
    Way(Direct),
    /// The peer sends from there.
    Source(SocketAddr),
    /// No way works any more.
    Nothing,
}

/// One side's part of ICE.
pub(crate) struct Agent {
    ice: IceAgent,
    locals: Vec<is::Candidate>,
    remotes: Vec<is::Candidate>,
    sources: HashSet<SocketAddr>,
}

/// `is` writes addresses and, at its lowest level, passwords into logs.
fn quietly<T>(f: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&tracing::Dispatch::none(), f)
}

impl Agent {
    /// One side decides between ways that work: the one that is `controlling`.
    pub(crate) fn new(own: &Credentials, controlling: bool) -> Agent {
        let ice = quietly(|| {
            let mut ice = IceAgent::with_hmac(own.ice(), &Sha1);
            ice.set_controlling(controlling);
            ice.set_max_candidate_pairs(MAX_PAIRS);
            ice.set_timing_advance(PACE);
            ice.set_initial_stun_rto(FIRST_WAIT);
            ice.set_max_stun_rto(CONSENT);
            ice.set_max_stun_retransmits(ATTEMPTS);
            ice
        });
        Agent { ice, locals: Vec::new(), remotes: Vec::new(), sources: HashSet::new() }
    }

    /// This side's addresses, in place of those before, where others see it, and where a router forwards to it. All are tried
    /// anew. Gives what the peer has to be told.
    pub(crate) fn set_locals(
        &mut self,
        hosts: &[SocketAddr],
        seen: &[SocketAddr],
        mapped: Option<SocketAddr>,
    ) -> Vec<Candidate> {
        let Agent { ice, locals, .. } = self;
        quietly(|| {
            for old in locals.drain(..) {
                ice.invalidate_candidate(&old);
            }
            let mut told = Vec::new();
            for host in hosts.iter().copied().take(MAX_CANDIDATES / 2) {
                let Ok(candidate) = is::Candidate::host(host, Protocol::Udp) else { continue };
                add(ice, locals, candidate, CandidateKind::Host, &mut told);
            }
            // A mapped one first: where both are the same, it is the one that lets strangers in.
            let mapped = mapped.map(|address| (address, CandidateKind::Mapped));
            let seen = seen.iter().map(|address| (*address, CandidateKind::ServerReflexive));
            let outside = mapped.into_iter().chain(seen).filter(|(address, _)| !hosts.contains(address));
            for (address, kind) in outside.take(MAX_CANDIDATES / 2) {
                let Some(base) = hosts.iter().find(|host| host.is_ipv4() == address.is_ipv4()) else {
                    continue;
                };
                let candidate = is::Candidate::server_reflexive(address, *base, Protocol::Udp);
                let Ok(candidate) = candidate else { continue };
                add(ice, locals, candidate, kind, &mut told);
            }
            told
        })
    }

    /// What the peer has told, in place of what it told before.
    pub(crate) fn set_peer(&mut self, credentials: &Credentials, candidates: &[Candidate]) {
        let at_home = self.locals.iter().any(|own| own.addr().ip().is_loopback());
        let Agent { ice, remotes, sources, .. } = self;
        quietly(|| {
            ice.set_remote_credentials(credentials.ice());
            let usable = |candidate: &&Candidate| is_usable(candidate.address, at_home);
            let kept = |old: &is::Candidate| candidates.iter().any(|new| key(new.address) == old.addr());
            for gone in remotes.extract_if(.., |old| !kept(old)) {
                ice.invalidate_candidate(&gone);
            }
            for new in candidates.iter().take(MAX_CANDIDATES).filter(usable) {
                let address = key(new.address);
                if !sources.contains(&address) && sources.len() >= MAX_SOURCES {
                    continue;
                }
                sources.insert(address);
                let kind = match new.kind {
                    CandidateKind::Host => is::CandidateKind::Host,
                    CandidateKind::ServerReflexive | CandidateKind::Mapped => {
                        is::CandidateKind::ServerReflexive
                    }
                };
                let candidate = is::Candidate::from_parts(
                    format!("{}", address.ip()),
                    1,
                    Protocol::Udp,
                    new.priority,
                    address,
                    kind,
                    None,
                    None,
                    None,
                );
                if !remotes.iter().any(|old| old.addr() == address) {
                    remotes.push(candidate.clone());
                }
                ice.add_remote_candidate(candidate);
            }
        });
    }

    /// Takes a check, or an answer to one; says whether it is the peer's.
    pub(crate) fn handle(&mut self, now: Instant, check: &Check) -> bool {
        if !self.sources.contains(&check.from) && self.sources.len() >= MAX_SOURCES {
            return false;
        }
        let Ok(message) = StunMessage::parse(&check.bytes) else { return false };
        // Where the system does not tell which of its addresses it came to, any serves.
        let local =
            self.locals.iter().map(is::Candidate::addr).filter(|own| own.is_ipv4() == check.from.is_ipv4());
        let named = local.clone().find(|own| Some(own.ip()) == check.to);
        let Some(destination) = named.or_else(|| local.clone().next()) else { return false };
        let packet = StunPacket { proto: Protocol::Udp, source: check.from, destination, message };
        let accepted = quietly(|| self.ice.handle_packet(now.into_std(), packet));
        if accepted {
            self.sources.insert(check.from);
        }
        accepted
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        quietly(|| self.ice.handle_timeout(now.into_std()));
    }

    /// When [`tick`](Agent::tick) is due, after the first.
    pub(crate) fn due(&mut self) -> Option<Instant> {
        quietly(|| self.ice.poll_timeout()).map(Instant::from_std)
    }

    /// The next packet to send: from where, to where, what.
    pub(crate) fn transmit(&mut self) -> Option<(IpAddr, SocketAddr, Vec<u8>)> {
        let packet = quietly(|| self.ice.poll_transmit())?;
        Some((packet.source.ip(), packet.destination, packet.contents.to_vec()))
    }

    /// What was found.
    pub(crate) fn found(&mut self) -> Option<Found> {
        loop {
            match quietly(|| self.ice.poll_event())? {
                IceAgentEvent::NominatedSend { source, destination, .. } => {
                    return Some(Found::Way(Direct { to: destination, from: source.ip() }));
                }
                IceAgentEvent::DiscoveredRecv { source, .. } => return Some(Found::Source(source)),
                IceAgentEvent::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                    return Some(Found::Nothing);
                }
                _ => {}
            }
        }
    }

    /// How many checks on the best way were answered.
    pub(crate) fn answers(&self) -> u64 {
        self.ice.nominated_pair_responses_received().unwrap_or(0)
    }
}

fn add(
    ice: &mut IceAgent,
    locals: &mut Vec<is::Candidate>,
    candidate: is::Candidate,
    kind: CandidateKind,
    told: &mut Vec<Candidate>,
) {
    if let Some(added) = ice.add_local_candidate(candidate) {
        told.push(Candidate { kind, priority: added.prio(), address: added.addr() });
        locals.push(added.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    struct Side {
        agent: Agent,
        own: Credentials,
        at: SocketAddr,
        told: Vec<Candidate>,
        ways: Vec<Found>,
    }

    fn side(number: u8, at: &str) -> Side {
        let own = Credentials::new(&[number; 6], &[number; 18]);
        let mut agent = Agent::new(&own, number == 1);
        let told = agent.set_locals(&[address(at)], &[], None);
        Side { agent, own, at: address(at), told, ways: Vec::new() }
    }

    fn introduced() -> [Side; 2] {
        let mut sides = [side(1, "192.0.2.1:1"), side(2, "192.0.2.2:2")];
        let told = sides.each_ref().map(|side| (side.own.clone(), side.told.clone()));
        sides[0].agent.set_peer(&told[1].0, &told[1].1);
        sides[1].agent.set_peer(&told[0].0, &told[0].1);
        sides
    }

    /// Runs both for so many steps of 10 ms; `net` says what becomes of a packet from one address to another.
    fn run(
        sides: &mut [Side; 2],
        now: &mut Instant,
        steps: u32,
        mut net: impl FnMut(Check, SocketAddr) -> Option<Check>,
    ) {
        for _ in 0..steps {
            *now += Duration::from_millis(10);
            for from in [0, 1] {
                sides[from].agent.tick(*now);
                while let Some((_, to, bytes)) = sides[from].agent.transmit() {
                    let check = Check { from: sides[from].at, to: None, bytes };
                    if to == sides[1 - from].at
                        && let Some(check) = net(check, to)
                    {
                        sides[1 - from].agent.handle(*now, &check);
                    }
                }
                while let Some(found) = sides[from].agent.found() {
                    sides[from].ways.push(found);
                }
            }
        }
    }

    fn way(side: &Side) -> Option<Found> {
        side.ways.iter().rev().find(|found| !matches!(found, Found::Source(_))).copied()
    }

    #[test]
    fn two_who_reach_each_other_find_the_way_and_notice_when_it_is_gone() {
        let (mut sides, mut now) = (introduced(), Instant::now());
        run(&mut sides, &mut now, 20, |check, _| Some(check));
        for (side, other) in [(0, 1), (1, 0)] {
            let direct = Direct { to: sides[other].at, from: sides[side].at.ip() };
            assert_eq!(way(&sides[side]), Some(Found::Way(direct)));
            assert!(sides[side].agent.answers() > 0);
        }
        run(&mut sides, &mut now, 3000, |_, _| None);
        assert_eq!(sides.each_ref().map(way), [Some(Found::Nothing); 2]);
    }

    #[test]
    fn checks_that_were_forged_or_changed_find_nothing() {
        let (mut sides, mut now) = (introduced(), Instant::now());
        let mut flip = 0;
        run(&mut sides, &mut now, 100, |mut check, _| {
            flip = (flip + 7) % check.bytes.len();
            check.bytes[flip] ^= 1;
            Some(check)
        });
        assert_eq!(sides.each_ref().map(way), [None; 2]);
    }

    #[test]
    fn who_repeats_checks_from_elsewhere_is_no_way_and_gets_no_more_than_it_sends() {
        let (mut sides, mut now) = (introduced(), Instant::now());
        let mut overheard = Vec::new();
        run(&mut sides, &mut now, 50, |check, to| {
            if to == address("192.0.2.2:2") {
                overheard.push(check.bytes.clone());
            }
            Some(check)
        });
        let (elsewhere, [_, callee]) = (address("198.51.100.7:9"), &mut sides);
        let (mut came, mut went) = (0, 0);
        for bytes in overheard.iter().cycle().take(500) {
            now += PACE;
            came += bytes.len();
            callee.agent.handle(now, &Check { from: elsewhere, to: None, bytes: bytes.clone() });
            callee.agent.tick(now);
            while let Some((_, to, bytes)) = callee.agent.transmit() {
                went += if to == elsewhere { bytes.len() } else { 0 };
            }
            while let Some(found) = callee.agent.found() {
                assert!(!matches!(found, Found::Way(way) if way.to == elsewhere));
            }
        }
        assert!(!overheard.is_empty() && went <= came, "{went} bytes for {came}");
    }

    #[test]
    fn strangers_whom_a_peer_names_get_a_few_small_packets_one_after_the_other() {
        let mut alone = side(1, "192.0.2.1:1");
        let peer = Credentials::new(&[2; 6], &[2; 18]);
        let told: Vec<Candidate> = (0..100u8)
            .map(|n| Candidate {
                kind: CandidateKind::Host,
                priority: 9,
                address: ([198, 51, 100, n], 9).into(),
            })
            .collect();
        alone.agent.set_peer(&peer, &told);
        let (mut now, mut all, mut strangers) = (Instant::now(), 0, HashSet::new());
        for _ in 0..10_000 {
            now += PACE;
            alone.agent.tick(now);
            let mut at_once = 0;
            while let Some((_, to, bytes)) = alone.agent.transmit() {
                assert!(bytes.len() <= 150, "{}", bytes.len());
                strangers.insert(to);
                at_once += 1;
            }
            all += at_once;
            // What is new, and what is repeated.
            assert!(at_once <= MAX_CANDIDATES, "{at_once}");
        }
        assert!(strangers.len() <= MAX_CANDIDATES && all <= MAX_CANDIDATES * (ATTEMPTS + 1), "{all}");
    }

    #[test]
    fn who_moves_is_found_from_its_checks() {
        let (mut sides, mut now) = (introduced(), Instant::now());
        run(&mut sides, &mut now, 20, |check, _| Some(check));
        sides[1].at = address("198.51.100.7:9");
        sides[1].agent.set_locals(&[sides[1].at], &[], None);
        run(&mut sides, &mut now, 2000, |check, _| Some(check));
        let direct = Direct { to: sides[1].at, from: sides[0].at.ip() };
        assert_eq!(way(&sides[0]), Some(Found::Way(direct)));
    }

    #[test]
    fn what_is_no_address_of_a_peer_is_not_checked() {
        let mut alone = side(1, "192.0.2.1:1");
        let peer = Credentials::new(&[2; 6], &[2; 18]);
        let of = |text: &str| Candidate { kind: CandidateKind::Host, priority: 9, address: address(text) };
        let told = ["127.0.0.1:9", "224.0.0.1:9", "0.0.0.0:9", "255.255.255.255:9", "240.0.0.1:1", "[::1]:9"]
            .map(of);
        alone.agent.set_peer(&peer, &told);
        let mut now = Instant::now();
        for _ in 0..100 {
            now += PACE;
            alone.agent.tick(now);
            assert!(alone.agent.transmit().is_none());
        }
    }

    #[test]
    fn a_peer_with_addresses_without_end_is_remembered_within_bounds() {
        let mut alone = side(1, "192.0.2.1:1");
        let peer = Credentials::new(&[2; 6], &[2; 18]);
        for n in 0..100u16 {
            let of = |port| Candidate {
                kind: CandidateKind::Host,
                priority: 9,
                address: SocketAddr::from(([198, 51, 100, n as u8], port)),
            };
            alone.agent.set_peer(&peer, &[1, 2, 3, 4, 5, 6, 7, 8].map(of));
            assert!(alone.agent.sources.len() <= MAX_SOURCES && alone.agent.remotes.len() <= MAX_CANDIDATES);
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let shown = format!("{:?}", Credentials::new(&[1; 6], &[2; 18]));
        assert_eq!(shown, "Credentials(…)");
    }
}
