//! Which datagrams are sent again while a call is being set up, and when; and which wait that came too early.
//!
//! A lost packet of the handshake costs QUIC at least three times its first guess at the round trip; each flight of the
//! set-up is small and stands on the one before, so it is cheaper to send it again unasked. QUIC drops what it has seen.
//! quinn, though, also drops packets that overtake the end of the TLS handshake, and then their copies as seen; so these
//! wait here until it is done (RFC 9001, section 5.7, has it that they should).
//!
//! Guarantee: copies are made only towards addresses that a set-up is under way with, of at most [`MAX_DATAGRAMS`]
//! datagrams of each flight, only until that flight is [answered](Flows::answered), and none of media. An address that
//! has not shown yet that it receives gets at most three times the bytes that came from it, copies included (RFC 9000,
//! section 8.1). At most [`MAX_DATAGRAMS`] datagrams of each set-up wait; beyond that nothing is held up.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

/// How long after the original the first copy goes out, and how much longer than an answer took the others wait.
const FIRST: Duration = Duration::from_millis(25);
/// How long an answer takes where none has come yet: as on a link of 250 kbit/s and 50 ms round trip, so that there the
/// second copy does not stand in the way of what follows.
const UNKNOWN: Duration = Duration::from_millis(220);
/// When the others go out on a link that is fast for sure.
const BRISK: [Duration; 3] =
    [Duration::from_millis(60), Duration::from_millis(120), Duration::from_millis(240)];
/// Two full datagrams that come within this time have come over such a link: at 1,000 kbit/s they are 10 ms apart.
const PAIR: Duration = Duration::from_millis(6);
/// The first copy on a link of which all that is known is that it works: an acknowledgement, which QUIC fills up to a full
/// datagram, is not worth one, and by then what follows it has cleared it away.
const CAREFUL: Duration = Duration::from_millis(60);
/// A full datagram.
const FULL: usize = 1000;
/// Copies of a datagram.
const COPIES: u32 = 4;
/// Datagrams of one flight that are copied; flights have two or three.
pub(crate) const MAX_DATAGRAMS: usize = 6;
/// The longest datagram that is copied; Kring sends none longer.
const MAX_LEN: usize = 1500;
/// Set-ups under way at once whose datagrams are copied; what is beyond goes without copies.
const MAX_FLOWS: usize = 64;
/// Long enough for every set-up.
const LIFETIME: Duration = Duration::from_secs(10);
/// For a stranger who does not get on with the handshake.
const STRANGER_LIFETIME: Duration = Duration::from_secs(3);

/// A datagram to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) to: SocketAddr,
    pub(crate) from: Option<IpAddr>,
    pub(crate) bytes: Vec<u8>,
}

struct Kept {
    copy: Copy,
    sent: Instant,
    /// How many copies went out.
    made: u32,
}

impl Kept {
    /// The first copy fills in for a lost original before a round trip is over, and where packets take longer than that
    /// to be sent it is gone before the answer comes. Each further one waits until an answer should have come, unless the
    /// link is known to be fast.
    fn due(&self, pace: Pace) -> Instant {
        self.sent
            + match (self.made.checked_sub(1), pace) {
                (None, Pace::Answers(_)) => CAREFUL,
                (None, _) => FIRST,
                (Some(further), Pace::Brisk) => BRISK[(further as usize).min(BRISK.len() - 1)],
                (Some(_), Pace::Answers(after)) => (after + FIRST) * self.made,
                (Some(_), Pace::Unknown) => (UNKNOWN + FIRST) * self.made,
            }
    }
}

/// How quickly copies may follow each other.
#[derive(Clone, Copy)]
enum Pace {
    /// Nothing has come yet.
    Unknown,
    /// The link is fast.
    Brisk,
    /// Answers take so long.
    Answers(Duration),
}

/// One set-up, by the address of its other side.
struct Flow {
    until: Instant,
    /// Whether more datagrams are taken: until media flows.
    open: bool,
    /// Unproven: bytes of handshake packets that came from there and that went there.
    stranger: Option<(usize, usize)>,
    pace: Pace,
    /// When the last datagram came.
    heard: Option<Instant>,
    /// When the last full datagram came.
    full: Option<Instant>,
    kept: Vec<Kept>,
    /// While the TLS handshake lasts: how many datagrams of this address wait.
    handshaking: Option<usize>,
}

/// All set-ups of a socket.
#[derive(Default)]
pub(crate) struct Flows {
    flows: HashMap<SocketAddr, Flow>,
    /// How many connections there are with whom. Their packets never wait, whoever pretends to begin another one.
    connections: HashMap<SocketAddr, usize>,
}

/// A socket for both kinds of addresses shows IPv4 ones as IPv6.
pub(crate) fn key(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Packets of QUIC's handshake have a long header (RFC 9000, section 17.2).
pub(crate) fn is_long(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0x80 != 0)
}

/// The packet that begins a connection, in a datagram as long as RFC 9000, section 14.1, demands.
fn is_initial(datagram: &[u8]) -> bool {
    datagram.len() >= 1200 && datagram[0] & 0xf0 == 0xc0 && datagram[1..5] == [0, 0, 0, 1]
}

impl Flows {
    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    fn insert(&mut self, now: Instant, address: SocketAddr, stranger: bool) {
        self.flows.retain(|_, flow| flow.until > now);
        if self.flows.len() < MAX_FLOWS {
            let until = now + if stranger { STRANGER_LIFETIME } else { LIFETIME };
            let stranger = stranger.then_some((0, 0));
            let handshaking = (!self.connections.contains_key(&key(address))).then_some(0);
            let kept = Vec::new();
            let pace = Pace::Unknown;
            let flow = Flow { until, open: true, stranger, pace, heard: None, full: None, kept, handshaking };
            self.flows.insert(key(address), flow);
        }
    }

    /// A set-up with `address` begins here.
    pub(crate) fn begin(&mut self, now: Instant, address: SocketAddr) {
        self.insert(now, address, false);
    }

    /// Something came. The first packet of a connection begins a set-up. Says whether the datagram has to wait for the
    /// end of the TLS handshake.
    pub(crate) fn received(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        if is_initial(datagram) && !self.flows.contains_key(&key(from)) {
            self.insert(now, from, true);
        }
        let Some(flow) = self.flows.get_mut(&key(from)).filter(|flow| flow.until > now) else { return false };
        flow.heard = Some(now);
        if matches!(flow.pace, Pace::Unknown) {
            flow.pace = Pace::Answers(UNKNOWN);
        }
        if datagram.len() >= FULL {
            let last = flow.full.replace(now);
            if last.is_some_and(|last| now.saturating_duration_since(last) <= PAIR) {
                flow.pace = Pace::Brisk;
            }
        }
        if let Some((received, _)) = &mut flow.stranger {
            *received += datagram.len();
        }
        match &mut flow.handshaking {
            Some(waiting) if !is_long(datagram) && *waiting < MAX_DATAGRAMS => {
                *waiting += 1;
                true
            }
            _ => false,
        }
    }

    /// The TLS handshake is done, and so is all that was sent for it.
    pub(crate) fn connected(&mut self, now: Instant, address: SocketAddr) {
        *self.connections.entry(key(address)).or_default() += 1;
        if let Some(flow) = self.flows.get_mut(&key(address)) {
            flow.handshaking = None;
        }
        self.answered(now, address);
    }

    /// Whether a datagram may leave. Only copies can have used up what a stranger's address may get, so only then is one
    /// held back, and only one of the handshake; for QUIC it is lost.
    pub(crate) fn may_send(&mut self, datagram: &Copy) -> bool {
        let Some(flow) = self.flows.get_mut(&key(datagram.to)) else { return true };
        match &mut flow.stranger {
            Some((received, sent)) if is_long(&datagram.bytes) => {
                let fits = *sent + datagram.bytes.len() <= 3 * *received;
                *sent += if fits { datagram.bytes.len() } else { 0 };
                fits
            }
            _ => true,
        }
    }

    /// Keeps a datagram that was sent, to be copied; says whether it was kept.
    pub(crate) fn sent(&mut self, now: Instant, datagram: Copy) -> bool {
        let Some(flow) = self.flows.get_mut(&key(datagram.to)) else { return false };
        // What goes to a stranger beside the handshake belongs to a connection that was here before.
        let wanted = flow.open && (flow.stranger.is_none() || is_long(&datagram.bytes));
        if !wanted || flow.kept.len() == MAX_DATAGRAMS || datagram.bytes.len() > MAX_LEN {
            return false;
        }
        flow.kept.push(Kept { copy: datagram, sent: now, made: 0 });
        true
    }

    /// The other side has shown that the address is its own, and that it got what was sent to it; but for what was sent
    /// since the last datagram came, which cannot have been answered.
    pub(crate) fn answered(&mut self, now: Instant, address: SocketAddr) {
        if let Some(flow) = self.flows.get_mut(&key(address)) {
            if flow.stranger.take().is_some() {
                flow.until = now + LIFETIME;
            }
            if let (Pace::Answers(after), Some(first), Some(heard)) =
                (&mut flow.pace, flow.kept.first(), flow.heard)
            {
                *after = heard.saturating_duration_since(first.sent).clamp(CAREFUL, UNKNOWN);
            }
            flow.kept.retain(|kept| flow.heard.is_none_or(|heard| heard <= kept.sent));
        }
        self.tidy(now);
    }

    /// Media flows: nothing more is kept. What is kept goes on.
    pub(crate) fn settle(&mut self, now: Instant, address: SocketAddr) {
        if let Some(flow) = self.flows.get_mut(&key(address)) {
            flow.open = false;
        }
        self.tidy(now);
    }

    /// The set-up came to nothing.
    pub(crate) fn failed(&mut self, address: SocketAddr) {
        self.flows.remove(&key(address));
    }

    /// A connection is over.
    pub(crate) fn disconnected(&mut self, address: SocketAddr) {
        self.flows.remove(&key(address));
        if let Some(count) = self.connections.get_mut(&key(address)) {
            *count -= 1;
            if *count == 0 {
                self.connections.remove(&key(address));
            }
        }
    }

    fn tidy(&mut self, now: Instant) {
        self.flows.retain(|_, flow| flow.until > now && (flow.open || !flow.kept.is_empty()));
    }

    /// The copies that are due.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Copy> {
        let mut due = Vec::new();
        for flow in self.flows.values_mut() {
            for kept in flow.kept.iter_mut().filter(|kept| kept.due(flow.pace) <= now) {
                kept.made += 1;
                due.push(kept.copy.clone());
            }
            flow.kept.retain(|kept| kept.made < COPIES);
        }
        self.tidy(now);
        due.retain(|copy| self.may_send(copy));
        due
    }

    /// When the next copy is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.flows.values().flat_map(|flow| flow.kept.iter().map(|kept| kept.due(flow.pace))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn copy(port: u16, long: bool, len: usize) -> Copy {
        let mut bytes = vec![0; len];
        bytes[..5].copy_from_slice(&[if long { 0xc0 } else { 0x40 }, 0, 0, 0, 1]);
        Copy { to: to(port), from: None, bytes }
    }

    fn all_due(flows: &mut Flows) -> usize {
        let mut count = 0;
        while let Some(at) = flows.next() {
            count += flows.due(at).len();
        }
        count
    }

    #[test]
    fn a_flight_is_copied_until_it_is_answered() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.begin(now, to(1));
        assert!(flows.sent(now, copy(1, true, 1200)) && flows.sent(now, copy(1, true, 1200)));
        assert_eq!(flows.due(now).len(), 0);
        assert_eq!(flows.due(now + FIRST).len(), 2);
        assert_eq!(flows.due(now + FIRST).len(), 0, "each round goes out once");
        let now = now + FIRST;
        flows.received(now, to(1), &[0x40]);
        assert!(flows.sent(now, copy(1, false, 300)), "and so is the next");
        flows.answered(now, to(1));
        assert_eq!(all_due(&mut flows), COPIES as usize, "which that answer was not for");
    }

    #[test]
    fn copies_follow_each_other_quickly_only_where_the_link_is_known_to_be_fast() {
        let times = |gap: Duration| {
            let (now, mut flows) = (Instant::now(), Flows::default());
            flows.received(now, to(1), &copy(1, true, 1200).bytes);
            flows.received(now + gap, to(1), &copy(1, true, 1200).bytes);
            assert!(flows.sent(now, copy(1, true, 300)));
            let mut times = Vec::new();
            while let Some(at) = flows.next() {
                times.push((at - now).as_millis());
                flows.due(at);
            }
            times
        };
        assert_eq!(times(Duration::from_millis(1)), [25, 60, 120, 240]);
        assert_eq!(times(Duration::from_millis(39)), [60, 245, 490, 735]);
    }

    #[test]
    fn media_and_other_peoples_datagrams_are_not_copied() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.begin(now, to(1));
        assert!(!flows.sent(now, copy(2, false, 1200)));
        assert!(flows.sent(now, copy(1, false, 300)));
        flows.settle(now, to(1));
        assert!(!flows.sent(now, copy(1, false, 1200)));
        assert_eq!(all_due(&mut flows), COPIES as usize, "what was kept before goes on");
        assert!(flows.is_empty());
    }

    #[test]
    fn flights_flows_and_times_are_bounded() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.begin(now, to(1));
        let kept = (0..100).filter(|_| flows.sent(now, copy(1, true, 1200))).count();
        assert_eq!(kept, MAX_DATAGRAMS);
        for port in 2..1000 {
            flows.received(now, to(port), &copy(port, true, 1200).bytes);
        }
        assert_eq!(flows.flows.len(), MAX_FLOWS);
        flows.begin(now + LIFETIME, to(5000));
        assert_eq!(flows.flows.len(), 1);
    }

    #[test]
    fn a_stranger_gets_at_most_three_times_what_it_sent() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.received(now, to(1), &copy(1, true, 1200).bytes);
        let mut bytes = 0;
        for _ in 0..2 {
            let own = copy(1, true, 1100);
            assert!(flows.may_send(&own) && flows.sent(now, own));
            bytes += 1100;
        }
        while let Some(at) = flows.next() {
            bytes += flows.due(at).iter().map(|c| c.bytes.len()).sum::<usize>();
        }
        assert!(bytes <= 3600 && bytes > 2200, "{bytes}");
        assert!(!flows.may_send(&copy(1, true, 1200)), "nor do QUIC's own go beyond");
        assert!(flows.may_send(&copy(1, false, 1200)), "a connection that was there before is not held up");
        assert!(!flows.sent(now, copy(1, false, 1200)), "nor copied");
        flows.received(now, to(1), &copy(1, true, 1200).bytes);
        assert!(flows.may_send(&copy(1, true, 1200)));
    }

    #[test]
    fn a_stranger_who_answers_is_one_no_more() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.received(now, to(1), &copy(1, true, 1200).bytes);
        let now = now + FIRST;
        flows.answered(now, to(1));
        for _ in 0..MAX_DATAGRAMS {
            let own = copy(1, false, 1200);
            assert!(flows.may_send(&own) && flows.sent(now, own));
        }
        assert_eq!(all_due(&mut flows), MAX_DATAGRAMS * COPIES as usize);
    }

    #[test]
    fn what_overtakes_the_handshake_waits_but_nothing_else() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        assert!(!flows.received(now, to(1), &[0x40]), "no set-up is under way");
        flows.received(now, to(1), &copy(1, true, 1200).bytes);
        let waiting = (0..100).filter(|_| flows.received(now, to(1), &[0x40])).count();
        assert_eq!(waiting, MAX_DATAGRAMS);
        flows.received(now, to(2), &copy(2, true, 1200).bytes);
        flows.connected(now, to(2));
        assert!(!flows.received(now, to(2), &[0x40]));
        flows.answered(now + LIFETIME, to(2));
        flows.received(now + LIFETIME, to(2), &copy(2, true, 1200).bytes);
        assert!(!flows.received(now + LIFETIME, to(2), &[0x40]), "a forged Initial holds up no connection");
        flows.disconnected(to(2));
        assert!(flows.connections.is_empty());
    }

    #[test]
    fn only_whole_initials_begin_a_set_up() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.received(now, to(1), &copy(1, true, 1199).bytes);
        flows.received(now, to(1), &copy(1, false, 1200).bytes);
        flows.received(now, to(1), &[0xc0]);
        flows.received(now, to(1), &[]);
        assert!(flows.is_empty());
    }
}
