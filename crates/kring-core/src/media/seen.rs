//! Which of a track's frame ids have been seen lately.

/// The ids seen lately: the highest, and a bit for each of the 128 up to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    top: u32,
    bits: u128,
}

impl Seen {
    /// Notes `id`; `false` if it was noted before. Ids more than 127 below the highest are always new.
    pub(crate) fn insert(&mut self, id: u32) -> bool {
        if self.bits == 0 || id > self.top {
            let up = if self.bits == 0 { 128 } else { id - self.top };
            self.bits = self.bits.checked_shl(up).unwrap_or(0) | 1;
            self.top = id;
            return true;
        }
        let bit = 1u128.checked_shl(self.top - id).unwrap_or(0);
        let new = self.bits & bit == 0;
        self.bits |= bit;
        new
    }

    /// Whether `id` is so far below the highest that nothing is known of it.
    pub(crate) fn is_old(&self, id: u32) -> bool {
        self.bits != 0 && self.top.saturating_sub(id) > 127
    }

    /// Whether `id` is among the latest 128 and was not noted.
    pub(crate) fn lacks(&self, id: u32) -> bool {
        self.bits == 0
            || id > self.top
            || self.bits & 1u128.checked_shl(self.top - id).unwrap_or(u128::MAX) == 0
    }
}
