//! How late packets are: their delay beyond the fastest of the last seconds, and what delay would cover most.
//!
//! Guarantee: a bounded number of samples, and a target between [`MARGIN`] and [`MAX_DELAY`] whatever the
//! capture times say. The two clocks' offset drops out; their drift too, but for what it amounts to in
//! [`BASELINE_SECONDS`].

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// What is added to the network's delay: the block that is being played, scheduling at both ends, and a start with no
/// history.
pub(super) const MARGIN: Duration = Duration::from_millis(9);
/// The most delay that is ever asked for.
pub(super) const MAX_DELAY: Duration = Duration::from_secs(1);

const BASELINE_SECONDS: u64 = 10;
const WINDOW: Duration = Duration::from_secs(8);
const MAX_SAMPLES: usize = 1280;
/// What is late only long ago stops counting: the target is at most this many times what the last seconds needed. A lone burst of
/// lateness is over sooner than one of several.
const RECENT: Duration = Duration::from_millis(3500);
const RECENT_AFTER_ONE: Duration = Duration::from_millis(1000);
const RECENT_PERCENT: i64 = 150;
/// Bursts are two if so long nothing was late between them.
const APART: Duration = Duration::from_millis(400);
/// The share of packets that the target covers, in thousandths.
const QUANTILE: usize = 997;
/// How fast the target falls; it rises at once.
const RELEASE: Duration = Duration::from_millis(500);

/// The delay of one track's packets, all in µs.
///
/// An *offset* is arrival minus the end of capture: the delay plus the unknown difference of the two clocks. A packet's
/// own length is no part of it, so that shorter packets are played earlier at once.
#[derive(Debug, Default)]
pub(super) struct NetworkDelay {
    /// The smallest offset of each second.
    minima: VecDeque<(u64, i64)>,
    window: VecDeque<(Time, i64)>,
    sorted: Vec<i64>,
    /// The offset of the packet that came last.
    latest: Option<i64>,
    target: i64,
    updated: Time,
    /// RFC 3550's estimate, times 16.
    jitter16: u64,
}

impl NetworkDelay {
    /// Takes in a packet that arrived at `now`. The target need not cover more than `most` of its delay.
    pub(super) fn push(&mut self, now: Time, captured: u64, most: Duration) {
        let offset = offset(now, captured);
        if let Some(before) = self.latest.replace(offset) {
            // RFC 3550, section 6.4.1 and appendix A.8.
            let step = offset.saturating_sub(before).unsigned_abs().min(3_000_000);
            self.jitter16 = (self.jitter16 + step).saturating_sub((self.jitter16 + 8) >> 4);
        }
        self.push_minimum(now.as_micros() / 1_000_000, offset);
        self.cover(now, captured, most);
    }

    /// Takes in that what was captured until `captured` can be played from `now` on, though its packet did not come.
    pub(super) fn cover(&mut self, now: Time, captured: u64, most: Duration) {
        let offset = offset(now, captured);
        let old = |&(at, _): &(Time, i64)| now.since(at) > WINDOW;
        while self.window.front().is_some_and(old) || self.window.len() >= MAX_SAMPLES {
            self.window.pop_front();
        }
        let covered = self.baseline().map_or(offset, |b| offset.min(b.saturating_add(micros(most))));
        self.window.push_back((now, covered));
        self.update_target(now);
    }

    fn push_minimum(&mut self, second: u64, offset: i64) {
        while self.minima.front().is_some_and(|&(at, _)| at + BASELINE_SECONDS <= second) {
            self.minima.pop_front();
        }
        match self.minima.back_mut() {
            Some((at, least)) if *at == second => *least = offset.min(*least),
            _ => self.minima.push_back((second, offset)),
        }
    }

    fn update_target(&mut self, now: Time) {
        let Some(baseline) = self.baseline() else { return };
        self.sorted.clear();
        self.sorted.extend(self.window.iter().map(|&(_, offset)| offset));
        let rank = (self.sorted.len() * QUANTILE).div_ceil(1000).saturating_sub(1);
        let (_, &mut covered, _) = self.sorted.select_nth_unstable(rank);
        let bound = |span: Duration| {
            let recent = self.window.iter().rev().take_while(|&&(at, _)| now.since(at) <= span);
            let most = recent.map(|&(_, offset)| offset.saturating_sub(baseline)).max().unwrap_or(0);
            most.saturating_mul(RECENT_PERCENT) / 100
        };
        let (soon, later) = (bound(RECENT_AFTER_ONE), bound(RECENT));
        let once = later > soon && self.bursts(baseline.saturating_add(soon + micros(MARGIN))) < 2;
        let covered = covered.saturating_sub(baseline).min(if once { soon } else { later });
        let wanted = covered.saturating_add(micros(MARGIN)).min(micros(MAX_DELAY));
        let elapsed = micros(now.since(self.updated).min(RELEASE));
        self.updated = now;
        self.target = if wanted >= self.target {
            wanted
        } else {
            self.target - (self.target - wanted) * elapsed / (elapsed + micros(RELEASE))
        };
    }

    /// How many times packets came later than `offset`.
    fn bursts(&self, offset: i64) -> usize {
        let mut last = None;
        let late = self.window.iter().filter(|&&(_, late)| late > offset);
        late.filter(|&&(at, _)| last.replace(at).is_none_or(|last| at.since(last) > APART)).count()
    }

    /// The smallest offset of the last seconds; `None` before the first packet.
    fn baseline(&self) -> Option<i64> {
        self.minima.iter().map(|&(_, least)| least).min()
    }

    /// How far a packet captured until `captured` is behind the fastest one if it is played at `now`.
    pub(super) fn beyond_baseline(&self, now: Time, captured: u64) -> i64 {
        self.baseline().map_or(0, |baseline| offset(now, captured).saturating_sub(baseline))
    }

    /// How far the capture time is from what the packet before it leads to expect.
    pub(super) fn surprise(&self, now: Time, captured: u64) -> u64 {
        self.latest.map_or(0, |before| offset(now, captured).abs_diff(before))
    }

    /// The delay that would have covered most packets, with a margin.
    pub(super) fn target(&self) -> i64 {
        self.target.max(micros(MARGIN))
    }

    /// RFC 3550's interarrival jitter.
    pub(super) fn jitter(&self) -> Duration {
        Duration::from_micros(self.jitter16 >> 4)
    }
}

/// A duration as signed µs.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn offset(now: Time, captured: u64) -> i64 {
    let apart = i128::from(now.as_micros()) - i128::from(captured);
    i64::try_from(apart).unwrap_or(if apart < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(delays: impl IntoIterator<Item = u64>) -> NetworkDelay {
        let mut network = NetworkDelay::default();
        for (i, ms) in delays.into_iter().enumerate() {
            let capture = i as u64 * 20_000;
            network.push(Time::from_micros(7_000_000 + capture + ms * 1000), capture, MAX_DELAY);
        }
        network
    }

    #[test]
    fn an_even_network_asks_for_the_margin_alone() {
        let network = after([50; 200]);
        assert_eq!((network.target(), network.jitter()), (micros(MARGIN), Duration::ZERO));
    }

    #[test]
    fn the_target_covers_nearly_all_packets() {
        let network = after((0..500).map(|i| i * 7 % 30));
        assert!((37_000..=39_000).contains(&network.target()), "{}", network.target());
    }

    #[test]
    fn a_route_that_gets_longer_for_good_stops_counting_after_the_baseline_window() {
        let delays = |n| (0..n).map(|i| if i < 100 { 10 } else { 150 });
        assert!(after(delays(400)).target() > 140_000);
        assert!(after(delays(100 + 50 * 14)).target() < 15_000);
    }

    #[test]
    fn a_lone_burst_is_over_after_a_second_and_one_of_several_is_not() {
        let delays = |bursts: u64| {
            move |i: u64| if i / 100 < bursts && (80..95).contains(&(i % 100)) { 250 } else { 20 }
        };
        // 1.2 s after the last of one or of two bursts, which are 2 s apart.
        let late = |bursts: u64| after((0..bursts * 100 + 60).map(delays(bursts))).target();
        assert!(late(1) < 150_000, "{}", late(1));
        assert!(late(2) > 220_000, "{}", late(2));
    }

    #[test]
    fn jitter_is_that_of_rfc_3550() {
        let network = after((0..1000).map(|i| i % 2 * 16));
        assert!((15_900..=16_100).contains(&network.jitter().as_micros()));
    }

    #[test]
    fn the_ends_of_the_number_range_do_no_harm() {
        let mut network = NetworkDelay::default();
        for (now, capture) in [(0, u64::MAX), (u64::MAX, 0), (0, 0), (u64::MAX, u64::MAX), (0, u64::MAX)] {
            network.push(Time::from_micros(now), capture, MAX_DELAY);
            assert!((micros(MARGIN)..=micros(MAX_DELAY)).contains(&network.target()));
            network.beyond_baseline(Time::from_micros(now), u64::MAX - capture);
            network.surprise(Time::from_micros(now), u64::MAX - capture);
        }
    }
}
