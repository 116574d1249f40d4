//! Which name goes by which way, and whose an incoming datagram is: a value without socket or clock.
//!
//! Guarantee: an address stands for a name only where somebody has put it; a datagram of a relay counts only from that
//! relay's address; a way that has fallen silent is left for one that has not.

use super::link::Lane;
use super::names;
use crate::relay::Token;
use crate::relay::shim::{self, Packet};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A peer that is heard by the relay so much later than directly has left the direct way. Its reports come every 250 ms.
const LEFT: Duration = Duration::from_millis(300);
/// With nothing heard directly for so long, a relay is the safer way.
const SILENT: Duration = Duration::from_millis(750);
/// So long after a change of way what was sent before still comes by the other.
const SETTLING: Duration = Duration::from_secs(2);
/// The longest STUN message that is looked at; checks have some 100 bytes.
const MAX_CHECK: usize = 1280;
/// STUN's magic cookie (RFC 8489, section 5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A check or an answer to one, as it came.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) from: SocketAddr,
    /// This side's address, if the system tells it.
    pub(crate) to: Option<IpAddr>,
    pub(crate) bytes: Vec<u8>,
}

/// A direct way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direct {
    pub(crate) to: SocketAddr,
    /// This side's address to send from.
    pub(crate) from: IpAddr,
}

/// The way that a packet takes.
pub(crate) enum Route {
    Direct(Direct),
    Relayed(Lane),
    /// As QUIC says.
    Plain,
    /// There is no way.
    None,
}

/// Where packets come from and go to that QUIC has under one name.
struct Entry {
    direct: Option<Direct>,
    lane: Option<Lane>,
    heard_direct: Option<Instant>,
    heard_lane: Option<Instant>,
    changed: Instant,
}

/// What to do with a datagram that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sorted {
    /// It is QUIC's, from that name or address, without so many bytes at its beginning.
    Quic(SocketAddr, usize),
    /// It has been dealt with.
    Gone,
}

/// All names of a socket.
#[derive(Default)]
pub(crate) struct Table {
    next: u32,
    entries: HashMap<SocketAddr, Entry>,
    /// The addresses that stand for a name.
    sources: HashMap<SocketAddr, SocketAddr>,
    lanes: HashMap<(SocketAddr, Token), (SocketAddr, Lane)>,
    /// Who takes the checks to a user name, and the answers to its own.
    checks: HashMap<String, mpsc::Sender<Check>>,
}

/// IPv4 addresses as such, whatever the socket.
pub(crate) fn key(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Table {
    /// Whether there is anything to look up.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.lanes.is_empty() && self.checks.is_empty()
    }

    /// A name for whoever is at the other end of a relay's session.
    pub(crate) fn add_lane(&mut self, now: Instant, lane: Lane, v6: bool) -> SocketAddr {
        let name = names::name(self.next, v6);
        self.next = self.next.wrapping_add(1);
        self.attach(now, name, lane);
        name
    }

    /// Gives whoever is known by that name a relay's session as another way.
    pub(crate) fn attach(&mut self, now: Instant, name: SocketAddr, lane: Lane) {
        let name = key(name);
        self.lanes.insert((lane.relay(), lane.token()), (name, lane.clone()));
        let entry = self.entry(now, name);
        entry.lane = Some(lane);
        if !names::is_name(&name) {
            entry.heard_direct.get_or_insert(now);
            self.sources.entry(name).or_insert(name);
        }
    }

    /// Takes a relay's session away.
    pub(crate) fn detach(&mut self, lane: &Lane) {
        let place = (lane.relay(), lane.token());
        let Some((name, _)) = self.lanes.remove(&place) else { return };
        if let Some(entry) = self.entries.get_mut(&name)
            && entry.lane.as_ref().is_some_and(|l| (l.relay(), l.token()) == place)
        {
            entry.lane = None;
        }
    }

    fn entry(&mut self, now: Instant, name: SocketAddr) -> &mut Entry {
        let new = || Entry { direct: None, lane: None, heard_direct: None, heard_lane: None, changed: now };
        self.entries.entry(name).or_insert_with(new)
    }

    /// Packets for that name go there from now on.
    pub(crate) fn set_direct(&mut self, now: Instant, name: SocketAddr, direct: Direct) {
        let name = key(name);
        let entry = self.entry(now, name);
        entry.direct = Some(direct);
        entry.heard_direct = Some(now);
        entry.changed = now;
        self.sources.insert(key(direct.to), name);
    }

    /// There is no direct way any more.
    pub(crate) fn clear_direct(&mut self, now: Instant, name: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&key(name)) {
            entry.direct = None;
            entry.heard_direct = None;
            entry.changed = now;
        }
    }

    /// What comes from `source` is from that name.
    pub(crate) fn add_source(&mut self, name: SocketAddr, source: SocketAddr) {
        self.sources.insert(key(source), key(name));
    }

    /// QUIC knows the peer by another name now, since it has moved by itself.
    pub(crate) fn rename(&mut self, old: SocketAddr, new: SocketAddr) {
        let (old, new) = (key(old), key(new));
        if let Some(entry) = self.entries.remove(&old) {
            self.entries.insert(new, entry);
        }
        for name in self.sources.values_mut().filter(|name| **name == old) {
            *name = new;
        }
        for (name, _) in self.lanes.values_mut().filter(|(name, _)| *name == old) {
            *name = new;
        }
    }

    /// Forgets a peer and all ways to it; gives back the session that it had.
    pub(crate) fn forget(&mut self, name: SocketAddr) {
        let name = key(name);
        self.entries.remove(&name);
        self.sources.retain(|_, other| *other != name);
        self.lanes.retain(|_, (other, _)| *other != name);
    }

    /// Who takes checks to that user name from now on; nobody, without `to`.
    pub(crate) fn set_checks(&mut self, user: &str, to: Option<mpsc::Sender<Check>>) {
        match to {
            Some(to) => self.checks.insert(user.to_owned(), to),
            None => self.checks.remove(user),
        };
    }

    /// Whether packets for that name go directly; `None` if nothing is known of it, so that QUIC decides.
    pub(crate) fn is_direct(&self, now: Instant, name: SocketAddr) -> Option<bool> {
        match self.route(now, name) {
            Route::Direct(_) => Some(true),
            Route::Relayed(_) => Some(false),
            Route::Plain => Some(true),
            Route::None => None,
        }
    }

    /// Whether packets for that name go by a relay from which nothing comes.
    pub(crate) fn is_lane_silent(&self, now: Instant, name: SocketAddr) -> bool {
        let Some(entry) = self.entries.get(&key(name)) else { return false };
        let heard = entry.heard_lane.unwrap_or(entry.changed).max(entry.changed);
        matches!(self.route(now, name), Route::Relayed(_)) && now.saturating_duration_since(heard) > SETTLING
    }

    /// The way for a packet to that name.
    pub(crate) fn route(&self, now: Instant, name: SocketAddr) -> Route {
        let name = key(name);
        let virtually = names::is_name(&name);
        let Some(entry) = self.entries.get(&name) else {
            return if virtually { Route::None } else { Route::Plain };
        };
        let plainly = !virtually && entry.heard_direct.is_some();
        match (entry.direct, &entry.lane) {
            (_, Some(lane)) if (entry.direct.is_none() && !plainly) || entry.is_left(now) => {
                Route::Relayed(lane.clone())
            }
            (Some(direct), _) => Route::Direct(direct),
            (None, _) if !virtually => Route::Plain,
            (None, _) => Route::None,
        }
    }

    /// Sorts a datagram that came from an address.
    pub(crate) fn sort(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: Option<IpAddr>,
        datagram: &[u8],
    ) -> Sorted {
        let source = key(from);
        if names::is_name(&source) {
            return Sorted::Gone;
        }
        if shim::is_shim(datagram) {
            return self.relayed(now, source, datagram);
        }
        if is_stun(datagram) {
            self.check(Check { from: source, to: to.map(|ip| ip.to_canonical()), bytes: datagram.to_vec() });
            return Sorted::Gone;
        }
        let Some(name) = self.sources.get(&source) else { return Sorted::Quic(from, 0) };
        // Whoever overhears a check can repeat it and be heard from elsewhere; only where an answer came from keeps a way up.
        if let Some(entry) = self.entries.get_mut(name)
            && (*name == source || entry.direct.is_some_and(|direct| key(direct.to) == source))
        {
            entry.heard_direct = Some(now);
        }
        if *name == source { Sorted::Quic(from, 0) } else { Sorted::Quic(*name, 0) }
    }

    /// Sorts what a relay sent.
    pub(crate) fn relayed(&mut self, now: Instant, relay: SocketAddr, datagram: &[u8]) -> Sorted {
        match shim::parse(datagram) {
            Some(Packet::Data { token, .. }) => {
                let Some((name, _)) = self.lanes.get(&(relay, token)) else { return Sorted::Gone };
                if let Some(entry) = self.entries.get_mut(name) {
                    entry.heard_lane = Some(now);
                }
                Sorted::Quic(*name, shim::HEADER)
            }
            Some(Packet::Bound(bound)) => {
                if let Some((_, lane)) = self.lanes.get(&(relay, bound.token)) {
                    lane.bound(datagram);
                }
                Sorted::Gone
            }
            _ => Sorted::Gone,
        }
    }

    /// A request names whom it is for; an answer, which does not, is shown to all who may have asked.
    fn check(&self, check: Check) {
        use is::stun::StunMessage;
        let user = match StunMessage::parse(&check.bytes) {
            Ok(message) if message.is_binding_request() => {
                message.split_username().map(|(user, _)| user.to_owned())
            }
            Ok(_) => None,
            Err(_) => return,
        };
        match user {
            Some(user) => {
                if let Some(to) = self.checks.get(&user) {
                    let _ = to.try_send(check);
                }
            }
            None => {
                for to in self.checks.values() {
                    let Check { from, to: own, bytes } = &check;
                    let _ = to.try_send(Check { from: *from, to: *own, bytes: bytes.clone() });
                }
            }
        }
    }
}

impl Entry {
    /// Whether the peer has left the direct way, or it is broken.
    fn is_left(&self, now: Instant) -> bool {
        if now.saturating_duration_since(self.changed) < SETTLING.min(SILENT) {
            return false;
        }
        let direct = self.heard_direct.unwrap_or(self.changed);
        let settled = now.saturating_duration_since(self.changed) >= SETTLING;
        let left =
            settled && self.heard_lane.is_some_and(|lane| lane.saturating_duration_since(direct) > LEFT);
        left || now.saturating_duration_since(direct) > SILENT
    }
}

/// Whether a datagram is STUN's (RFC 8489, section 5; RFC 7983).
fn is_stun(datagram: &[u8]) -> bool {
    (20..=MAX_CHECK).contains(&datagram.len()) && datagram[0] < 4 && datagram[4..8] == COOKIE
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: &str = "192.0.2.9:443";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn lane(token: u64) -> Lane {
        Lane::of_test(address(RELAY), Token(token))
    }

    fn is_relayed(table: &Table, now: Instant, name: SocketAddr) -> bool {
        matches!(table.route(now, name), Route::Relayed(_))
    }

    #[test]
    fn what_nobody_has_put_there_goes_and_comes_as_quic_says() {
        let (mut table, now) = (Table::default(), Instant::now());
        let peer = address("192.0.2.1:9");
        assert!(table.is_empty());
        assert!(matches!(table.route(now, peer), Route::Plain));
        assert!(matches!(table.route(now, names::name(0, false)), Route::None), "a name is no address");
        assert_eq!(table.sort(now, peer, None, &[0x40; 30]), Sorted::Quic(peer, 0));
        assert_eq!(table.sort(now, names::name(0, false), None, &[0x40; 30]), Sorted::Gone);
    }

    #[test]
    fn a_relays_packets_are_their_sessions_and_only_from_the_relay() {
        let (mut table, now) = (Table::default(), Instant::now());
        let name = table.add_lane(now, lane(7), false);
        let packet = shim::wrap(Token(7), &[0x40; 30]);
        assert_eq!(table.sort(now, address(RELAY), None, &packet), Sorted::Quic(name, shim::HEADER));
        assert_eq!(table.sort(now, address("192.0.2.8:443"), None, &packet), Sorted::Gone);
        assert_eq!(table.sort(now, address(RELAY), None, &shim::wrap(Token(8), &[0x40; 30])), Sorted::Gone);
        assert!(is_relayed(&table, now, name));
        table.detach(&lane(7));
        assert!(matches!(table.route(now, name), Route::None));
    }

    #[test]
    fn a_name_goes_directly_while_it_is_heard_directly_and_else_by_the_relay() {
        let (mut table, mut now) = (Table::default(), Instant::now());
        let name = table.add_lane(now, lane(7), false);
        let direct = Direct { to: address("192.0.2.1:9"), from: address("10.0.0.1:1").ip() };
        table.set_direct(now, name, direct);
        for _ in 0..20 {
            now += Duration::from_millis(250);
            assert_eq!(table.sort(now, direct.to, None, &[0x40; 30]), Sorted::Quic(name, 0));
            assert!(!is_relayed(&table, now, name));
        }
        let packet = shim::wrap(Token(7), &[0x40; 30]);
        now += LEFT;
        table.sort(now, address(RELAY), None, &packet);
        assert!(!is_relayed(&table, now, name));
        now += Duration::from_millis(50);
        table.sort(now, address(RELAY), None, &packet);
        assert!(is_relayed(&table, now, name), "the peer has gone over to the relay");
        table.set_direct(now, name, direct);
        assert!(!is_relayed(&table, now, name));
        now += SILENT + Duration::from_millis(1);
        assert!(is_relayed(&table, now, name), "nothing is heard");
        table.clear_direct(now, name);
        assert!(is_relayed(&table, now, name));
    }

    #[test]
    fn who_repeats_a_peers_check_from_elsewhere_does_not_keep_a_dead_way_up() {
        let (mut table, mut now) = (Table::default(), Instant::now());
        let name = table.add_lane(now, lane(7), false);
        let direct = Direct { to: address("192.0.2.1:9"), from: address("10.0.0.1:1").ip() };
        let elsewhere = address("198.51.100.1:9");
        table.set_direct(now, name, direct);
        table.add_source(name, elsewhere);
        for _ in 0..4 {
            now += SILENT / 3;
            // QUIC has a look at it, and finds out who it is from.
            assert_eq!(table.sort(now, elsewhere, None, &[0x40; 30]), Sorted::Quic(name, 0));
        }
        assert!(is_relayed(&table, now, name));
    }

    #[test]
    fn a_call_that_began_directly_has_a_relay_to_fall_back_on() {
        let (mut table, mut now) = (Table::default(), Instant::now());
        let peer = address("192.0.2.1:9");
        table.attach(now, peer, lane(7));
        assert!(matches!(table.route(now, peer), Route::Plain));
        now += SILENT + Duration::from_millis(1);
        assert!(is_relayed(&table, now, peer));
        table.sort(now, peer, None, &[0x40; 30]);
        assert!(matches!(table.route(now, peer), Route::Plain));
        table.clear_direct(now, peer);
        assert!(is_relayed(&table, now, peer), "at once, when the network has changed");
        let other = address("198.51.100.1:9");
        table.rename(peer, other);
        let packet = shim::wrap(Token(7), &[0x40; 30]);
        assert_eq!(table.sort(now, address(RELAY), None, &packet), Sorted::Quic(other, shim::HEADER));
        table.forget(other);
        assert!(table.is_empty());
    }

    #[test]
    fn any_datagram_is_sorted() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.add_lane(now, lane(7), false);
        let (to, _checks) = mpsc::channel(4);
        table.set_checks("user", Some(to));
        for first in 0..=255 {
            for len in [0, 1, 8, 19, 20, 60, 1300] {
                let mut datagram = vec![first; len];
                if len >= 8 {
                    datagram[4..8].copy_from_slice(&COOKIE);
                }
                table.sort(now, address(RELAY), None, &datagram);
            }
        }
    }
}
