//! Voice and reports on their way out.
//!
//! Guarantee: they wait for nothing, and the queue is bounded: old voice gives way to new, a report to the next.

use crate::media::Datagram;
use std::collections::VecDeque;

/// Most voice packets waiting.
const MAX_AUDIO: usize = 32;

#[derive(Default)]
pub(super) struct Outbox {
    audio: VecDeque<Datagram>,
    report: Option<Datagram>,
    /// Voice packets given up because newer ones came.
    pub(super) audio_dropped: u64,
}

impl Outbox {
    pub(super) fn push_audio(&mut self, datagrams: Vec<Datagram>) {
        for datagram in datagrams {
            if self.audio.len() == MAX_AUDIO {
                self.audio.pop_front();
                self.audio_dropped += 1;
            }
            self.audio.push_back(datagram);
        }
    }

    /// A newer report replaces one that still waits.
    pub(super) fn push_report(&mut self, datagram: Datagram) {
        self.report = Some(datagram);
    }

    /// What goes next: voice, then the report.
    pub(super) fn pop(&mut self) -> Option<Datagram> {
        self.audio.pop_front().or_else(|| self.report.take())
    }

    /// Whether something waits.
    pub(super) fn waits(&self) -> bool {
        !self.audio.is_empty() || self.report.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(n: u8) -> Datagram {
        Datagram { bytes: vec![n; 10] }
    }

    #[test]
    fn voice_overtakes_reports() {
        let mut out = Outbox::default();
        out.push_report(datagram(3));
        out.push_audio(vec![datagram(4)]);
        let order: Vec<u8> = std::iter::from_fn(|| out.pop()).map(|d| d.bytes[0]).collect();
        assert_eq!(order, [4, 3]);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut out = Outbox::default();
        for n in 0..100 {
            out.push_audio(vec![datagram(n)]);
        }
        assert_eq!((out.pop().unwrap().bytes[0], out.audio_dropped), (68, 68));
    }
}
