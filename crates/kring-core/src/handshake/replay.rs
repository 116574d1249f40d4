//! Remembers which first messages were answered.
//!
//! Guarantee: no message 1 is accepted twice within [`REPLAY_WINDOW`] on either side of the clock, however many come:
//! when the cache is full, the oldest is forgotten and nothing as old as it is accepted any more.

use super::{HandshakeError, REPLAY_WINDOW};
use crate::time::WallTime;
use std::collections::{BTreeMap, HashSet};

/// Most first messages remembered; each is 48 bytes or so.
const CAPACITY: usize = 4096;

#[derive(Default)]
pub(super) struct ReplayCache {
    seen: HashSet<[u8; 32]>,
    by_time: BTreeMap<(u64, [u8; 32]), ()>,
    /// Nothing from this second or before is accepted.
    floor: u64,
}

impl ReplayCache {
    /// Takes message 1 named `id`, which says that it was made at `made`.
    pub(super) fn accept(&mut self, id: [u8; 32], made: u64, now: WallTime) -> Result<(), HandshakeError> {
        let window = REPLAY_WINDOW.as_secs();
        let off_by = made.abs_diff(now.0);
        if off_by > window {
            return Err(HandshakeError::Clock { off_by });
        }
        if made <= self.floor || self.seen.contains(&id) {
            return Err(HandshakeError::Replayed);
        }
        while let Some((&(oldest, id), ())) = self.by_time.first_key_value() {
            let full = self.by_time.len() >= CAPACITY;
            if !full && oldest.saturating_add(window) >= now.0 {
                break;
            }
            if full {
                self.floor = self.floor.max(oldest);
            }
            self.by_time.pop_first();
            self.seen.remove(&id);
        }
        self.seen.insert(id);
        self.by_time.insert((made, id), ());
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn clear(&mut self) {
        *self = ReplayCache::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> [u8; 32] {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        id
    }

    #[test]
    fn the_same_message_is_taken_once() {
        let mut cache = ReplayCache::default();
        assert_eq!(cache.accept(id(1), 5000, WallTime(5000)), Ok(()));
        assert_eq!(cache.accept(id(1), 5000, WallTime(5001)), Err(HandshakeError::Replayed));
        assert_eq!(cache.accept(id(2), 5000, WallTime(5601)), Err(HandshakeError::Clock { off_by: 601 }));
    }

    #[test]
    fn a_full_cache_forgets_nothing_that_could_come_back() {
        let mut cache = ReplayCache::default();
        for n in 0..10_000 {
            let now = 5000 + u64::from(n / 50);
            assert_eq!(cache.accept(id(n), now, WallTime(now)), Ok(()));
            assert!(cache.seen.len() <= CAPACITY);
        }
        for n in 0..10_000 {
            let made = 5000 + u64::from(n / 50);
            assert_eq!(cache.accept(id(n), made, WallTime(5200)), Err(HandshakeError::Replayed), "{n}");
        }
    }
}
