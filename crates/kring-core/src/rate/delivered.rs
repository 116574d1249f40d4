//! The rate at which the network delivers: bytes that came over the time in which they came.
//!
//! Guarantee: bounded memory; no rate is told before enough has come to know one.

use std::collections::VecDeque;

/// The window in µs on the receiver's clock.
const WINDOW: i64 = 1_000_000;
/// The window that tells of this moment, and the longer one where less comes.
const RECENT: [i64; 2] = [250_000, 600_000];
/// So many packets make a rate.
const PACKETS: usize = 12;
/// The least time that says anything, in µs.
const LEAST: i64 = 120_000;
const MAX_POINTS: usize = 4096;

/// Follows arrivals; rates in bit/s.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    points: VecDeque<(i64, u32)>,
    newest: i64,
}

impl Delivered {
    /// Takes a packet that arrived, in µs on the receiver's clock.
    pub(super) fn add(&mut self, arrival: i64, size: u32) {
        if self.points.is_empty() || arrival > self.newest {
            self.newest = arrival;
        }
        self.points.push_back((arrival, size));
        while self.points.len() > MAX_POINTS
            || self.points.front().is_some_and(|&(at, _)| at < self.newest - WINDOW)
        {
            self.points.pop_front();
        }
    }

    /// Bit/s over the last second, or less at the start.
    pub(super) fn rate(&self) -> Option<f64> {
        self.within(WINDOW, 0)
            .filter(|_| self.points.front().is_some_and(|(at, _)| self.newest - at >= LEAST))
    }

    /// Bit/s just now: over a quarter of a second, or as long as it takes to tell.
    pub(super) fn recent(&self) -> Option<f64> {
        RECENT.into_iter().find_map(|window| self.within(window, PACKETS)).or_else(|| self.rate())
    }

    fn within(&self, window: i64, packets: usize) -> Option<f64> {
        let within = || self.points.iter().filter(|&&(at, _)| at >= self.newest - window);
        let &(first, size) = within().next()?;
        let (count, bytes) = within().fold((0, 0), |(n, sum), &(_, size)| (n + 1, sum + u64::from(size)));
        let took = self.newest - first;
        (count >= packets && took >= window / 2 || packets == 0 && took > 0)
            .then(|| (bytes - u64::from(size)) as f64 * 8e6 / took as f64)
    }

    pub(super) fn reset(&mut self) {
        *self = Delivered::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_arrivals() {
        let mut delivered = Delivered::default();
        assert_eq!(delivered.rate(), None);
        (0..200).for_each(|n| delivered.add(n * 10_000, 1250));
        let rate = delivered.rate().unwrap();
        assert!((990_000.0..1_010_000.0).contains(&rate), "{rate}");
        (0..30).for_each(|n| delivered.add(2_000_000 + n * 10_000, 125));
        let recent = delivered.recent().unwrap();
        assert!((95_000.0..105_000.0).contains(&recent), "{recent}");
    }
}
