//! Whether what is played next should become longer or shorter, to move the delay towards its target.
//!
//! Guarantee: never below the target, and rather where nobody hears it. The farther the delay is off, the sooner and
//! the more often it happens in the middle of speech; within [`SHORT`] to [`LONG`] of the target nothing moves at all.

use std::time::Duration;

use crate::time::Time;

/// A delay so much shorter than the target is borne, in µs.
const SHORT: i64 = 1_500;
/// A delay so much longer than the target is borne, in µs.
const LONG: i64 = 5_000;

/// How the sound of the packet that [`pull`](super::JitterBuffer::pull) gave last is best played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// By how much it should become longer (above zero) or shorter (below) in µs; zero most of the time. Less is
    /// fine, more is not.
    pub change: i64,
    /// Whether that may be done where somebody speaks. Near silence it always may.
    pub loud: bool,
    /// It does not continue what was made up before it: it came late. The two are to be joined smoothly.
    pub merge: bool,
}

/// When the delay was last moved.
#[derive(Debug, Default)]
pub(super) struct Adaptation {
    moved: Option<Time>,
}

impl Adaptation {
    /// Decides at `now` about a packet to be played `excess` µs beyond the target.
    pub(super) fn decide(&mut self, now: Time, excess: i64) -> Pace {
        let waited = now.since(*self.moved.get_or_insert(now));
        let pace = |loud| Pace { change: excess.saturating_neg(), loud, merge: false };
        if excess < -SHORT {
            pace(waited >= patience_short(excess))
        } else if excess > LONG {
            pace(waited >= patience_long(excess))
        } else {
            Pace::default()
        }
    }

    /// Notes that the sound was made longer or shorter.
    pub(super) fn moved(&mut self, now: Time) {
        self.moved = Some(now);
    }
}

/// Between two stretches of speech when the delay is too short: what is late would be missing.
fn patience_short(excess: i64) -> Duration {
    Duration::from_millis(match -excess {
        ..5_000 => 500,
        5_000..15_000 => 100,
        15_000..40_000 => 50,
        _ => 0,
    })
}

/// Between two cuts into speech when the delay is too long: a large excess hurts the conversation more than they do.
fn patience_long(excess: i64) -> Duration {
    Duration::from_millis(match excess {
        ..25_000 => 6000,
        25_000..60_000 => 2500,
        60_000..100_000 => 400,
        100_000..150_000 => 60,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many ms a change of that excess may be heard, asked every 10 ms.
    fn loud_after(excess: i64) -> Option<u64> {
        let mut adaptation = Adaptation::default();
        (0..500).map(|i| i * 10).find(|&ms| adaptation.decide(Time::from_millis(ms), excess).loud)
    }

    #[test]
    fn near_the_target_nothing_moves() {
        for excess in [-SHORT, 0, LONG] {
            assert_eq!(Adaptation::default().decide(Time::ZERO, excess), Pace::default());
        }
    }

    #[test]
    fn silence_may_be_changed_at_once_and_speech_the_sooner_the_more_there_is_to_do() {
        let first = Adaptation::default().decide(Time::ZERO, 9_000);
        assert_eq!(first, Pace { change: -9_000, loud: false, merge: false });
        assert_eq!(loud_after(30_000), Some(2500));
        assert_eq!(loud_after(70_000), Some(400));
        assert_eq!(loud_after(300_000), Some(0));
        assert_eq!(loud_after(-10_000), Some(100));
    }

    #[test]
    fn one_change_is_followed_by_another_wait() {
        let mut adaptation = Adaptation::default();
        assert!(!adaptation.decide(Time::ZERO, 70_000).loud);
        assert!(adaptation.decide(Time::from_millis(500), 70_000).loud);
        adaptation.moved(Time::from_millis(500));
        assert!(!adaptation.decide(Time::from_millis(890), 70_000).loud);
    }
}
