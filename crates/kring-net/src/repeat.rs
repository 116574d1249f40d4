//! Which datagrams are sent again while a call is being set up, and when; and which wait that came too early.
//!
//! A lost packet of the handshake costs QUIC at least three times its first guess at the round trip; each flight of the
//! set-up is small and stands on the one before, so it is cheaper to send it again unasked. QUIC drops what it has seen.
//! quinn, though, also drops packets that overtake the end of the TLS handshake, and then their copies as seen; so these
//! wait here until it is done (RFC 9001, section 5.7, has it that they should).
//!
//! Where the link is thin the datagrams of a flight leave one by one, as it can take them: a bottleneck's queue may have room
//! for no more than one. What a caller's QUIC says of the callee's Initial packets alone is not sent: filled up to 1,200 bytes,
//! as it has to be, it would stand in the way of what follows at once and says the same (RFC 9001, section 4.9.1). Nor is what
//! QUIC sends again of its first flight, as long as copies of that are to come.
//!
//! Guarantee: copies are made only towards addresses that a set-up is under way with, of at most `MAX_DATAGRAMS`
//! datagrams of each flight, only until that flight is answered, and none of media. An address that
//! has not shown yet that it receives gets at most three times the bytes that came from it, copies included (RFC 9000,
//! section 8.1). At most `MAX_DATAGRAMS` datagrams of each set-up wait; beyond that nothing is held up.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

use crate::header::{INITIAL, ids, is_initial, is_initial_alone, is_long, is_of_type};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

/// How long after the original the first copy goes out, and how much longer than an answer took the others wait.
const FIRST: Duration = Duration::from_millis(25);
/// How long an answer is thought to take at most where the link is not thin: as on a link of 250 kbit/s and 50 ms round trip, so that there the
/// second copy does not stand in the way of what follows.
const UNKNOWN: Duration = Duration::from_millis(220);
/// When the others go out on a link that is fast for sure.
const BRISK: [u64; 5] = [60, 120, 240, 400, 640];
/// Where nothing has come yet they follow each other so, whole flights.
const UNHEARD: Duration = Duration::from_millis(150);
/// The first copy on a link of which all that is known is that it works.
const CAREFUL: Duration = Duration::from_millis(60);
/// Which a link is, in bit/s, by the time between two datagrams of which the later has at least so many bytes.
const FAST: f64 = 1_600_000.0;
const THIN: f64 = 120_000.0;
const TELLING: usize = 300;
/// On a thin link so much may wait at the bottleneck, whose queue may be no longer than one datagram; what is beyond waits
/// here. And an answer of so many bytes takes so long on top of the time that its bytes take.
const WAITING: Duration = Duration::from_millis(150);
const ANSWER: usize = 1_700;
/// IPv4 and UDP around a datagram.
const HEADERS: usize = 28;
/// A datagram with a part of TLS's first flight; and what QUIC sends later than this after one is a repetition.
const LARGE: usize = 1000;
const AGAIN: Duration = Duration::from_millis(100);
/// An acknowledgement of the other side's Initial packets follows them so soon.
const AT_ONCE: Duration = Duration::from_millis(4);
/// Copies of a datagram.
const COPIES: u32 = 6;
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
    /// link is known to be fast. `later` is how many datagrams of the flight come after this one: where little is known their
    /// further copies go first and apart, since a short queue has room for the first one and drops the rest.
    fn due(&self, pace: Pace, later: u32) -> Instant {
        // The first, the second, and between the further ones.
        let (first, second, between) = match pace {
            Pace::Unknown => (FIRST, UNHEARD, UNHEARD),
            Pace::Answers(after) => (CAREFUL, after + FIRST, UNHEARD.max(after / 2)),
            Pace::Brisk => (FIRST, Duration::ZERO, Duration::ZERO),
            Pace::Thin(after) => (after, after * 2, after),
        };
        self.sent
            + match (self.made.checked_sub(1), pace) {
                (None, _) => first,
                (Some(further), Pace::Brisk) => {
                    Duration::from_millis(BRISK[(further as usize).min(BRISK.len() - 1)])
                }
                (Some(further), _) => second + between * further + between / 2 * later,
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
    /// They take so long because the link is thin.
    Thin(Duration),
}

/// One set-up, by the address of its other side.
struct Flow {
    until: Instant,
    /// Whether this side began it, and by which connection id; and whether the other side has begun one, too.
    calling: bool,
    own_id: Option<Vec<u8>>,
    crossed: bool,
    /// Whether more datagrams are taken: until media flows.
    open: bool,
    /// Unproven: bytes of handshake packets that came from there and that went there.
    stranger: Option<(usize, usize)>,
    /// How long an answer took, once something has come.
    answers: Option<Duration>,
    /// When the last datagram came, and the last Initial packet.
    heard: Option<Instant>,
    initial: Option<Instant>,
    /// The most that the link has shown to carry, in bit/s: two datagrams that come after each other were sent so at best.
    rate: Option<f64>,
    /// Until when the bottleneck is busy with what was sent, if the link is thin.
    busy: Instant,
    kept: Vec<Kept>,
    /// What waits for a thin link.
    waiting: VecDeque<Copy>,
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

impl Flow {
    fn pace(&self) -> Pace {
        match (self.answers, self.rate) {
            (None, _) => Pace::Unknown,
            (_, Some(rate)) if rate >= FAST => Pace::Brisk,
            (_, Some(rate)) if rate < THIN => {
                let bytes: usize = self.kept.iter().map(|kept| kept.copy.bytes.len() + HEADERS).sum();
                Pace::Thin(WAITING + time_for(bytes + ANSWER, rate))
            }
            (Some(after), _) => Pace::Answers(after),
        }
    }

    /// What the link carries, if little.
    fn thin(&self) -> Option<f64> {
        self.rate.filter(|rate| *rate < THIN)
    }

    /// When each copy is due.
    fn dues(&self) -> impl Iterator<Item = Instant> {
        let (pace, count) = (self.pace(), self.kept.len() as u32);
        self.kept.iter().zip((0..count).rev()).map(move |(kept, later)| kept.due(pace, later))
    }

    fn occupy(&mut self, now: Instant, bytes: usize) {
        if let Some(rate) = self.thin() {
            self.busy = self.busy.max(now) + time_for(bytes + HEADERS, rate);
        }
    }

    fn keep(&mut self, now: Instant, copy: Copy) -> bool {
        if self.kept.len() == MAX_DATAGRAMS || copy.bytes.len() > MAX_LEN {
            return false;
        }
        self.kept.push(Kept { copy, sent: now, made: 0 });
        true
    }
}

fn time_for(bytes: usize, rate: f64) -> Duration {
    Duration::from_secs_f64((bytes * 8) as f64 / rate.max(1000.0)).min(LIFETIME)
}

impl Flows {
    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    fn insert(&mut self, now: Instant, address: SocketAddr, stranger: bool) {
        self.flows.retain(|_, flow| flow.until > now);
        if self.flows.len() < MAX_FLOWS {
            let until = now + if stranger { STRANGER_LIFETIME } else { LIFETIME };
            let (calling, stranger) = (!stranger, stranger.then_some((0, 0)));
            let handshaking = (!self.connections.contains_key(&key(address))).then_some(0);
            let flow = Flow {
                until,
                calling,
                own_id: None,
                crossed: false,
                open: true,
                stranger,
                answers: None,
                heard: None,
                initial: None,
                rate: None,
                busy: now,
                kept: Vec::new(),
                waiting: VecDeque::new(),
                handshaking,
            };
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
        // One that is over is none: what came then entitles nobody to an answer now.
        if self.flows.get(&key(from)).is_some_and(|flow| flow.until <= now) {
            self.flows.remove(&key(from));
        }
        if is_initial(datagram) && !self.flows.contains_key(&key(from)) {
            self.insert(now, from, true);
        }
        let Some(flow) = self.flows.get_mut(&key(from)) else { return false };
        // An acknowledgement comes when the first datagram has arrived, the answer when all of the flight has; and where a
        // stranger's datagrams come apart, so will the answer.
        let since = match flow.heard.replace(now) {
            None => flow.kept.first().map(|first| first.sent),
            heard => heard,
        };
        let apart = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if flow.answers.is_none() || flow.stranger.is_some() && datagram.len() >= LARGE {
            let slow = (apart * 2).clamp(UNHEARD, UNHEARD * 4);
            flow.answers = Some(flow.answers.map_or(slow, |after| after.max(slow)));
        }
        if datagram.len() >= TELLING && since.is_some() {
            let rate = ((datagram.len() + HEADERS) * 8) as f64 / apart.as_secs_f64().max(1e-4);
            // What a caller sends first comes apart also when some of it is lost.
            if rate >= FAST || flow.calling || !is_long(datagram) {
                flow.rate = Some(flow.rate.map_or(rate, |most| most.max(rate)));
            }
        }
        if is_of_type(datagram, INITIAL) {
            flow.initial = Some(now);
            let to = ids(datagram).map(|(to, ..)| to);
            flow.crossed |= flow.calling && flow.own_id.is_some() && to != flow.own_id.as_deref();
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

    /// Whether a datagram need not be sent: see the first lines of this file.
    pub(crate) fn is_needless(&self, now: Instant, datagram: &Copy) -> bool {
        let Some(flow) = self.flows.get(&key(datagram.to)).filter(|flow| flow.handshaking.is_some()) else {
            return false;
        };
        let acknowledges = || {
            let at_once = |at| now.saturating_duration_since(at) <= AT_ONCE;
            flow.initial.is_some_and(at_once) && is_initial_alone(&datagram.bytes)
        };
        let is_large = |bytes: &[u8]| bytes.len() >= LARGE && is_of_type(bytes, INITIAL);
        let comes_anyway = |kept: &Kept| is_large(&kept.copy.bytes) && now >= kept.sent + AGAIN;
        let repeats = || is_large(&datagram.bytes) && flow.kept.iter().any(comes_anyway);
        flow.calling && !flow.crossed && (acknowledges() || is_initial_alone(&datagram.bytes) && repeats())
            || !flow.calling && repeats()
    }

    /// Whether the datagrams of the set-up with `address` have to go one by one.
    pub(crate) fn is_thin(&self, address: SocketAddr) -> bool {
        self.flows.get(&key(address)).is_some_and(|flow| flow.open && flow.thin().is_some())
    }

    /// Whether some of the set-up with `address` still waits for a thin link.
    pub(crate) fn is_waiting(&self, address: SocketAddr) -> bool {
        self.flows.get(&key(address)).is_some_and(|flow| !flow.waiting.is_empty())
    }

    /// Takes a datagram that a thin link has no room for yet; gives it back if it has.
    pub(crate) fn wait(&mut self, now: Instant, datagram: Copy) -> Option<Copy> {
        let Some(flow) = self.flows.get_mut(&key(datagram.to)) else { return Some(datagram) };
        let free = flow.waiting.is_empty() && flow.busy <= now + WAITING;
        if free || flow.waiting.len() == MAX_DATAGRAMS {
            return Some(datagram);
        }
        flow.waiting.push_back(datagram);
        None
    }

    /// Keeps a datagram that was sent, to be copied; says whether it was kept.
    pub(crate) fn sent(&mut self, now: Instant, datagram: Copy) -> bool {
        let Some(flow) = self.flows.get_mut(&key(datagram.to)) else { return false };
        flow.occupy(now, datagram.bytes.len());
        if flow.calling && flow.own_id.is_none() && is_of_type(&datagram.bytes, INITIAL) {
            flow.own_id = ids(&datagram.bytes).map(|(_, own, _)| own.to_vec());
        }
        // What goes to a stranger beside the handshake belongs to a connection that was here before.
        let wanted = flow.open && (flow.stranger.is_none() || is_long(&datagram.bytes));
        wanted && flow.keep(now, datagram)
    }

    /// The other side has shown that the address is its own, and that it got what was sent to it; but for what was sent
    /// since the last datagram came, which cannot have been answered.
    pub(crate) fn answered(&mut self, now: Instant, address: SocketAddr) {
        if let Some(flow) = self.flows.get_mut(&key(address)) {
            if flow.stranger.take().is_some() {
                flow.until = now + LIFETIME;
            }
            if let (Some(after), Some(first), Some(heard)) =
                (&mut flow.answers, flow.kept.first(), flow.heard)
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
        let busy = |flow: &Flow| flow.open || !flow.kept.is_empty() || !flow.waiting.is_empty();
        self.flows.retain(|_, flow| flow.until > now && busy(flow));
    }

    /// The datagrams and copies that are due.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Copy> {
        let (mut due, mut first) = (Vec::new(), Vec::new());
        for flow in self.flows.values_mut() {
            while flow.thin().is_none() || flow.busy <= now + WAITING {
                let Some(datagram) = flow.waiting.pop_front() else { break };
                flow.occupy(now, datagram.bytes.len());
                flow.keep(now, datagram.clone());
                first.push(datagram);
            }
            let dues: Vec<Instant> = flow.dues().collect();
            for (kept, _) in flow.kept.iter_mut().zip(&dues).filter(|(_, at)| **at <= now) {
                kept.made += 1;
                due.push(kept.copy.clone());
            }
            flow.kept.retain(|kept| kept.made < COPIES);
        }
        self.tidy(now);
        due.retain(|copy| self.may_send(copy));
        for copy in &due {
            if let Some(flow) = self.flows.get_mut(&key(copy.to)) {
                flow.occupy(now, copy.bytes.len());
            }
        }
        first.extend(due);
        first
    }

    /// When the next of them is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let waiting = |flow: &Flow| (!flow.waiting.is_empty()).then(|| flow.busy - WAITING);
        self.flows.values().flat_map(|flow| flow.dues().chain(waiting(flow))).min()
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
        assert_eq!(times(Duration::from_millis(1)), [25, 60, 120, 240, 400, 640]);
        assert_eq!(times(Duration::from_millis(39)), [60, 175, 325, 475, 625, 775]);
        assert_eq!(times(Duration::from_millis(200)), [60, 425, 625, 825, 1025, 1225]);
    }

    #[test]
    fn where_little_is_known_the_last_datagram_of_a_flight_is_copied_first() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.begin(now, to(1));
        assert!(flows.sent(now, copy(1, true, 1232)) && flows.sent(now, copy(1, true, 1200)));
        let mut lengths = Vec::new();
        while let Some(at) = flows.next() {
            lengths.extend(flows.due(at).iter().map(|copy| copy.bytes.len()));
        }
        assert_eq!(lengths[..2], [1232, 1200]);
        assert_eq!(lengths[2..], [1200, 1232].repeat(COPIES as usize - 1));
    }

    /// A caller's flow whose first flight was answered by datagrams so far apart.
    fn answered(now: Instant, gap: Duration) -> Flows {
        let mut flows = Flows::default();
        flows.begin(now, to(1));
        flows.received(now, to(1), &copy(1, true, 1230).bytes);
        flows.received(now + gap, to(1), &copy(1, true, 470).bytes);
        flows
    }

    #[test]
    fn on_a_thin_link_datagrams_leave_one_by_one() {
        let now = Instant::now();
        assert!(!answered(now, Duration::from_millis(20)).is_thin(to(1)), "200 kbit/s");
        let mut flows = answered(now, Duration::from_millis(100));
        assert!(flows.is_thin(to(1)), "40 kbit/s");
        // 252 ms, and the next two have to wait until no more than 150 are left.
        assert!(flows.wait(now, copy(1, false, 1232)).is_some());
        assert!(flows.sent(now, copy(1, false, 1232)));
        assert!(
            flows.wait(now, copy(1, false, 300)).is_none() && flows.wait(now, copy(1, false, 400)).is_none()
        );
        assert!(flows.is_waiting(to(1)));
        let mut left = Vec::new();
        while flows.is_waiting(to(1)) {
            let at = flows.next().expect("one waits");
            left.extend(flows.due(at).into_iter().map(|c| ((at - now).as_millis(), c.bytes.len())));
        }
        assert_eq!(left.iter().map(|(_, len)| *len).collect::<Vec<_>>(), [300, 400]);
        assert!((95..110).contains(&left[0].0) && (160..175).contains(&left[1].0), "{left:?}");
        for _ in 0..3 * MAX_DATAGRAMS {
            let _ = flows.wait(now, copy(1, false, 300));
        }
        assert!(flows.flows[&to(1)].waiting.len() <= MAX_DATAGRAMS);
    }

    #[test]
    fn a_lost_datagram_of_a_stranger_does_not_make_the_link_thin() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.received(now, to(1), &copy(1, true, 1200).bytes);
        flows.received(now + Duration::from_millis(400), to(1), &copy(1, true, 1200).bytes);
        assert!(!flows.is_thin(to(1)));
    }

    fn initial(len: usize) -> Copy {
        Copy { to: to(1), from: None, bytes: crate::header::tests::initial(len) }
    }

    #[test]
    fn what_says_nothing_new_is_not_sent() {
        let now = Instant::now();
        let mut flows = Flows::default();
        flows.begin(now, to(1));
        assert!(!flows.is_needless(now, &initial(1200)), "this is how it begins");
        assert!(flows.sent(now, initial(1200)));
        assert!(!flows.is_needless(now, &initial(1200)), "the second part of it");
        assert!(flows.is_needless(now + AGAIN, &initial(1200)), "copies of that are to come");
        let heard = now + Duration::from_millis(50);
        let mut answer = initial(1230).bytes;
        answer[6..14].fill(9);
        flows.received(heard, to(1), &answer);
        assert!(flows.is_needless(heard, &initial(1200)), "an acknowledgement");
        let mut with_more = initial(1200);
        with_more.bytes.extend([0xe0; 100]);
        assert!(!flows.is_needless(heard, &with_more), "a handshake packet travels along");
        flows.connected(heard, to(1));
        assert!(!flows.is_needless(heard, &initial(1200)));
        while let Some(at) = flows.next() {
            flows.due(at);
        }
        assert!(
            !flows.is_needless(heard + LIFETIME, &initial(1200)),
            "copies have ended, so it is QUIC's to repeat"
        );
    }

    #[test]
    fn where_both_dial_at_once_an_answer_is_no_acknowledgement() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.begin(now, to(1));
        assert!(flows.sent(now, initial(1200)));
        flows.received(now, to(1), &initial(1200).bytes);
        assert!(!flows.is_needless(now, &initial(1230)));
    }

    #[test]
    fn a_callee_says_what_it_has_to_say() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        flows.received(now, to(1), &initial(1200).bytes);
        assert!(!flows.is_needless(now, &initial(48)) && !flows.is_needless(now, &initial(1230)));
        assert!(flows.sent(now, initial(1230)));
        assert!(flows.is_needless(now + AGAIN, &initial(1230)));
        assert!(!flows.is_needless(now + AGAIN, &initial(48)));
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
    fn a_stranger_who_comes_again_after_its_time_is_answered_anew() {
        let (now, mut flows) = (Instant::now(), Flows::default());
        for now in [now, now + STRANGER_LIFETIME] {
            flows.received(now, to(1), &copy(1, true, 1200).bytes);
            assert!((0..3).all(|_| flows.may_send(&copy(1, true, 1200))));
            assert!(!flows.may_send(&copy(1, true, 9)));
        }
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
