//! The pictures that a decoder keeps for others to be predicted from, by what the headers say (sections 8.2.4 and 8.2.5).

use std::collections::VecDeque;

use super::syntax::{Mark, Reference, Slice};

/// Pictures for short-term reference that H.264 allows at most.
const MOST_SHORT: usize = 16;

/// What is known of each picture kept.
#[derive(Debug)]
pub(super) struct References<T> {
    /// By `frame_num`, the newest first.
    short: VecDeque<(u32, T)>,
    /// By index and `frame_num`.
    long: Vec<(u32, u32, T)>,
}

impl<T> Default for References<T> {
    fn default() -> Self {
        Self { short: VecDeque::new(), long: Vec::new() }
    }
}

impl<T: Copy> References<T> {
    /// What is known of the first picture that this one is predicted from; `None` if it is from none, or from one unknown.
    pub(super) fn of(&self, slice: &Slice) -> Option<T> {
        match slice.refers_to {
            _ if !slice.is_predicted => None,
            Some(Reference::Long(index)) => self.long.iter().find(|long| long.0 == index).map(|long| long.2),
            Some(Reference::Short(frame_num)) => {
                self.short.iter().find(|short| short.0 == frame_num).map(|short| short.1)
            }
            None => self.short.front().map(|short| short.1),
        }
    }

    /// Follows what a picture has remembered and forgotten. Gives the `frame_num` of one that it gave a long-term index.
    pub(super) fn remember(&mut self, slice: &Slice, what: T) -> Option<u32> {
        if slice.idr.is_some() {
            self.short.clear();
            self.long.clear();
        }
        if !slice.is_reference {
            return None;
        }
        let (mut is_long, mut marked) = (false, None);
        for mark in &slice.marks {
            let (index, frame_num, what) = match *mark {
                Mark::Forget(frame_num) => {
                    self.short.retain(|short| short.0 != frame_num);
                    continue;
                }
                Mark::Keep(frame_num, index) => {
                    let at = self.short.iter().position(|short| short.0 == frame_num);
                    let Some((frame_num, what)) = at.and_then(|at| self.short.remove(at)) else { continue };
                    (index, frame_num, what)
                }
                Mark::KeepThis(index) => {
                    is_long = true;
                    (index, slice.frame_num, what)
                }
            };
            self.long.retain(|long| long.0 != index);
            self.long.truncate(MOST_SHORT);
            self.long.push((index, frame_num, what));
            marked = Some(frame_num);
        }
        if !is_long {
            self.short.push_front((slice.frame_num, what));
            self.short.truncate(MOST_SHORT);
        }
        marked
    }
}
