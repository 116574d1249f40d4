//! How much of what was sent got lost lately, from the counts in the peer's reports.
//!
//! Guarantee: a fraction from 0 to 1 whatever the counts say. It rises with the newest report and falls over seconds.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// What a fraction is taken over.
const WINDOW: Duration = Duration::from_secs(2);
/// A fraction is taken of at least so many datagrams, and a sudden rise believed from so many lost ones on.
const ENOUGH: u64 = 40;
const SUDDEN: u64 = 6;
/// How long the fraction takes to fall to a third.
const RELEASE: f32 = 4.0;
const MAX_REPORTS: usize = 64;

/// Follows the peer's counts of datagrams received and lost.
#[derive(Clone, Debug, Default)]
pub struct LossMeter {
    reports: VecDeque<(Time, u64, u64)>,
    loss: Option<f32>,
}

impl LossMeter {
    /// Takes the counts, since the call began, of a report that came at `now`. The same counts again change nothing.
    pub fn update(&mut self, now: Time, received: u64, lost: u64) {
        let Some(&(before, last_received, _)) = self.reports.back() else {
            self.reports.push_back((now, received, lost));
            return;
        };
        if received <= last_received {
            return;
        }
        while self.reports.len() > 1
            && (now.since(self.reports[1].0) >= WINDOW || self.reports.len() >= MAX_REPORTS)
        {
            self.reports.pop_front();
        }
        self.reports.push_back((now, received, lost));
        // The whole window, and its newest part that says enough.
        let (whole, _) = self.since(0).unwrap_or_default();
        let newest = (0..self.reports.len() - 1).rev().find_map(|from| self.since(from));
        let sudden = newest.filter(|&(share, gone)| gone >= SUDDEN && share > 2.5 * whole);
        let seen = sudden.map_or(whole, |(share, _)| share);
        let old = self.loss.unwrap_or(seen);
        let kept = (-now.since(before).as_secs_f32() / RELEASE).exp();
        self.loss = Some(if seen > old { seen } else { seen + (old - seen) * kept });
    }

    /// The fraction and number lost since that report; `None` if too few were sent since.
    fn since(&self, from: usize) -> Option<(f32, u64)> {
        let (&(_, received, lost), &(_, last_received, last_lost)) =
            (self.reports.get(from)?, self.reports.back()?);
        let came = last_received.saturating_sub(received);
        // What was late may have come since.
        let gone = last_lost.saturating_sub(lost);
        let all = came.saturating_add(gone);
        (all >= ENOUGH).then(|| (gone as f32 / all as f32, gone))
    }

    /// The fraction of datagrams lost lately; `None` until a report has told.
    #[must_use]
    pub fn loss(&self) -> Option<f32> {
        self.loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports every 250 ms of 60 datagrams of which `lost(i)` were lost, and the loss after the last.
    fn after(reports: u64, lost: impl Fn(u64) -> u64) -> f32 {
        let (mut meter, mut all) = (LossMeter::default(), 0);
        for i in 0..reports {
            all += lost(i);
            meter.update(Time::from_millis(i * 250), 60 * (i + 1) - all, all);
        }
        meter.loss().unwrap()
    }

    #[test]
    fn the_fraction_is_that_of_the_last_seconds() {
        assert_eq!(after(20, |_| 0), 0.0);
        let even = after(100, |i| i % 2 * 6);
        assert!((even - 0.05).abs() < 0.015, "{even}");
    }

    #[test]
    fn a_rise_shows_at_once_and_a_fall_takes_seconds() {
        assert!(after(21, |i| if i < 20 { 0 } else { 12 }) > 0.15);
        assert!(after(24, |i| if i < 20 { 12 } else { 0 }) > 0.1);
        assert!(after(80, |i| if i < 20 { 12 } else { 0 }) < 0.01);
    }

    #[test]
    fn counts_that_make_no_sense_do_no_harm() {
        let mut meter = LossMeter::default();
        for (received, lost) in [(u64::MAX, 0), (0, u64::MAX), (5, 5), (u64::MAX, u64::MAX), (7, 0)] {
            meter.update(Time::from_millis(10), received, lost);
            assert!(meter.loss().is_none_or(|loss| (0.0..=1.0).contains(&loss)));
        }
    }
}
