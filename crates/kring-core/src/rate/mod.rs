//! Rate control: how much may be sent, when, and how it is shared between voice and pictures.
//!
//! Guarantee: whatever reports say, the estimate stays between [`MIN_RATE`] and the limit that was set, memory is
//! bounded, and nothing panics. A peer that lies slows down or loses its own call, nobody else's: the window that
//! follows from the estimate is a second bound below.
//!
//! The parts know nothing of each other:
//!
//! - [`feedback`](Feedback): which datagrams came and when, as told in reports;
//! - `history`: what was sent, until its fate is known;
//! - `queue`, `trend`: how long packets wait in the network, and whether that grows;
//! - `loss`: whether loss is congestion;
//! - `delivered`: how fast the network delivers;
//! - `probe`: short bursts to learn of more room;
//! - `pacer`: when the next packet may go;
//! - `share`: what of it voice and pictures get.
//!
//! Here they are put together: overuse takes the estimate to a little less than what is delivered, and pictures wait
//! until the queue has drained; otherwise it grows, by steps where the capacity is known, faster where it is not, and
//! by leaps when a probe shows room. See docs/engine.md.

mod delivered;
mod feedback;
mod history;
mod loss;
mod overtaken;
mod pacer;
mod probe;
mod queue;
mod share;
mod trend;

pub use feedback::{Fate, Feedback, MAX_COVERED, Recorder};
pub use share::Share;

use crate::time::Time;
use delivered::Delivered;
use history::History;
use loss::Loss;
use pacer::Pacer;
use probe::Prober;
use queue::QueueDelay;
use std::time::Duration;
use trend::{Trend, Usage};

/// The least estimate in bit/s: a voice at 60 ms a packet, headers and reports included.
pub const MIN_RATE: f64 = 20_000.0;
/// What is assumed of a link of which nothing is known, in bit/s.
pub const START_RATE: f64 = 300_000.0;
/// IPv4, UDP and QUIC around each datagram, in bytes.
pub const OVERHEAD: u32 = 28 + 26;
/// Packets that are overtaken by so much count, for voice, as so much loss: two copies.
const LATE: (Duration, f64) = (Duration::from_millis(25), 0.03);
/// So many reports come more often than later ones.
const FIRST_REPORTS: u64 = 15;
/// Without a report for so long and twice what usually lies between two, pictures stop.
const SILENCE: Duration = Duration::from_millis(300);
/// And the estimate is taken down so much each half of that time.
const SILENT_DECREASE: f64 = 0.6;
/// Where much less is delivered than sent, the estimate goes down again after so long.
const AGAIN: Duration = Duration::from_millis(80);
/// Each observation of loss (a quarter of a second or more) counts so much less than the next.
const POOLED: f64 = 0.88;
/// What is lost so soon after overuse may have been dropped by a full queue.
const FULL: Duration = Duration::from_millis(1000);
/// After overuse the estimate is so much of what is delivered.
const DECREASE: f64 = 0.88;
/// Or so much, where delays vary by more than so many ms by themselves.
const FALSE_ALARM: f64 = 0.95;
const NOISY: f64 = 18.0;
/// On a thin link what the set-up left in the queue takes its part of what passes for so long.
const SETTING_UP: Duration = Duration::from_secs(3);
/// Growth where the capacity is unknown, a second; and where no probe can find it (below [`PROBED`]).
const GROWTH: f64 = 0.10;
const GROWTH_THIN: f64 = 0.25;
/// And where it is known to be far above.
const GROWTH_BELOW: f64 = 0.60;
/// Where it is known: the queue that is aimed at, in ms and in packets of full size, and in ms at most; and how fast the rate
/// goes there, a second: up by so many bit/s, and at most so much of it; down by so much of it. So calls that share a
/// bottleneck converge.
const CRUISE: (f64, f64, f64) = (1.0, 0.6, 30.0);
const CRUISE_UP: (f64, f64) = (34_000.0, 0.10);
const CRUISE_DOWN: f64 = 0.60;
/// The time in which a queue is to be drained, in ms; and at most so many times as long on thin links, where voice alone
/// would have to make room.
const DRAIN: (f64, f64) = (250.0, 4.0);
/// A queue that was told of is drained after so long and a round trip.
const DRAINING: Duration = Duration::from_millis(500);
/// The wait for an answer is three of the usual intervals of reports, and in s at least and at most so long.
const ANSWER: (f64, f64) = (0.1, 0.35);
/// A packet of a picture takes so many seconds of the target, at most.
const FRAGMENT_TIME: f64 = 0.022;
/// How late QUIC's acknowledgements may come beyond the round trip.
const ACKNOWLEDGED: Duration = Duration::from_millis(100);
/// The window below follows the estimate down so late.
const HOLD: Duration = Duration::from_millis(1000);
/// So much of what the set-up carried is assumed at first; both directions overlap in part.
const ASSUMED: f64 = 0.6;
/// Before the first report, pictures worth so much of the estimate may be out.
const UNTOLD: Duration = Duration::from_millis(200);
/// Probes wait until the least delay has stood for so many ms.
const SETTLED: i64 = 100;
/// Where the capacity is known, a probe needs a sign: no queue, and an estimate so far above it or below it, or so long nothing that
/// was too much. Without one it is looked into so often, by less.
const GROWN: f64 = 1.03;
const FAR_BELOW: f64 = 0.75;
const LONG_AGO: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_secs(3);
/// Below this estimate, in bit/s, a probe would stand in a voice's way.
const PROBED: f64 = 60_000.0;
/// After a silence in which nearly all came, so much of what was sent before is sent again.
const RESUMED: f64 = 0.8;
/// How long a dip lasts, and how long until another one at first.
const DIP: (Duration, Duration) = (Duration::from_millis(700), Duration::from_secs(8));
/// How much of the target is sent in a dip.
const DIPPED: f64 = 0.65;

/// A queue of this side's making falls when less is sent. One that stays where it is for so long, in ms, though less was sent for so
/// long before, is a longer way; it varies by so many ms at most, and half of what a packet takes.
const FLAT: (i64, Duration) = (500, Duration::from_millis(250));
const FLAT_BY: (f64, f64) = (4.0, 12.0);

/// What is known of the network, for whoever chooses redundancy.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NetworkState {
    /// What may be sent, in bit/s, headers of all layers included.
    pub target: u32,
    /// The share of datagrams lost lately, 0 to 1, without what full queues dropped; rises fast and falls slowly.
    pub loss: f64,
    /// How much longer losses last than if each packet were lost by itself: 1 if they are, else about how many are lost in
    /// a row.
    pub burst: f64,
    /// By how much packets overtake each other, at most: zero where they keep their order.
    pub overtaken: Duration,
    /// The round trip; `None` until measured.
    pub round_trip: Option<Duration>,
    /// How long packets wait in the network's queue.
    pub queue: Duration,
}

/// The sender's half of congestion control for one path.
#[derive(Debug)]
pub struct RateControl {
    history: History,
    queue: QueueDelay,
    trend: Trend,
    delivered: Delivered,
    loss: Loss,
    prober: Prober,
    pacer: Pacer,
    estimate: f64,
    most: f64,
    /// What is delivered when it is too much: mean and deviation, in bit/s.
    capacity: Option<(f64, f64)>,
    /// When the link last was full.
    full: Time,
    /// When a queue last stood, of whatever cause.
    stood: Option<Time>,
    loss_limit: Option<f64>,
    round_trip: Option<Duration>,
    /// The last report, and the last overuse.
    heard: Option<Time>,
    overused: Option<Time>,
    /// Since when a queue stands, and the estimate before that.
    standing: Option<(Time, f64)>,
    grown: Time,
    /// Bytes sent in this window and the last, to see whether the app uses what it may.
    sent: (Time, u64, f64),
    /// Since when nothing comes back, and when the estimate was last reduced for it.
    silent: Option<Time>,
    /// The estimate before that.
    spoken: f64,
    /// Sending less for a moment, to see whether less gets lost: until when, when next, and how long to wait then.
    dip: (Time, Time, Duration),
    dipped: bool,
    /// Loss that is the link's own; packets and losses of the last seconds, the older the less.
    link_loss: f64,
    pooled: (f64, f64),
    thawed: Option<Time>,
    /// When the path last changed: what was sent before tells nothing of this one.
    changed: Time,
    /// The highest estimate of the last second, and when it was that.
    held_estimate: (f64, Time),
    /// Reports taken, and the time between them, smoothed.
    reports: u64,
    reports_apart: Duration,
}

impl RateControl {
    /// At the start of a call; `most` is the most that is wanted, in bit/s.
    #[must_use]
    pub fn new(now: Time, most: u32) -> RateControl {
        let most = f64::from(most).max(MIN_RATE);
        let mut control = RateControl {
            history: History::default(),
            queue: QueueDelay::default(),
            trend: Trend::default(),
            delivered: Delivered::default(),
            loss: Loss::default(),
            prober: Prober::new(now),
            pacer: Pacer::new(now),
            estimate: START_RATE.min(most),
            most,
            capacity: None,
            full: now,
            stood: None,
            loss_limit: None,
            round_trip: None,
            heard: None,
            overused: None,
            standing: None,
            grown: now,
            sent: (now, 0, 0.0),
            silent: None,
            spoken: START_RATE,
            dip: (now, now, DIP.1),
            dipped: false,
            link_loss: 0.0,
            pooled: (0.0, 0.0),
            thawed: None,
            changed: now,
            held_estimate: (START_RATE, now),
            reports: 0,
            reports_apart: Duration::from_millis(100),
        };
        control.pace(now);
        control
    }

    /// What the set-up of the call tells of the way, in bit/s: bytes that went to and fro over the time that they took. Without effect
    /// once a report has come.
    pub fn assume(&mut self, now: Time, bits_per_second: f64, round_trip: Duration) {
        if self.reports == 0 {
            self.round_trip = Some(round_trip);
            self.estimate = (ASSUMED * bits_per_second).clamp(MIN_RATE, START_RATE).min(self.ceiling());
            self.pace(now);
        }
    }

    /// Sets the most that is wanted, in bit/s.
    pub fn set_most(&mut self, most: u32) {
        self.most = f64::from(most).max(MIN_RATE);
        self.estimate = self.estimate.min(self.ceiling());
    }

    /// A little more than is wanted is worth knowing of: frames come in bursts.
    fn ceiling(&self) -> f64 {
        self.most * 1.25
    }

    /// Counts a datagram of `bytes` (without what is around it) that is sent now.
    pub fn sent(&mut self, now: Time, bytes: usize) {
        let size = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(OVERHEAD);
        // What is sent first is waited for first.
        if self.history.in_flight() == 0 && self.silent.is_none() {
            self.heard = Some(now);
        }
        let probe = self.prober.sent(now, size);
        self.history.add(now, size, probe);
        self.pacer.sent(now, size);
        if probe.is_some() && self.prober.sending().is_none() {
            self.pace(now);
        }
        let (began, sum, rate) = &mut self.sent;
        *sum += u64::from(size);
        let span = now.since(*began);
        if span >= Duration::from_millis(500) {
            let latest = *sum as f64 * 8.0 / span.as_secs_f64();
            *rate += (latest - *rate) * if *rate == 0.0 { 1.0 } else { 0.5 };
            (*began, *sum) = (now, 0);
        }
    }

    /// Takes a report of the peer that came at `now`.
    pub fn report(&mut self, now: Time, feedback: &Feedback) {
        let news = self.history.take(now, feedback);
        if news.received.is_empty() && news.judged.is_empty() {
            return;
        }
        if let Some(heard) = self.heard.replace(now).filter(|_| self.silent.is_none()) {
            self.reports_apart = (self.reports_apart * 7 + now.since(heard).min(Duration::from_secs(1))) / 8;
        }
        self.reports += 1;
        if self.silent.take().is_some() {
            self.thaw(now);
            let came = news.judged.iter().filter(|packet| !packet.lost).count();
            if came * 20 >= news.judged.len() * 19 {
                self.estimate = self.estimate.max(RESUMED * self.spoken);
            }
        }
        let here = |sent: Time| sent >= self.changed;
        let (received, judged) = (&news.received, &news.judged);
        let latest = received.iter().map(|packet| packet.sent).max().is_some_and(here);
        if let Some(sample) = news.round_trip.filter(|_| latest) {
            let before = self.round_trip.filter(|_| self.reports > 1);
            self.round_trip = Some(before.map_or(sample, |srtt| (srtt * 7 + sample) / 8));
        }
        for packet in received.iter().filter(|packet| here(packet.sent)) {
            let delay = packet.arrival - packet.sent.as_micros() as i64;
            self.queue.add(packet.arrival, delay);
            self.trend.add(packet.sent, packet.arrival);
            self.delivered.add(packet.arrival, packet.size);
            self.prober.received(packet, self.queue.waited(delay));
        }
        if self.queue.least_within(100) > self.usual(10.0) {
            self.stood = Some(now);
        }
        let mut observed = false;
        self.loss.regain(news.regained);
        for packet in judged.iter().filter(|packet| here(packet.sent)) {
            self.prober.judged(packet);
            observed |= self.loss.add(packet);
        }
        if observed {
            self.loss_limit = self.loss.verdict().limit;
            if self.loss_limit.is_none() && now >= self.dip.1 && self.loss.needs_variety() {
                self.dip = (now + DIP.0, now + self.dip.2, (self.dip.2 * 2).min(DIP.1 * 8));
            }
        }
        self.dipped = now < self.dip.0;
        if observed {
            self.follow_link_loss(now);
        }
        self.adapt(now, observed);
        self.pace(now);
    }

    /// What a full queue drops is no reason for redundancy, which would only fill it more.
    fn follow_link_loss(&mut self, now: Time) {
        let full = self.loss_limit.is_some()
            || self.overused.is_some_and(|at| now.since(at) < FULL)
            || self.thawed.is_some_and(|at| now.since(at) < FULL);
        if full {
            return;
        }
        let (packets, lost) = self.loss.latest();
        let (all, gone) = &mut self.pooled;
        (*all, *gone) = (*all * POOLED + packets, *gone * POOLED + lost);
        let latest = if *all > 0.0 { *gone / *all } else { 0.0 };
        let change = latest - self.link_loss;
        self.link_loss += if change > 0.0 { change } else { 0.1 * change };
    }

    fn adapt(&mut self, now: Time, observed: bool) {
        let round_trip = self.round_trip();
        if self.is_overused() {
            let standing = *self.standing.get_or_insert((now, self.estimate));
            if self.is_longer_way(now, standing.0) {
                self.take_longer_way(now, standing.1);
                return self.bound(now);
            }
            let apart = self.overused.map_or(Duration::MAX, |last| now.since(last));
            // While a queue stands, what comes is what passes; a fall by far is not waited out.
            let far = || self.delivered.recent().is_some_and(|rate| rate < 0.7 * self.estimate);
            // While a queue drains, what comes is what was let out, and no measure of what passes.
            let draining = self.target_exact() < 0.5 * self.estimate && apart < round_trip + DRAINING;
            if !draining && (apart > round_trip + Duration::from_millis(150) || apart > AGAIN && far()) {
                self.decrease(now);
            }
            self.grown = now;
            self.prober.stop(now);
            self.prober.postpone(now + round_trip + Duration::from_millis(1500));
        } else {
            self.standing = None;
            self.grow(now);
        }
        if let Some(limit) = self.loss_limit.filter(|limit| observed && *limit < self.estimate) {
            self.estimate = limit * 0.95;
            self.learn(now, limit);
            self.prober.refuted(now, limit);
            self.prober.postpone(now + Duration::from_millis(1000));
        }
        if let Some(shown) = self.prober.result(now, round_trip, self.link_loss) {
            // On a link that is known to be full, only what passes untouched shows room, or far more than is known; and
            // one burst may have been lucky.
            let beyond = |(mean, _)| shown.passed || shown.rate > 1.5 * mean;
            let higher = shown.rate > self.estimate * 1.1 && !self.is_overused();
            // Where a queue stood lately the link is narrow, and a burst that says otherwise met a busy receiver.
            let narrow = self.stood.is_some_and(|at| now.since(at) < FULL);
            let unknown = self.capacity.is_none() && self.thawed.is_none() && !narrow;
            let first = unknown && self.estimate < 1.5 * START_RATE;
            let leap = !first && (shown.rate > 1.6 * self.estimate || self.capacity.is_some());
            let more = higher && self.capacity.is_none_or(beyond);
            let rate = if more && leap { self.prober.confirmed(now, shown.rate) } else { Some(shown.rate) };
            let Some(rate) = rate else { return self.bound(now) };
            if more {
                self.estimate = rate.min(self.ceiling());
                if self.capacity.is_some_and(|(mean, _)| rate > mean * 1.2) {
                    self.capacity = None;
                }
            }
            // A busy receiver makes it look full as well; but there it would not be twice.
            if !more && !shown.passed && shown.rate > 0.9 * self.estimate {
                self.learn(now, shown.rate);
            }
            self.prober.learned(now, more.then_some(rate));
        }
        self.bound(now);
    }

    fn bound(&mut self, now: Time) {
        self.estimate = self.estimate.clamp(MIN_RATE, self.ceiling());
        let (held, since) = self.held_estimate;
        if self.estimate >= held || now.since(since) > HOLD {
            self.held_estimate = (self.estimate, now);
        }
    }

    /// How long a packet of full size takes at the estimate, in ms: pictures cause that much queue by themselves.
    fn packet_time(&self) -> f64 {
        (self.fragment() as f64 + 90.0) * 8.0 / self.estimate * 1000.0
    }

    /// How much delays vary by themselves, in ms: three deviations of the least ones, without what pictures cause (a packet
    /// more or less before them), which varies independently.
    fn noise(&self) -> f64 {
        let (all, own) = (3.0 * self.queue.variation(), self.packet_time().min(60.0));
        (all * all - own * own).max(0.0).sqrt()
    }

    /// What is waited without a queue that stands, in ms: some, what a picture's packet takes, and a deviation of the least delays.
    fn usual(&self, some: f64) -> f64 {
        some + self.packet_time().min(60.0) + self.noise() / 3.0
    }

    fn is_overused(&self) -> bool {
        let noise = self.noise();
        let packets = self.packet_time().min(60.0);
        let growing =
            self.trend.usage() == Usage::Over && self.queue.least_within(100) > 6.0 + packets + noise;
        let standing = self.queue.least_within(250) > 15.0 + packets + noise;
        growing || standing
    }

    /// Whether what looks like a queue since then is none.
    fn is_longer_way(&self, now: Time, since: Time) -> bool {
        let by = FLAT_BY.0 + (self.packet_time() / 2.0).min(FLAT_BY.1);
        let reduced = self.round_trip() + FLAT.1 + Duration::from_millis(FLAT.0 as u64);
        self.loss_limit.is_none() && now.since(since) > reduced && self.queue.is_flat(FLAT.0, by)
    }

    /// What was thought to be too much was not.
    fn take_longer_way(&mut self, now: Time, before: f64) {
        self.queue.rebase(FLAT.0);
        self.trend.reset();
        self.capacity = None;
        (self.overused, self.standing, self.grown) = (None, None, now);
        self.estimate = self.estimate.max(RESUMED * before);
        self.prober.eager(now + self.round_trip());
    }

    fn decrease(&mut self, now: Time) {
        let delivered = self.delivered.recent().unwrap_or(self.estimate * 0.5);
        if self.estimate >= PROBED || now.since(self.changed) > SETTING_UP {
            self.learn(now, delivered);
        }
        // Never up: what was in the queue may come in a rush.
        // Where delays vary much by themselves it may be a false alarm.
        let decrease = if self.noise() > NOISY { FALSE_ALARM } else { DECREASE };
        self.estimate = (delivered * decrease).min(self.estimate * 0.97);
        self.overused = Some(now);
        self.prober.refuted(now, delivered);
    }

    /// Notes at which rate the link was full.
    fn learn(&mut self, now: Time, rate: f64) {
        self.full = now;
        self.capacity = Some(match self.capacity {
            Some((mean, deviation)) if (rate - mean).abs() < 3.0 * deviation.max(mean * 0.05) => {
                let off = (rate - mean).abs();
                (mean + 0.5 * (rate - mean), deviation + 0.2 * (off - deviation))
            }
            _ => (rate, rate * 0.08),
        });
    }

    fn grow(&mut self, now: Time) {
        let longest = (self.reports_apart * 3 / 2).max(Duration::from_millis(300));
        let passed = now.since(self.grown).min(longest).as_secs_f64();
        self.grown = now;
        let known = self
            .capacity
            .is_some_and(|(mean, deviation)| (self.estimate - mean).abs() < 3.0 * deviation.max(mean * 0.05));
        if known {
            return self.cruise(passed);
        }
        let waiting = self.queue.least_within(250) > self.usual(10.0);
        if waiting || self.is_app_limited() || self.trend.usage() != Usage::Normal {
            return;
        }
        let growth = match self.known_room() {
            Some(_) => GROWTH_BELOW,
            None if self.capacity.is_none() && self.estimate < PROBED => {
                GROWTH_THIN * (1.0 - self.queue.least_within(100) / CRUISE.2).max(0.0)
            }
            None => GROWTH,
        };
        let step = growth * self.estimate * passed;
        // What has never been tried is not known.
        let tried = self.delivered.rate().map(|rate| rate / (1.0 - self.loss.recent().min(0.5)));
        let most = tried.map_or(f64::INFINITY, |tried| (tried * 1.5).max(self.estimate));
        self.estimate = (self.estimate + step).min(most);
        if self
            .capacity
            .is_some_and(|(mean, deviation)| self.estimate > mean + 3.0 * deviation.max(mean * 0.05))
        {
            self.capacity = None;
        }
    }

    /// Near the capacity: up and down a little, so that the queue stays at what some half of a packet takes. Who sends less aims
    /// at more of a queue and so gains on who sends more.
    fn cruise(&mut self, passed: f64) {
        let packet = self.packet_time();
        let aim = (CRUISE.0 + CRUISE.1 * packet * (packet / 20.0).powf(1.5)).min(CRUISE.2);
        let waits = (self.queue.least_within(100) - self.noise()).max(0.0);
        let off = ((aim - waits) / aim).clamp(-1.0, 1.0);
        if off > 0.0 && !self.is_app_limited() {
            self.estimate += CRUISE_UP.0.min(CRUISE_UP.1 * self.estimate) * off * passed;
        } else if off < 0.0 {
            self.estimate += CRUISE_DOWN * off * self.estimate * passed;
        }
    }

    /// The capacity, if it is known to be far above the estimate.
    fn known_room(&self) -> Option<f64> {
        self.capacity.map(|(mean, _)| mean).filter(|mean| self.estimate < FAR_BELOW * mean)
    }

    fn is_app_limited(&self) -> bool {
        self.sent.2 < 0.7 * self.estimate
    }

    fn pace(&mut self, now: Time) {
        let rate = match self.prober.sending() {
            Some((probe, _)) => probe,
            // What the way carries is not known yet.
            None if self.reports == 0 => self.estimate,
            // Where there is room enough, a picture need not be stretched over its whole interval.
            None if self.estimate > self.most => self.estimate * 3.0,
            // Short queues lose what comes too fast for them.
            None => self.target_exact() * 1.15,
        };
        self.pacer.set_rate(now, rate);
    }

    /// Does what is due; call it at [`due`](RateControl::due).
    pub fn tick(&mut self, now: Time) {
        if self.silence_due().is_some_and(|at| now >= at) {
            // Nothing comes back. Either nothing arrives, or so much that no report gets through.
            if self.silent.replace(now).is_none() {
                self.prober.stop(now);
                self.spoken = self.estimate;
            }
            self.estimate = (self.estimate * SILENT_DECREASE).max(MIN_RATE);
        }
        if self.prober.is_due(now) {
            let waiting = self.queue.least_within(100);
            let calm = self.queue.is_settled(SETTLED)
                && waiting < 10.0 + self.packet_time() + self.noise() / 3.0
                && !self.is_overused();
            let room =
                self.silent.is_none() && self.estimate < self.ceiling() * 0.98 && self.estimate >= PROBED;
            let known_room = self.known_room();
            let sign = self.capacity.is_none_or(|(mean, _)| {
                let above = self.estimate > GROWN * mean || now.since(self.full) > LONG_AGO;
                (above || known_room.is_some()) && waiting < 3.0 + self.packet_time() / 4.0
            });
            let look = self.prober.begun().is_none_or(|at| now.since(at) > LOOK);
            match (room, calm && (sign || look)) {
                (true, true) => {
                    let before = self.queue.least_within(250) + self.noise();
                    let times = if sign { 2.0 } else { 1.5 };
                    let most = (self.ceiling() * 1.1).min(known_room.unwrap_or(f64::MAX));
                    let rate = (self.estimate * times).min(most);
                    let noise = Some(self.noise()).filter(|noise| *noise > NOISY).unwrap_or(0.0);
                    self.prober.begin(now, rate, self.loss.recent(), before, noise);
                }
                (true, false) => self.prober.postpone(now + Duration::from_millis(100)),
                (false, _) => self.prober.learned(now, None),
            }
        }
        self.pace(now);
    }

    /// When [`tick`](RateControl::tick) is due, unless something is sent or comes before.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.silence_due().into_iter().chain(self.prober.due()).min()
    }

    /// When silence is to be noticed, or has lasted so long that less is sent still.
    fn silence_due(&self) -> Option<Time> {
        let step = |at: Time| at + SILENCE / 2 + Duration::from_millis(1);
        if self.history.in_flight() == 0 {
            return None;
        }
        self.silent.map(step).or_else(|| self.heard.map(|heard| heard + SILENCE + self.reports_apart * 2))
    }

    /// Reports come again. The least delay that was seen still stands: silence may have been a full queue.
    fn thaw(&mut self, now: Time) {
        self.thawed = Some(now);
        self.trend.reset();
        self.delivered.reset();
        // Where it fell silent because it was full, that is known.
        if self.overused.is_none_or(|at| now.since(at) > FULL * 3) {
            self.capacity = None;
        }
        self.prober.eager(now + self.round_trip());
    }

    /// The path below has changed: all that is known of it is void.
    pub fn path_changed(&mut self, now: Time) {
        self.changed = now;
        self.thaw(now);
        self.queue.reset();
        self.loss.reset();
        self.loss_limit = None;
        self.capacity = None;
        self.stood = None;
        self.round_trip = None;
        self.estimate = self.estimate.min(START_RATE);
    }

    /// Whether a packet that can wait (a picture's) may go now.
    pub fn is_open(&mut self, now: Time) -> bool {
        self.silent.is_none() && self.history.in_flight() < self.allowance() && self.pacer.is_open(now)
    }

    /// How many bytes may be out without an answer: more than the path and the wait for a report explain is too much.
    fn allowance(&self) -> u64 {
        if self.reports == 0 {
            return (self.estimate / 8.0 * UNTOLD.as_secs_f64()) as u64 + 1200;
        }
        let wait = (3.0 * self.reports_apart.as_secs_f64()).clamp(ANSWER.0, ANSWER.1);
        let answer = self.round_trip().as_secs_f64() + wait;
        (self.target_exact() / 8.0 * answer * 1.25) as u64 + 2400
    }

    /// When it may, if not now; `None` while the network is silent.
    #[must_use]
    pub fn opens(&self) -> Option<Time> {
        let full = self.history.in_flight() >= self.allowance();
        (self.silent.is_none() && !full).then(|| self.pacer.opens())
    }

    /// How many bytes of padding the probe that is going out needs next, if nothing else is there to be sent.
    #[must_use]
    pub fn padding(&self) -> Option<usize> {
        let (_, size) = self.prober.sending()?;
        Some((size as usize).saturating_sub(OVERHEAD as usize).clamp(24, 1100))
    }

    /// What may be sent now, in bit/s, all headers included: the estimate, or less while a queue drains.
    #[must_use]
    pub fn target(&self) -> u32 {
        self.target_exact() as u32
    }

    fn target_exact(&self) -> f64 {
        let excess = (self.queue.least_within(100) - self.usual(8.0)).max(0.0);
        let within = DRAIN.0 * (PROBED / self.estimate).powi(2).clamp(1.0, DRAIN.1);
        let drain = (1.0 - excess / within).max(0.1);
        let dip = if self.dipped { DIPPED } else { 1.0 };
        (self.estimate.min(self.most) * drain * dip).max(MIN_RATE)
    }

    /// What the link is thought to carry, in bit/s.
    #[must_use]
    pub fn estimate(&self) -> u32 {
        self.estimate as u32
    }

    fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(Duration::from_millis(100))
    }

    /// The most bytes of a picture's packet: at low rates less, so that voice does not wait long behind one.
    #[must_use]
    pub fn fragment(&self) -> usize {
        ((self.estimate * FRAGMENT_TIME / 8.0) as usize).clamp(400, crate::media::MAX_FRAGMENT)
    }

    /// Whether so many reports have come that what they tell of loss can be relied on: about a second's.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.reports >= FIRST_REPORTS
    }

    /// What is known of the network.
    #[must_use]
    pub fn network(&self) -> NetworkState {
        NetworkState {
            target: self.target(),
            loss: self.link_loss,
            burst: (self.loss.run() * (1.0 - self.link_loss)).max(1.0),
            overtaken: self.history.overtaken(),
            round_trip: self.round_trip,
            queue: Duration::from_micros((self.queue.least_within(100).max(0.0) * 1000.0) as u64),
        }
    }

    /// What voice is to be prepared for, 0 to 1: where packets overtake each other by more than a frame, one that is late is as
    /// good as lost, and a copy comes by a way of its own.
    #[must_use]
    pub fn voice_loss(&self) -> f64 {
        let late = self.history.overtaken() >= LATE.0;
        if late { self.link_loss.max(LATE.1) } else { self.link_loss }
    }

    /// How many bytes may be on their way at once: a bound for the transport below, not the control itself. It follows
    /// the estimate down a second late, for what was sent before is still out and voice must not wait for it.
    #[must_use]
    pub fn window(&self) -> u64 {
        let round_trip = self.round_trip().max(Duration::from_millis(50)) + ACKNOWLEDGED;
        let bytes = 2.0 * self.held_estimate.0 * 1.25 / 8.0 * round_trip.as_secs_f64();
        (bytes as u64).max(10 * 1200) / if self.silent.is_some() { 2 } else { 1 }
    }

    /// How often to report so that reports of `bytes` take some 4 % of what may be sent; more often in the first second,
    /// when the other side knows nothing yet. Not less often while a queue drains: without reports the other side would fall silent.
    #[must_use]
    pub fn report_interval(&self, bytes: usize) -> Duration {
        let bits = (bytes as f64 + f64::from(OVERHEAD)) * 8.0;
        let part = if self.reports < FIRST_REPORTS || self.thawed.is_some_and(|at| at > self.grown - FULL * 2)
        {
            0.1
        } else {
            0.04
        };
        Duration::from_secs_f64((bits / (part * self.estimate.min(self.most))).clamp(0.05, 0.6))
    }
}

#[cfg(test)]
mod tests;
