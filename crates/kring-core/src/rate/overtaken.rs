//! By how much datagrams overtake each other.
//!
//! Guarantee: never more than [`MOST`], and nothing seen more than twice [`SPAN`] ago.

use crate::time::Time;
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_millis(400);

/// The longest time by which one came after a later one, lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overtaken {
    /// In the span under way and in the one before.
    most: [Duration; 2],
    began: Time,
}

impl Overtaken {
    /// One came so long after a later one.
    pub(super) fn add(&mut self, now: Time, by: Duration) {
        self.turn(now);
        self.most[0] = self.most[0].max(by.min(MOST));
    }

    /// Begins a span, if it is time.
    pub(super) fn turn(&mut self, now: Time) {
        if now.since(self.began) >= SPAN {
            let fresh = now.since(self.began) < SPAN * 2;
            self.most = [Duration::ZERO, if fresh { self.most[0] } else { Duration::ZERO }];
            self.began = now;
        }
    }

    /// The longest; zero where the order is kept.
    pub(super) fn most(&self) -> Duration {
        self.most[0].max(self.most[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_the_last_spans_counts() {
        let (mut overtaken, ms) = (Overtaken::default(), Duration::from_millis);
        overtaken.add(Time::from_millis(100), ms(50));
        overtaken.add(Time::from_millis(200), ms(20));
        assert_eq!(overtaken.most(), ms(50));
        overtaken.add(Time::from_millis(10_100), ms(5));
        assert_eq!(overtaken.most(), ms(50), "of the span before");
        overtaken.turn(Time::from_millis(20_200));
        assert_eq!(overtaken.most(), ms(5));
        overtaken.turn(Time::from_millis(90_000));
        assert_eq!(overtaken.most(), Duration::ZERO);
        overtaken.add(Time::from_millis(90_000), Duration::MAX);
        assert_eq!(overtaken.most(), MOST);
    }
}
