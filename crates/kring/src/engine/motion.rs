//! How pictures move: how many a second, and whether they stand still for too long.
//!
//! Guarantee: bounded memory; a freeze is what the W3C's webrtc-stats calls one (`freezeCount`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many intervals make the usual one.
const USUAL: usize = 30;
/// A freeze is longer than three times the usual, and than the usual and this.
const FREEZE: Duration = Duration::from_millis(150);

/// Follows the pictures that are shown.
#[derive(Debug, Default)]
pub(super) struct Motion {
    shown: VecDeque<Instant>,
    pub(super) freezes: u64,
    pub(super) frozen: Duration,
}

impl Motion {
    /// A picture is shown at `at`.
    pub(super) fn shown(&mut self, at: Instant) {
        if let (Some(&first), Some(&last)) = (self.shown.front(), self.shown.back())
            && self.shown.len() > 1
        {
            let usual = last.saturating_duration_since(first) / (self.shown.len() - 1) as u32;
            let stood = at.saturating_duration_since(last);
            if stood > (usual * 3).max(usual + FREEZE) {
                self.freezes += 1;
                self.frozen += stood;
            }
        }
        self.shown.push_back(at);
        if self.shown.len() > USUAL + 1 {
            self.shown.pop_front();
        }
    }

    /// Pictures shown in the second before `at`, as far as they are remembered.
    pub(super) fn per_second(&self, at: Instant) -> f64 {
        let within = |shown: &&Instant| at.saturating_duration_since(**shown) <= Duration::from_secs(1);
        let recent: Vec<_> = self.shown.iter().filter(within).collect();
        match recent[..] {
            [first, .., last] => {
                let span = last.saturating_duration_since(*first).as_secs_f64();
                (recent.len() - 1) as f64 / span.max(0.001)
            }
            _ => recent.len() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_freeze_and_steady_pictures_are_none() {
        let (mut motion, mut at) = (Motion::default(), Instant::now());
        for _ in 0..60 {
            at += Duration::from_millis(33);
            motion.shown(at);
        }
        assert_eq!(motion.freezes, 0);
        assert!((motion.per_second(at) - 30.3).abs() < 0.2, "{}", motion.per_second(at));
        at += Duration::from_millis(180);
        motion.shown(at);
        assert_eq!(motion.freezes, 0);
        at += Duration::from_millis(300);
        motion.shown(at);
        assert_eq!((motion.freezes, motion.frozen), (1, Duration::from_millis(300)));
        assert!(motion.per_second(at + Duration::from_secs(2)) < 1.0);
    }
}
