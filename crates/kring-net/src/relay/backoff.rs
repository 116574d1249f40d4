//! How long a client waits before it comes back to a relay that it has lost.
//!
//! Guarantee: each wait is drawn evenly from zero to a bound that doubles from 8 s to 60 s, so that ten thousand
//! clients of a relay that restarts come back over seconds, not at once.

use super::keys::random;
use std::time::Duration;

/// The first wait is at most this.
const FIRST: Duration = Duration::from_secs(8);
/// No wait is longer.
const MOST: Duration = Duration::from_secs(60);

/// The waits between attempts.
#[derive(Debug, Default, Clone)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// How long to wait now. The relay's own wish, if it told one, comes on top.
    pub fn wait(&mut self, wish: Option<Duration>) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.attempts.min(8)).min(MOST);
        self.attempts = self.attempts.saturating_add(1);
        // Without randomness the bound itself is still a wait.
        let share = random().map_or(1.0, |bytes| f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX));
        wish.unwrap_or_default() + bound.mul_f64(share)
    }

    /// It worked: the next wait is a first one again.
    pub fn worked(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_and_bounded() {
        let mut firsts: Vec<_> = (0..1000).map(|_| Backoff::default().wait(None)).collect();
        firsts.sort();
        assert!(firsts[100] < FIRST / 4 && firsts[900] > FIRST * 3 / 4 && firsts[999] <= FIRST);

        let mut backoff = Backoff::default();
        let most = (0..1000).map(|_| backoff.wait(None)).max().unwrap();
        assert!(most <= MOST && most > FIRST * 2);
        assert!(backoff.wait(Some(MOST)) >= MOST);
        backoff.worked();
        assert!(backoff.wait(None) <= FIRST);
    }
}
