//! Seeded changes to inputs: a little fuzzing where there is no libFuzzer.

/// SplitMix64: small, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence that depends on `seed` alone.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        (self.draw() % (end as u64).max(1)) as usize
    }
}

/// Longest input that is made, in bytes.
const MAX_LEN: usize = 4096;
/// Bytes at which code likes to go wrong.
const ODD: [u8; 8] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];

/// `bytes` with one to eight changes; `other` lends pieces.
#[must_use]
pub fn mutate(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(out.len());
        let run = 1 + random.below(8);
        match random.below(6) {
            0 if !out.is_empty() => out[at] ^= 1 << random.below(8),
            1 if !out.is_empty() => out[at] = ODD[random.below(ODD.len())],
            2 if !out.is_empty() => out[at] = random.draw() as u8,
            3 => drop(out.drain(at..(at + run).min(out.len()))),
            4 => {
                let more: Vec<u8> = (0..run).map(|_| random.draw() as u8).collect();
                out.splice(at..at, more);
            }
            _ => {
                let from = random.below(other.len());
                let piece = &other[from..(from + run * 8).min(other.len())];
                out.splice(at..at, piece.iter().copied());
            }
        }
    }
    out.truncate(MAX_LEN);
    out
}
