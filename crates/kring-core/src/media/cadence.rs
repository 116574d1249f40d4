//! Pictures that are ready together, shown one after the other at a display's pace.
//!
//! Guarantee: no picture waits behind more than [`MAX_BEHIND`] others; of those that would, the oldest is passed over. A
//! picture that comes alone is shown at once.
//!
//! After a repair several pictures are ready in one moment. A display would show the last one only, and the motion would jump.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// A display's refresh: 60 a second.
const REFRESH: Duration = Duration::from_micros(16_667);
/// How many pictures may wait beside the one that is next.
pub const MAX_BEHIND: usize = 2;

/// Pictures that are ready to be shown.
#[derive(Debug)]
pub struct Cadence<T> {
    ready: VecDeque<T>,
    /// When the next may be shown.
    next: Time,
    passed_over: u64,
}

impl<T> Default for Cadence<T> {
    fn default() -> Cadence<T> {
        Cadence { ready: VecDeque::new(), next: Time::ZERO, passed_over: 0 }
    }
}

impl<T> Cadence<T> {
    /// Takes a picture that is newer than all before; gives back one that is passed over for it.
    pub fn push(&mut self, picture: T) -> Option<T> {
        self.ready.push_back(picture);
        let over = self.ready.len() > 1 + MAX_BEHIND;
        self.passed_over += u64::from(over);
        if over { self.ready.pop_front() } else { None }
    }

    /// The picture to be shown at `now`, if there is one.
    pub fn pop(&mut self, now: Time) -> Option<T> {
        if now < self.next {
            return None;
        }
        let picture = self.ready.pop_front()?;
        self.next = now + REFRESH;
        Some(picture)
    }

    /// When [`pop`](Self::pop) gives one out; it may lie in the past.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        (!self.ready.is_empty()).then_some(self.next)
    }

    /// How many were passed over.
    #[must_use]
    pub const fn passed_over(&self) -> u64 {
        self.passed_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_shown_at_once_and_several_one_after_the_other() {
        let (mut cadence, mut now) = (Cadence::default(), Time::from_millis(1000));
        assert_eq!(cadence.due(), None);
        assert_eq!((cadence.push(0), cadence.pop(now)), (None, Some(0)));
        now += Duration::from_millis(33);
        let over: Vec<_> = (1..=5).filter_map(|n| cadence.push(n)).collect();
        assert_eq!((over, cadence.passed_over()), (vec![1, 2], 2));
        let mut shown = Vec::new();
        while let Some(due) = cadence.due() {
            now = now.max(due);
            shown.push((cadence.pop(now).unwrap(), now.as_micros()));
        }
        assert_eq!(shown, [(3, 1_033_000), (4, 1_049_667), (5, 1_066_334)]);
    }
}
