//! Whether the network's queue is growing: the slope of one-way delay over the last groups of packets.
//!
//! Guarantee: constant work for each packet and bounded memory. Source: Google Congestion Control
//! (draft-ietf-rmcat-gcc-02, section 5) with the trendline of libwebrtc in place of the Kalman filter.

use crate::time::Time;
use std::collections::VecDeque;

/// Packets sent within so many µs are one group: pacing sends them together.
const GROUP: u64 = 5_000;
/// Groups in the regression.
const WINDOW: usize = 20;
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
/// Gains by which the threshold follows the trend outwards and inwards (the draft's K_u, K_d), for each ms.
const OUT: f64 = 0.0087;
const IN: f64 = 0.039;
const THRESHOLD: (f64, f64) = (6.0, 600.0);
/// So long, in ms, a trend has to last to be overuse.
const OVERUSE_TIME: f64 = 10.0;

/// What the delays say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    /// The queue stays as it is.
    #[default]
    Normal,
    /// The queue grows.
    Over,
    /// The queue shrinks.
    Under,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: u64,
    last_sent: u64,
    first_arrival: i64,
    last_arrival: i64,
}

/// The slope of delay and its adaptive threshold.
#[derive(Debug)]
pub(super) struct Trend {
    group: Option<Group>,
    before: Option<Group>,
    /// (arrival, smoothed delay), in ms.
    points: VecDeque<(f64, f64)>,
    accumulated: f64,
    smoothed: f64,
    groups: u32,
    threshold: f64,
    last: f64,
    over_for: f64,
    over_count: u32,
    usage: Usage,
}

impl Default for Trend {
    fn default() -> Trend {
        Trend {
            group: None,
            before: None,
            points: VecDeque::new(),
            accumulated: 0.0,
            smoothed: 0.0,
            groups: 0,
            threshold: 12.5,
            last: 0.0,
            over_for: 0.0,
            over_count: 0,
            usage: Usage::Normal,
        }
    }
}

impl Trend {
    /// Takes a received packet, in the order of sending; `arrival` in µs on the receiver's clock.
    pub(super) fn add(&mut self, sent: Time, arrival: i64) {
        let sent = sent.as_micros();
        let Some(group) = &mut self.group else {
            self.group = Some(Group {
                first_sent: sent,
                last_sent: sent,
                first_arrival: arrival,
                last_arrival: arrival,
            });
            return;
        };
        if sent < group.first_sent {
            return;
        }
        let together = sent - group.first_sent <= GROUP;
        // What the network held back and let go at once is one group too.
        let apart = arrival - group.last_arrival;
        let burst = apart <= 5_000
            && apart < sent.saturating_sub(group.last_sent) as i64
            && arrival - group.first_arrival < 100_000;
        if together || burst {
            group.last_sent = group.last_sent.max(sent);
            group.last_arrival = group.last_arrival.max(arrival);
            return;
        }
        let done = *group;
        self.group =
            Some(Group { first_sent: sent, last_sent: sent, first_arrival: arrival, last_arrival: arrival });
        if let Some(before) = self.before.replace(done) {
            let sent_apart = done.last_sent.saturating_sub(before.last_sent) as f64 / 1000.0;
            let came_apart = (done.last_arrival - before.last_arrival) as f64 / 1000.0;
            if came_apart.abs() > 3000.0 || sent_apart > 3000.0 {
                let threshold = self.threshold;
                *self = Trend { threshold, group: self.group, before: Some(done), ..Trend::default() };
            } else if came_apart >= 0.0 {
                self.change(done.last_arrival as f64 / 1000.0, came_apart - sent_apart, sent_apart);
            }
        }
    }

    fn change(&mut self, arrival: f64, change: f64, apart: f64) {
        self.groups = (self.groups + 1).min(60);
        self.accumulated += change;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        self.points.push_back((arrival, self.smoothed));
        if self.points.len() > WINDOW {
            self.points.pop_front();
        }
        if self.points.len() == WINDOW {
            let slope = slope(&self.points).unwrap_or(0.0);
            self.detect(slope * f64::from(self.groups) * GAIN, apart);
        }
    }

    fn detect(&mut self, trend: f64, apart: f64) {
        if trend > self.threshold {
            self.over_for += if self.over_count == 0 { apart / 2.0 } else { apart };
            self.over_count += 1;
            if self.over_for > OVERUSE_TIME && self.over_count > 1 && trend >= self.last {
                (self.over_for, self.over_count, self.usage) = (0.0, 0, Usage::Over);
            }
        } else {
            (self.over_for, self.over_count) = (0.0, 0);
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.last = trend;
        let beyond = trend.abs() - self.threshold;
        // A sudden spike says nothing of what is usual here.
        if beyond <= 15.0 {
            let gain = if beyond < 0.0 { IN } else { OUT };
            self.threshold =
                (self.threshold + gain * beyond * apart.min(100.0)).clamp(THRESHOLD.0, THRESHOLD.1);
        }
    }

    /// What the delays say now.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// Forgets all: the path has changed.
    pub(super) fn reset(&mut self) {
        *self = Trend::default();
    }
}

fn slope(points: &VecDeque<(f64, f64)>) -> Option<f64> {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (above, below) =
        points.iter().fold((0.0, 0.0), |(a, b), p| (a + (p.0 - x) * (p.1 - y), b + (p.0 - x).powi(2)));
    (below > 0.0).then(|| above / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(delays_us: impl IntoIterator<Item = i64>) -> Usage {
        let mut trend = Trend::default();
        for (n, delay) in (0..).zip(delays_us) {
            let sent = n * 10_000;
            trend.add(Time::from_micros(sent), sent as i64 + delay);
        }
        trend.usage()
    }

    #[test]
    fn an_even_path_is_normal() {
        assert_eq!(after([20_000; 100]), Usage::Normal);
        assert_eq!(after((0..300).map(|n| n * 7 % 11 * 300)), Usage::Normal);
    }

    #[test]
    fn a_queue_that_builds_up_is_overuse_and_one_that_drains_is_not() {
        assert_eq!(after((0..100).map(|n| if n < 40 { 0 } else { (n - 40) * 1500 })), Usage::Over);
        assert_eq!(after((0..100).map(|n| 300_000 - n * 2500)), Usage::Under);
    }

    #[test]
    fn the_ends_of_the_number_range_do_no_harm() {
        let mut trend = Trend::default();
        for (sent, arrival) in [(0, i64::MAX / 4), (u64::MAX / 4, i64::MIN / 4), (9, 9), (u64::MAX / 2, 0)] {
            trend.add(Time::from_micros(sent), arrival);
        }
    }
}
