//! Which of the encoder's numbers stands for which frame id: not all that is encoded is sent.
//!
//! Guarantee: bounded memory; what is too old to be built on has no number.

use std::collections::VecDeque;

/// How many pictures are remembered: a picture can say that it builds on one 64 before it, not farther.
const REMEMBERED: usize = 60;

/// The pictures sent lately.
#[derive(Debug, Default)]
pub(super) struct Numbers(VecDeque<(u32, u32)>);

impl Numbers {
    /// The encoder's picture `number` was sent as frame `id`.
    pub(super) fn add(&mut self, number: u32, id: u32) {
        self.0.push_back((number, id));
        while self.0.front().is_some_and(|&(_, old)| id.saturating_sub(old) >= REMEMBERED as u32) {
            self.0.pop_front();
        }
    }

    /// The encoder's number of a frame.
    pub(super) fn number(&self, id: u32) -> Option<u32> {
        self.0.iter().find(|sent| sent.1 == id).map(|sent| sent.0)
    }

    /// The frame id of an encoder's picture.
    pub(super) fn id(&self, number: u32) -> Option<u32> {
        self.0.iter().find(|sent| sent.0 == number).map(|sent| sent.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_are_found_until_they_are_old() {
        let mut numbers = Numbers::default();
        (0..100).for_each(|id| numbers.add(id + id / 10, id));
        assert_eq!((numbers.number(99), numbers.id(108)), (Some(108), Some(99)));
        assert_eq!((numbers.number(40), numbers.number(39)), (Some(44), None));
        assert_eq!(numbers.id(10), None, "it was never sent");
    }
}
