//! What the peer's decoder is known to have, and so what a picture after a loss may be predicted from.
//!
//! Guarantee: after [`lost`](Recovery::lost) no picture is let through that is predicted from anything the peer has not
//! acknowledged, until one has come that others can build on. It reads what the encoder wrote rather than trust a
//! model of the encoder.

use std::collections::VecDeque;

use super::references::References;
use super::syntax::Headers;

/// For how many pictures it is remembered what they refer to: 17 s at 30 a second.
const REMEMBERED: usize = 512;
/// A picture that was put out.
#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u32,
    refers_to: Option<u32>,
    is_base: bool,
    /// The peer has decoded it.
    decoded: bool,
}

/// A long-term reference that the peer has not confirmed yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    frame_num: u32,
    /// The number of the picture that said so, and with which the peer knows it.
    by: u32,
}

/// What OpenH264 is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// The peer has the long-term reference of that `frame_num`.
    Marked { idr: u32, frame_num: u32 },
    /// It will not have it.
    NotMarked { idr: u32, frame_num: u32 },
    /// The next picture is to be predicted from a long-term reference that was confirmed.
    Recover { idr: u32 },
}

/// What became of a picture that the encoder wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes out, and was predicted from the picture of that number.
    Out { refers_to: Option<u32> },
    /// It builds on what the peer lacks, and is not to go out.
    Withheld,
}

#[derive(Default)]
pub(super) struct Recovery {
    headers: Headers,
    /// By number, if they were put out.
    kept: References<Option<u32>>,
    sent: VecDeque<Sent>,
    /// The last IDR picture's own number, and whether the peer has something to fall back on since.
    idr: u32,
    confirmed: bool,
    keyframe: Option<u32>,
    pending: Option<Pending>,
    recovering: bool,
}

impl Recovery {
    /// Takes in what the encoder wrote, which is to be put out as `number`. Pictures of the base layer are those that
    /// the next of the base layer is predicted from.
    pub(super) fn wrote(&mut self, unit: &[u8], number: u32, is_base: bool) -> Verdict {
        let Ok(Some(slice)) = self.headers.read(unit) else { return Verdict::Withheld };
        if let Some(idr) = slice.idr {
            (self.idr, self.keyframe) = (idr, Some(number));
            (self.confirmed, self.recovering, self.pending) = (false, false, None);
        }
        let refers_to = self.kept.of(&slice).flatten();
        let fit = slice.idr.is_some() || refers_to.is_some_and(|number| self.decoded(number));
        let out = !self.recovering || fit;
        let marked = self.kept.remember(&slice, out.then_some(number));
        if !out {
            return Verdict::Withheld;
        }
        if let Some(frame_num) = marked.filter(|_| slice.idr.is_none()) {
            self.pending = Some(Pending { frame_num, by: number });
        }
        self.recovering &= !is_base;
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { number, refers_to, is_base, decoded: false });
        Verdict::Out { refers_to }
    }

    /// The peer has decoded a picture, and so what it builds on.
    pub(super) fn acknowledged(&mut self, picture: u32) -> Option<Tell> {
        let mut next = Some(picture);
        while let Some(sent) = next.and_then(|number| self.sent(number)).filter(|sent| !sent.decoded) {
            sent.decoded = true;
            next = sent.refers_to;
        }
        self.confirmed |= self.keyframe.is_some_and(|keyframe| self.decoded(keyframe));
        let pending = self.pending.filter(|pending| self.decoded(pending.by))?;
        self.pending = None;
        Some(Tell::Marked { idr: self.idr, frame_num: pending.frame_num })
    }

    /// The peer lacks what was sent after `last_good`. What to tell the encoder; `None` if only a keyframe helps.
    pub(super) fn lost(&mut self, last_good: Option<u32>) -> Option<Vec<Tell>> {
        let mut tell: Vec<Tell> =
            last_good.and_then(|picture| self.acknowledged(picture)).into_iter().collect();
        self.recovering = true;
        // Where only pictures between those of the base layer are lost, the next of these needs no help.
        if self.sent.iter().rev().find(|sent| sent.is_base).is_some_and(|base| base.decoded) {
            return Some(tell);
        }
        if let Some(pending) = self.pending.take() {
            tell.push(Tell::NotMarked { idr: self.idr, frame_num: pending.frame_num });
        }
        if !self.confirmed {
            return None;
        }
        tell.push(Tell::Recover { idr: self.idr });
        Some(tell)
    }

    fn sent(&mut self, number: u32) -> Option<&mut Sent> {
        self.sent.iter_mut().rev().find(|sent| sent.number == number)
    }

    fn decoded(&self, number: u32) -> bool {
        self.sent.iter().rev().any(|sent| sent.number == number && sent.decoded)
    }
}
