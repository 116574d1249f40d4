//! One direction of a network.
//!
//! Guarantee: the same settings, seed and packets give the same deliveries; packets keep their order unless `reorder`
//! says otherwise; at most [`MAX_IN_FLIGHT`] are on their way, what is more is lost.

mod spec;

pub use spec::{Ppm, Setting, Spec, SpecError, Term};

use crate::rng::Rng;
use kring_core::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most packets on their way.
pub const MAX_IN_FLIGHT: usize = 4096;
/// The longest wait in a rate's queue unless told otherwise, in µs.
const DEFAULT_QUEUE: u64 = 200_000;
/// The longest that a reordered packet is held back, in µs.
const HELD_BACK: u64 = 30_000;

/// What a link is like at a moment.
#[derive(Clone, Copy, Debug)]
struct Shape {
    delay: u64,
    jitter: u64,
    tau: Option<u64>,
    reorder: Ppm,
    loss: Ppm,
    bursts: Option<(Ppm, u32)>,
    duplicate: Ppm,
    corrupt: Ppm,
    rate: u64,
    queue: u64,
    police: Option<(u64, u64)>,
}

impl Shape {
    const PERFECT: Shape = Shape {
        delay: 0,
        jitter: 0,
        tau: None,
        reorder: 0,
        loss: 0,
        bursts: None,
        duplicate: 0,
        corrupt: 0,
        rate: 0,
        queue: DEFAULT_QUEUE,
        police: None,
    };

    fn apply(&mut self, setting: Setting) {
        match setting {
            Setting::Delay(us) => self.delay = us,
            Setting::Jitter(us) => self.jitter = us,
            Setting::Tau(us) => self.tau = Some(us),
            Setting::Reorder(share) => self.reorder = share,
            Setting::Loss(share) => self.loss = share,
            Setting::Bursts(share, length) => self.bursts = Some((share, length)).filter(|_| share > 0),
            Setting::Duplicate(share) => self.duplicate = share,
            Setting::Corrupt(share) => self.corrupt = share,
            Setting::Rate(kbit) => self.rate = kbit,
            Setting::Queue(us) => self.queue = us,
            Setting::Police(kbit, bucket) => self.police = Some((kbit, bucket)).filter(|_| kbit > 0),
        }
    }
}

/// How the bits of a packet were changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage(u64);

impl Damage {
    /// Changes one to three bits of `bytes`.
    pub fn apply(self, bytes: &mut [u8]) {
        let bits = bytes.len() as u64 * 8;
        for n in 0..=(self.0 >> 62).min(2) {
            if let Some(bit) = (self.0 >> (n * 16) & 0xffff).checked_rem(bits) {
                bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            }
        }
    }
}

/// A packet as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel<T> {
    /// What was sent.
    pub item: T,
    /// Whether bits have changed.
    pub damage: Option<Damage>,
    /// Whether it is the second of two.
    pub copy: bool,
}

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed to the link.
    pub sent: u64,
    /// Handed out.
    pub delivered: u64,
    /// Lost by chance, in a burst, while the link was down or with an old path.
    pub lost: u64,
    /// Dropped by a full queue or the policer.
    pub dropped: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Delivered with bits changed.
    pub corrupted: u64,
}

/// One direction of a network that carries `T`.
#[derive(Debug)]
pub struct Link<T> {
    shape: Shape,
    /// Changes to come, the next last.
    changes: Vec<(Time, Setting)>,
    down: Vec<(Time, Time)>,
    /// Path changes to come, the next last.
    paths: Vec<Time>,
    rng: Rng,
    in_flight: BTreeMap<(Time, u64), Parcel<T>>,
    next: u64,
    busy_until: Time,
    last_arrival: Time,
    /// Jitter that changes slowly: where it stands, in deviations, and since when.
    wander: (f64, Time),
    in_burst: bool,
    /// What is in the policer's bucket, in thousandths of a bit, and when that was so; `None` is full.
    bucket: Option<(Time, u64)>,
    counts: Counts,
}

impl<T: Clone> Link<T> {
    /// A link that begins at the clock's start.
    #[must_use]
    pub fn new(spec: &Spec, rng: Rng) -> Link<T> {
        let mut link = Link {
            shape: Shape::PERFECT,
            changes: Vec::new(),
            down: Vec::new(),
            paths: Vec::new(),
            rng,
            in_flight: BTreeMap::new(),
            next: 0,
            busy_until: Time::ZERO,
            last_arrival: Time::ZERO,
            wander: (0.0, Time::ZERO),
            in_burst: false,
            bucket: None,
            counts: Counts::default(),
        };
        for term in &spec.0 {
            match *term {
                Term::Set(setting) => link.shape.apply(setting),
                Term::At(at, setting) => link.changes.push((at, setting)),
                Term::Down(from, to) => link.down.push((from, to)),
                Term::Path(at) => link.paths.push(at),
            }
        }
        link.changes.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        link.paths.sort_by_key(|at| std::cmp::Reverse(*at));
        link
    }

    /// Takes a packet of `bytes` bytes, headers included.
    pub fn send(&mut self, now: Time, bytes: usize, item: T) {
        self.pass_to(now);
        self.counts.sent += 1;
        let lost = self.is_lost(now);
        let Some(departure) = self.departure(now, bytes) else {
            self.counts.dropped += 1;
            return;
        };
        let jitter = self.jitter(now);
        let mut arrival = departure + Duration::from_micros(self.shape.delay.saturating_add_signed(jitter));
        if self.rng.chance(self.shape.reorder) {
            arrival += Duration::from_micros(self.rng.within(5_000..=HELD_BACK));
        } else {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        let left_behind = self.paths.last().is_some_and(|change| *change <= arrival);
        if lost || left_behind || self.in_flight.len() >= MAX_IN_FLIGHT {
            self.counts.lost += 1;
            return;
        }
        let damage = self.rng.chance(self.shape.corrupt).then(|| Damage(self.rng.within(0..=u64::MAX)));
        self.counts.corrupted += u64::from(damage.is_some());
        if self.rng.chance(self.shape.duplicate) && self.in_flight.len() + 1 < MAX_IN_FLIGHT {
            self.counts.duplicated += 1;
            let later = arrival + Duration::from_micros(self.rng.within(0..=10_000));
            self.put(later, Parcel { item: item.clone(), damage: None, copy: true });
        }
        self.put(arrival, Parcel { item, damage, copy: false });
    }

    /// In µs, either way.
    fn jitter(&mut self, now: Time) -> i64 {
        let most = self.shape.jitter;
        let Some(tau) = self.shape.tau.filter(|_| most > 0) else {
            return if most == 0 { 0 } else { self.rng.within(0..=most).cast_signed() };
        };
        // Twelve uniform numbers make a normal one, near enough.
        let fresh = (0..12).map(|_| self.rng.within(0..=1_000_000) as f64 / 1e6).sum::<f64>() - 6.0;
        let (before, at) = self.wander;
        let keep = if tau == 0 { 0.0 } else { (-(now.since(at).as_micros() as f64) / tau as f64).exp() };
        let value = keep * before + (1.0 - keep * keep).sqrt() * fresh;
        self.wander = (value, now);
        (most as f64 * value.clamp(-3.0, 3.0)) as i64
    }

    fn put(&mut self, arrival: Time, parcel: Parcel<T>) {
        self.in_flight.insert((arrival, self.next), parcel);
        self.next += 1;
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next packet that has arrived by `now`.
    pub fn receive(&mut self, now: Time) -> Option<Parcel<T>> {
        let entry = self.in_flight.first_entry().filter(|entry| entry.key().0 <= now)?;
        self.counts.delivered += 1;
        Some(entry.remove())
    }

    /// What became of the packets so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn pass_to(&mut self, now: Time) {
        while let Some((_, setting)) = self.changes.pop_if(|(at, _)| *at <= now) {
            self.shape.apply(setting);
        }
        while self.paths.pop_if(|at| *at <= now).is_some() {
            (self.busy_until, self.last_arrival) = (now, now);
            (self.in_burst, self.bucket) = (false, None);
        }
    }

    fn is_lost(&mut self, now: Time) -> bool {
        let mut lost = self.rng.chance(self.shape.loss);
        if let Some((share, length)) = self.shape.bursts {
            // Gilbert: a burst ends with chance 1/length, and begins as often as that makes `share` of all.
            let end = 1_000_000_000 / u64::from(length);
            let begin = end * u64::from(share) / u64::from(1_000_000 - share);
            let turn = if self.in_burst { end } else { begin };
            self.in_burst ^= self.rng.chance(turn.min(1_000_000) as u32);
            lost |= self.in_burst;
        }
        lost || self.down.iter().any(|(from, to)| (*from..*to).contains(&now))
    }

    /// When the packet has left queue and policer; `None` if they drop it.
    fn departure(&mut self, now: Time, bytes: usize) -> Option<Time> {
        let bits = bytes as u64 * 8;
        if let Some((kbit, bucket)) = self.shape.police {
            // A kbit/s is a thousandth of a bit each µs.
            let (since, left) = self.bucket.unwrap_or((now, bucket * 8_000_000));
            let filled = left + now.since(since).as_micros() as u64 * kbit;
            let left = filled.min(bucket * 8_000_000).checked_sub(bits * 1000);
            self.bucket = Some((now, left.unwrap_or(filled.min(bucket * 8_000_000))));
            left?;
        }
        if self.shape.rate == 0 {
            return Some(now);
        }
        let start = now.max(self.busy_until);
        if start.since(now).as_micros() as u64 > self.shape.queue {
            return None;
        }
        self.busy_until = start + Duration::from_micros(bits * 1000 / self.shape.rate);
        Some(self.busy_until)
    }
}
