//! How long packets wait in the network's queue: one-way delay above the least seen in the last ten seconds.
//!
//! Guarantee: both clocks' offset does not matter, and their drift of some 100 ppm adds no more than a millisecond; a
//! new and longer route is taken for a queue for ten seconds at most, or until it is [taken for the base](QueueDelay::rebase).
//!
//! Over a short while of arrivals the *least* delay is looked at, so that jitter, which comes and goes within it, is no
//! queue. (Of arrivals, not of sending: a burst is sent within a moment and shows the queue only as it drains.)

use std::collections::VecDeque;

/// The least delay is kept for each so long span of arrivals, in µs.
const SPAN: i64 = 50_000;
/// So many spans are remembered: ten seconds.
const SPANS: i64 = 200;
/// The base has fallen if by more than this, in µs.
const FELL: i64 = 3_000;
/// Variation is taken over so many spans.
const VARIATION_SPANS: i64 = 10;

#[derive(Clone, Copy, Debug)]
struct Span {
    index: i64,
    least: i64,
}

/// Follows one-way delays; all in µs.
#[derive(Debug, Default)]
pub(super) struct QueueDelay {
    spans: VecDeque<Span>,
    base: i64,
    /// When, by arrivals, the base last fell by more than [`FELL`].
    fell: i64,
    /// Smoothed standard deviation of the spans' least delays.
    variation: f64,
    measured: i64,
}

impl QueueDelay {
    /// Takes a packet's arrival and its one-way delay (any offset).
    pub(super) fn add(&mut self, arrival: i64, delay: i64) {
        let index = arrival.div_euclid(SPAN);
        match self.spans.back_mut() {
            Some(last) if last.index == index => last.least = last.least.min(delay),
            // Came late: it tells nothing of now, but it may be the fastest.
            Some(last) if last.index > index => {}
            _ => {
                self.measure(index);
                self.spans.push_back(Span { index, least: delay });
            }
        }
        while self.spans.len() > SPANS as usize || self.spans.front().is_some_and(|s| s.index + SPANS < index)
        {
            self.spans.pop_front();
        }
        let base = self.spans.iter().map(|s| s.least).min().unwrap_or(delay).min(delay);
        if self.spans.len() == 1 || base < self.base - FELL {
            self.fell = arrival;
        }
        self.base = base;
    }

    /// Whether the base has stood for `millis`: before, what there was of a queue may be taken for the way itself.
    pub(super) fn is_settled(&self, millis: i64) -> bool {
        self.spans.back().is_some_and(|last| (last.index + 1) * SPAN - self.fell > millis * 1000)
    }

    /// How long a packet with that one-way delay (any offset) waited, in ms.
    pub(super) fn waited(&self, delay: i64) -> f64 {
        (delay - self.base).max(0) as f64 / 1000.0
    }

    /// Every half a second: how much did it vary?
    fn measure(&mut self, index: i64) {
        if index < self.measured.saturating_add(VARIATION_SPANS) && self.measured != 0 {
            return;
        }
        let recent: Vec<f64> = self.recent(index, VARIATION_SPANS).map(|s| s.least as f64).collect();
        self.measured = index;
        if recent.len() < VARIATION_SPANS as usize / 2 {
            return;
        }
        let mean = recent.iter().sum::<f64>() / recent.len() as f64;
        let variance = recent.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / recent.len() as f64;
        // A queue that builds up varies once; jitter does all the time.
        let step = variance.sqrt().min(self.variation * 2.0 + 8_000.0) - self.variation;
        self.variation += step * if step > 0.0 { 0.4 } else { 0.3 };
    }

    fn recent(&self, index: i64, spans: i64) -> impl Iterator<Item = &Span> {
        self.spans.iter().rev().take_while(move |s| s.index + spans > index)
    }

    /// The least time that packets which came in the last `millis` waited, in ms.
    pub(super) fn least_within(&self, millis: i64) -> f64 {
        let Some(last) = self.spans.back() else { return 0.0 };
        let spans = (millis * 1000 / SPAN).max(1);
        let least = self.recent(last.index, spans).map(|s| s.least).min().unwrap_or(self.base);
        (least - self.base) as f64 / 1000.0
    }

    /// Whether delays have stayed where they are for `millis` of arrivals, but for so many ms.
    pub(super) fn is_flat(&self, millis: i64, by: f64) -> bool {
        let Some(last) = self.spans.back() else { return false };
        let spans = millis * 1000 / SPAN;
        let (mut count, mut least, mut most) = (0, i64::MAX, i64::MIN);
        for span in self.recent(last.index, spans) {
            (count, least, most) = (count + 1, least.min(span.least), most.max(span.least));
        }
        count * 5 >= spans * 4 && (most - least) as f64 / 1000.0 <= by
    }

    /// Forgets all but the last `millis` of arrivals: what is left is the base.
    pub(super) fn rebase(&mut self, millis: i64) {
        let Some(last) = self.spans.back().map(|last| last.index) else { return };
        self.spans.retain(|span| span.index + millis * 1000 / SPAN > last);
        self.base = self.spans.iter().map(|span| span.least).min().unwrap_or(self.base);
    }

    /// How much the least delays vary by themselves, in ms.
    pub(super) fn variation(&self) -> f64 {
        self.variation / 1000.0
    }

    /// Forgets all: the path has changed.
    pub(super) fn reset(&mut self) {
        *self = QueueDelay::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(delays_ms: impl IntoIterator<Item = i64>) -> QueueDelay {
        let mut queue = QueueDelay::default();
        for (n, delay) in (0..).zip(delays_ms) {
            queue.add(n * 10_000, 5_000_000 + delay * 1000);
        }
        queue
    }

    #[test]
    fn an_even_path_has_no_queue_and_no_variation() {
        let queue = after([40; 500]);
        assert_eq!((queue.least_within(100), queue.variation()), (0.0, 0.0));
    }

    #[test]
    fn jitter_is_no_queue_but_a_standing_queue_is() {
        let jitter = |n: i64| n * 7 % 23;
        let queue = after((0..1000).map(jitter));
        assert!(queue.least_within(250) < 3.0, "{}", queue.least_within(250));
        let queue = after((0..1000).map(|n| jitter(n) + if n > 900 { 80 } else { 0 }));
        assert!((75.0..90.0).contains(&queue.least_within(250)), "{}", queue.least_within(250));
    }

    #[test]
    fn a_longer_route_is_the_base_after_ten_seconds() {
        let queue = after((0..2000).map(|n| if n < 900 { 20 } else { 90 }));
        assert_eq!(queue.least_within(250), 0.0);
    }

    #[test]
    fn what_stays_flat_can_be_taken_for_the_base() {
        let mut queue = after((0..1000).map(|n| if n < 900 { 20 } else { 90 }));
        assert!(queue.is_flat(600, 4.0) && !queue.is_flat(2000, 4.0));
        assert!(!after((0..1000).map(|n| n / 10)).is_flat(600, 4.0), "it grows");
        queue.rebase(600);
        assert_eq!(queue.least_within(250), 0.0);
    }

    #[test]
    fn slow_jitter_counts_as_variation() {
        let queue = after((0..2000).map(|n| (n / 10 * 37) % 80));
        assert!((15.0..35.0).contains(&queue.variation()), "{}", queue.variation());
    }
}
