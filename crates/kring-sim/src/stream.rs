//! A reliable, ordered stream of bytes over a link that is neither, as QUIC's control stream is.
//!
//! Guarantee: what comes out is a prefix of what went in; all of it comes out if enough packets pass. What is not
//! acknowledged in time is sent again from there (go-back-N), each time later, up to a second.

use kring_core::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most bytes of a segment.
const SEGMENT: usize = 1100;
/// The most bytes on their way, and the most that a receiver holds ahead of a gap.
const WINDOW: usize = 64 << 10;
const FIRST_WAIT: Duration = Duration::from_millis(150);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// How many bytes come before it.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The sending end.
#[derive(Debug)]
pub struct Sender {
    /// What is not acknowledged yet; its first byte is at `base`.
    buffer: Vec<u8>,
    base: u64,
    /// How much of the buffer is on its way.
    sent: usize,
    resend: Option<Time>,
    wait: Duration,
}

impl Default for Sender {
    fn default() -> Sender {
        Sender { buffer: Vec::new(), base: 0, sent: 0, resend: None, wait: FIRST_WAIT }
    }
}

impl Sender {
    /// Adds bytes to the stream.
    pub fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next segment to send, if there is one.
    pub fn poll(&mut self, now: Time) -> Option<Segment> {
        if self.resend.is_some_and(|at| at <= now) {
            (self.sent, self.resend) = (0, None);
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        let left = self.buffer.len().min(WINDOW) - self.sent;
        if left == 0 {
            return None;
        }
        let (from, to) = (self.sent, self.sent + left.min(SEGMENT));
        self.sent = to;
        self.resend.get_or_insert(now + self.wait);
        Some(Segment { offset: self.base + from as u64, bytes: self.buffer[from..to].to_vec() })
    }

    /// The other end has all bytes before `upto`.
    pub fn acknowledged(&mut self, now: Time, upto: u64) {
        let news =
            usize::try_from(upto.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.buffer.len());
        if news == 0 {
            return;
        }
        self.buffer.drain(..news);
        self.base += news as u64;
        self.sent = self.sent.saturating_sub(news);
        self.wait = FIRST_WAIT;
        self.resend = (self.sent > 0).then(|| now + self.wait);
    }

    /// When [`poll`](Sender::poll) will have something to send again.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.resend
    }

    /// How many bytes are not acknowledged.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.buffer.len()
    }
}

/// The receiving end.
#[derive(Debug, Default)]
pub struct Receiver {
    next: u64,
    early: BTreeMap<u64, Vec<u8>>,
}

impl Receiver {
    /// Takes a segment; gives back what is now in order.
    pub fn take(&mut self, segment: Segment) -> Vec<u8> {
        if segment.offset + segment.bytes.len() as u64 <= self.next + WINDOW as u64 {
            self.early.insert(segment.offset, segment.bytes);
        }
        let mut out = Vec::new();
        while let Some(first) = self.early.first_entry().filter(|first| *first.key() <= self.next) {
            let (offset, bytes) = first.remove_entry();
            let known = usize::try_from(self.next - offset).unwrap_or(usize::MAX);
            if let Some(news) = bytes.get(known..) {
                out.extend_from_slice(news);
                self.next += news.len() as u64;
            }
        }
        out
    }

    /// What to acknowledge.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Link;
    use crate::rng::Rng;

    #[test]
    fn every_byte_arrives_in_order_over_a_bad_link() {
        let spec = "delay=20,jitter=20,reorder=10,loss=30,dup=5".parse().unwrap();
        let mut there = Link::new(&spec, Rng::new(1, "there"));
        let mut back = Link::new(&spec, Rng::new(1, "back"));
        let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        sender.write(&bytes);
        let (mut got, mut now) = (Vec::new(), Time::ZERO);
        while sender.backlog() > 0 {
            while let Some(segment) = sender.poll(now) {
                there.send(now, segment.bytes.len(), segment);
            }
            while let Some(parcel) = there.receive(now) {
                got.extend(receiver.take(parcel.item));
                back.send(now, 40, receiver.received());
            }
            while let Some(parcel) = back.receive(now) {
                sender.acknowledged(now, parcel.item);
            }
            now += Duration::from_millis(1);
            assert!(now < Time::from_millis(300_000), "it does not get through");
        }
        assert_eq!(got, bytes);
    }
}
