//! Chance from a seed.
//!
//! Guarantee: the same seed and name give the same numbers on every machine, and streams of different names are
//! independent: one more number drawn for the network changes nothing about the keys.
//!
//! The generator is fastrand's (wyrand). It is no cipher and need not be: nothing here is secret, and a run draws a
//! million numbers.

use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Rng(fastrand::Rng);

impl Rng {
    /// The stream called `name` of this seed.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Rng {
        let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(name).finalize();
        let first = hash[..8].try_into().expect("8 of 32 bytes");
        Rng(fastrand::Rng::with_seed(u64::from_be_bytes(first)))
    }

    /// A number from a range, both ends included.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.u64(range)
    }

    /// True in `ppm` of a million cases.
    pub fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.0.u32(0..1_000_000) < ppm
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.u64(0..of.len() as u64) as usize]
    }

    /// Fills a buffer.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_give_the_same_numbers_and_others_do_not() {
        let draw = |seed, name| {
            let mut rng = Rng::new(seed, name);
            (0..8).map(|_| rng.within(0..=u64::MAX)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "link"), draw(1, "link"));
        assert_ne!(draw(1, "link"), draw(2, "link"));
        assert_ne!(draw(1, "link"), draw(1, "keys"));
    }
}
