//! Whether playout should lose or gain a frame to move its delay towards the target.
//!
//! Guarantee: one frame at a time, never below the target, and rather where nobody hears it. This is the
//! place where time stretching will go.

use std::time::Duration;

use super::delay::micros;
use crate::time::Time;

/// What to do before the next packet is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Play it.
    Stay,
    /// Leave it out: the delay is a frame more than needed.
    Drop,
    /// Conceal a frame first: the delay is a frame less than needed.
    Insert,
}

/// For how long the delay has been off its target.
#[derive(Debug, Default)]
pub(super) struct Adaptation {
    above: Option<Time>,
    below: Option<Time>,
}

impl Adaptation {
    /// Decides at `now` about a packet of length `frame`, to be played `excess` µs beyond the target.
    ///
    /// `quiet`: it is nearly silent. `followed`: the packet after it is here, so that leaving this one out
    /// leaves no hole.
    pub(super) fn decide(
        &mut self,
        now: Time,
        excess: i64,
        frame: Duration,
        quiet: bool,
        followed: bool,
    ) -> Move {
        let frame = micros(frame);
        let spare = excess.saturating_sub(frame);
        if excess <= -frame {
            self.above = None;
            let held = now.since(*self.below.get_or_insert(now));
            if held >= Duration::from_millis(if quiet { 100 } else { 1000 }) {
                self.below = None;
                return Move::Insert;
            }
        } else if spare > 0 {
            self.below = None;
            let held = now.since(*self.above.get_or_insert(now));
            let patience = patience(spare);
            if followed && (held >= patience || quiet && held >= patience / 3) {
                self.above = None;
                return Move::Drop;
            }
        } else {
            *self = Adaptation::default();
        }
        Move::Stay
    }
}

/// How long an excess that could be given up is borne until a loud packet is dropped for it; a third of it
/// for a quiet one. A large excess hurts the conversation more than the cuts do.
fn patience(spare: i64) -> Duration {
    Duration::from_millis(match spare {
        ..20_000 => 3000,
        20_000..60_000 => 1000,
        60_000..100_000 => 500,
        _ => 150,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    /// The time in ms and the move that is decided first, asked every 20 ms.
    fn first_move(excess: i64, quiet: bool, followed: bool) -> Option<(u64, Move)> {
        let mut adaptation = Adaptation::default();
        let ask = |ms| (ms, adaptation.decide(Time::from_millis(ms), excess, FRAME, quiet, followed));
        (0..500).map(|i| i * 20).map(ask).find(|&(_, m)| m != Move::Stay)
    }

    #[test]
    fn within_a_frame_of_the_target_nothing_moves() {
        for excess in [-19_000, 0, 20_000] {
            assert_eq!(first_move(excess, true, true), None);
        }
    }

    #[test]
    fn a_quiet_frame_goes_after_one_second_and_a_loud_one_after_three() {
        assert_eq!(first_move(25_000, true, true), Some((1000, Move::Drop)));
        assert_eq!(first_move(25_000, false, true), Some((3000, Move::Drop)));
    }

    #[test]
    fn a_large_excess_goes_fast() {
        assert_eq!(first_move(300_000, false, true), Some((160, Move::Drop)));
    }

    #[test]
    fn nothing_is_dropped_if_that_would_leave_a_hole() {
        assert_eq!(first_move(300_000, true, false), None);
    }

    #[test]
    fn a_delay_a_frame_too_short_grows() {
        assert_eq!(first_move(-20_000, true, false), Some((100, Move::Insert)));
        assert_eq!(first_move(-20_000, false, false), Some((1000, Move::Insert)));
    }
}
