//! Whether loss is congestion: it is, if it comes with the rate; loss that is the same at every rate is the link's own.
//!
//! Guarantee: bounded memory and work. A limit is told only when a bottleneck explains what was lost at which rate so
//! much better than constant loss does that chance is ruled out.
//!
//! Two explanations are compared by their likelihood: loss is a constant p; or it is p + (1 − p) · max(0, 1 − C / rate)
//! with a bottleneck of capacity C. (libwebrtc's second loss-based estimator rests on the same model.)

use super::history::Judged;
use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// An observation covers at least so much time and so many packets.
const SPAN: Duration = Duration::from_millis(250);
const PACKETS: u32 = 10;
/// So many observations are kept: ten seconds or more.
const OBSERVATIONS: usize = 40;
/// Each one counts so much less than the next.
const FADING: f64 = 0.95;
/// Loss below this is of no interest.
const NEGLIGIBLE: f64 = 0.015;
/// How much better, as a difference of log likelihoods, a bottleneck has to explain the loss.
const EVIDENCE: f64 = 2.0;
/// Where more than this gets lost, sending less is right whatever the cause.
const HEAVY: f64 = 0.45;
/// The rates of so many observations are looked at for variety.
const VARIETY: usize = 30;
const INHERENT: [f64; 12] = [0.0005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4];
/// A rise of loss by so much, twice in a row, is taken for congestion until shown otherwise.
const SUDDEN: f64 = 0.2;

#[derive(Clone, Copy, Debug)]
struct Observation {
    packets: f64,
    lost: f64,
    /// bit/s sent.
    rate: f64,
}

/// What losses say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// No more than this passes, in bit/s; `None` if loss is not, or not shown to be, congestion.
    pub(super) limit: Option<f64>,
}

/// Follows losses.
#[derive(Debug, Default)]
pub(super) struct Loss {
    began: Option<Time>,
    bytes: u64,
    packets: u32,
    lost: u32,
    observations: VecDeque<Observation>,
    /// Smoothed loss: of the last second or two, rising fast.
    recent: f64,
    usual: f64,
    runs: Runs,
}

/// How long losses last: the mean number of packets lost in a row.
#[derive(Debug)]
struct Runs {
    current: u32,
    mean: f64,
    seen: u32,
}

impl Default for Runs {
    fn default() -> Runs {
        Runs { current: 0, mean: 1.0, seen: 0 }
    }
}

impl Loss {
    /// Takes a packet, in the order of sending; `true` if an observation is complete.
    pub(super) fn add(&mut self, packet: &Judged) -> bool {
        if packet.lost {
            self.runs.current += 1;
        } else if self.runs.current > 0 {
            self.runs.seen = (self.runs.seen + 1).min(30);
            let off = f64::from(self.runs.current.min(50)) - self.runs.mean;
            self.runs.mean += off / f64::from(self.runs.seen + 2);
            self.runs.current = 0;
        }
        let began = *self.began.get_or_insert(packet.sent);
        let span = packet.sent.since(began);
        if span >= SPAN && self.packets >= PACKETS {
            let rate = self.bytes as f64 * 8.0 / span.as_secs_f64();
            let (packets, lost) = (f64::from(self.packets), f64::from(self.lost));
            // After a pause it is no rate.
            if span < SPAN * 8 {
                self.observe(Observation { packets, lost, rate });
            }
            (self.began, self.bytes, self.packets, self.lost) = (Some(packet.sent), 0, 0, 0);
            self.count(packet);
            return true;
        }
        self.count(packet);
        false
    }

    /// So many of those judged lost have come after all.
    pub(super) fn regain(&mut self, count: u32) {
        self.lost = self.lost.saturating_sub(count);
        self.runs.current = self.runs.current.saturating_sub(count);
    }

    fn count(&mut self, packet: &Judged) {
        self.bytes += u64::from(packet.size);
        self.packets += 1;
        self.lost += u32::from(packet.lost);
    }

    fn observe(&mut self, observation: Observation) {
        let loss = observation.lost / observation.packets;
        self.recent += (loss - self.recent) * if loss > self.recent { 0.4 } else { 0.1 };
        self.usual += (loss - self.usual) * 0.1;
        self.observations.push_back(observation);
        if self.observations.len() > OBSERVATIONS {
            self.observations.pop_front();
        }
    }

    /// Packets and losses of the last observation.
    pub(super) fn latest(&self) -> (f64, f64) {
        self.observations.back().map_or((0.0, 0.0), |o| (o.packets, o.lost))
    }

    /// Lost share lately, 0 to 1: quick to rise, slow to fall.
    pub(super) fn recent(&self) -> f64 {
        self.recent
    }

    /// How many are lost in a row, on average; at least 1.
    pub(super) fn run(&self) -> f64 {
        self.runs.mean.max(1.0)
    }

    /// Whether what was lost shows a bottleneck. Work for a few thousand logarithms: ask once an observation.
    pub(super) fn verdict(&self) -> Verdict {
        let Some(last) = self.observations.back() else { return Verdict::default() };
        let (mut packets, mut lost, mut most) = (0.0, 0.0, 0.0f64);
        for o in &self.observations {
            packets += o.packets;
            lost += o.lost;
            most = most.max(o.rate);
        }
        if lost / packets < NEGLIGIBLE {
            return Verdict::default();
        }
        let constant = self.likelihood(lost / packets, f64::INFINITY);
        let mut best = (constant, f64::INFINITY);
        for step in 0..24 {
            let capacity = most * 0.92f64.powi(step);
            for inherent in INHERENT {
                let likelihood = self.likelihood(inherent, capacity);
                if likelihood > best.0 {
                    best = (likelihood, capacity);
                }
            }
        }
        // Losses that come in bursts are worth less: one burst is one event.
        let runs = (self.run() * (1.0 - lost / packets)).max(1.0);
        let convincing = (best.0 - constant) / runs > EVIDENCE;
        let sudden = || {
            let before = self.observations.iter().rev().nth(1);
            let high = |o: &Observation| o.lost / o.packets > self.usual + SUDDEN;
            (self.observations.len() >= 8 && high(last) && before.is_some_and(high))
                .then(|| last.rate * (1.0 - last.lost / last.packets) / (1.0 - self.usual.min(0.5)))
        };
        let (heavy, whole, passed) =
            self.observations.iter().rev().take(4).fold((0.0, 0.0, 0.0), |(l, n, r), o| {
                (l + o.lost, n + o.packets, r + o.rate * (1.0 - o.lost / o.packets))
            });
        if heavy / whole > HEAVY && self.observations.len() >= 4 {
            return Verdict { limit: Some(passed / 4.0) };
        }
        Verdict { limit: if convincing { Some(best.1) } else { sudden() } }
    }

    /// Whether much is lost and all was sent at about one rate, so that nothing can be told from it.
    pub(super) fn needs_variety(&self) -> bool {
        let rates = || self.observations.iter().rev().take(VARIETY).map(|o| o.rate);
        let (least, most) = rates().fold((f64::INFINITY, 0.0f64), |(l, m), r| (l.min(r), m.max(r)));
        self.observations.len() >= 8 && self.usual.min(self.recent) > 0.06 && most < 1.35 * least
    }

    fn likelihood(&self, inherent: f64, capacity: f64) -> f64 {
        let mut weight = 1.0;
        let mut sum = 0.0;
        for o in self.observations.iter().rev() {
            let excess = (1.0 - capacity / o.rate).max(0.0);
            let p = (inherent + (1.0 - inherent) * excess).clamp(0.0005, 0.9995);
            sum += weight * (o.lost * p.ln() + (o.packets - o.lost) * (1.0 - p).ln());
            weight *= FADING;
        }
        sum
    }

    pub(super) fn reset(&mut self) {
        *self = Loss::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends at each of `rates` (kbit/s) for half a second over a link that loses `random` and passes `capacity`.
    fn after(rates: &[u32], random: f64, capacity: f64) -> Loss {
        let mut loss = Loss::default();
        let (mut micros, mut seed, mut debt) = (0u64, 9u64, 0.0f64);
        for &rate in rates {
            for _ in 0..rate / 16 {
                micros += 8_000_000 / u64::from(rate);
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let chance = (seed >> 33) as f64 / (1u64 << 31) as f64;
                debt += (1.0 - capacity / f64::from(rate)).max(0.0);
                let dropped = debt >= 1.0;
                debt -= f64::from(u8::from(dropped));
                loss.add(&Judged {
                    sent: Time::from_micros(micros),
                    size: 1000,
                    probe: None,
                    lost: dropped || chance < random,
                });
            }
        }
        loss
    }

    #[test]
    fn loss_at_every_rate_alike_is_no_congestion() {
        for random in [0.0, 0.05, 0.1, 0.2, 0.3] {
            let loss =
                after(&[600, 700, 900, 1000, 900, 1200, 1300, 800, 1500, 1500, 1600, 1700], random, 1e9);
            assert_eq!(loss.verdict().limit, None, "{random}");
            assert!((loss.recent() - random).abs() < 0.1, "{random}: {}", loss.recent());
        }
    }

    #[test]
    fn loss_that_comes_with_the_rate_is() {
        for random in [0.0, 0.1] {
            let loss = after(&[300, 350, 400, 450, 480, 500, 600, 700, 800], random, 500.0);
            let limit = loss.verdict().limit.unwrap();
            assert!((420_000.0..560_000.0).contains(&limit), "{random}: {limit}");
        }
    }

    #[test]
    fn the_length_of_bursts_is_measured() {
        let mut loss = Loss::default();
        for n in 0..2000u64 {
            loss.add(&Judged { sent: Time::from_millis(n * 5), size: 100, probe: None, lost: n % 50 < 4 });
        }
        assert!((3.7..4.1).contains(&loss.run()), "{}", loss.run());
    }
}
