//! Datagrams on their way out, the urgent first.
//!
//! Guarantee: voice never waits behind pictures, and the queue is bounded: old voice gives way to new, and a picture
//! that does not fit is refused whole, so that no half picture uses the link.

use crate::media::Datagram;
use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Most voice packets waiting.
const MAX_AUDIO: usize = 32;
/// Most bytes of pictures waiting.
const MAX_VIDEO_BYTES: usize = 1 << 20;
/// A picture's packets that waited longer are of no use any more.
const VIDEO_DEADLINE: Duration = Duration::from_millis(1000);

#[derive(Default)]
pub(super) struct Outbox {
    audio: VecDeque<Datagram>,
    report: Option<Datagram>,
    video: VecDeque<(Time, Datagram)>,
    video_bytes: usize,
    /// Voice packets given up because newer ones came.
    pub(super) audio_dropped: u64,
    /// Video packets given up because their time was over.
    pub(super) video_dropped: u64,
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

    /// Whether there was room for the whole picture.
    pub(super) fn push_video(&mut self, now: Time, datagrams: Vec<Datagram>) -> bool {
        let bytes: usize = datagrams.iter().map(|d| d.bytes.len()).sum();
        if self.video_bytes + bytes > MAX_VIDEO_BYTES {
            return false;
        }
        self.video_bytes += bytes;
        self.video.extend(datagrams.into_iter().map(|d| (now, d)));
        true
    }

    /// What does not wait for its turn: voice, then the report.
    pub(super) fn pop_urgent(&mut self) -> Option<Datagram> {
        self.audio.pop_front().or_else(|| self.report.take())
    }

    /// The next packet of a picture.
    pub(super) fn pop_video(&mut self, now: Time) -> Option<Datagram> {
        while let Some((queued, datagram)) = self.video.pop_front() {
            self.video_bytes -= datagram.bytes.len();
            if now.since(queued) <= VIDEO_DEADLINE {
                return Some(datagram);
            }
            self.video_dropped += 1;
        }
        None
    }

    /// Whether something waits that goes at once, and whether a picture does.
    pub(super) fn waiting(&self) -> (bool, bool) {
        (!self.audio.is_empty() || self.report.is_some(), !self.video.is_empty())
    }

    /// Bytes of pictures waiting.
    pub(super) fn video_bytes(&self) -> usize {
        self.video_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(n: u8, len: usize) -> Datagram {
        Datagram { bytes: vec![n; len] }
    }

    #[test]
    fn voice_overtakes_pictures_and_reports() {
        let mut out = Outbox::default();
        assert!(out.push_video(Time::ZERO, vec![datagram(1, 10), datagram(2, 10)]));
        out.push_report(datagram(3, 10));
        out.push_audio(vec![datagram(4, 10)]);
        let order: Vec<u8> = std::iter::from_fn(|| out.pop_urgent().or_else(|| out.pop_video(Time::ZERO)))
            .map(|d| d.bytes[0])
            .collect();
        assert_eq!(order, [4, 3, 1, 2]);
    }

    #[test]
    fn the_queue_is_bounded_and_late_pictures_are_dropped() {
        let mut out = Outbox::default();
        for n in 0..100 {
            out.push_audio(vec![datagram(n, 10)]);
        }
        assert_eq!(out.pop_urgent().unwrap().bytes[0], 68);
        while out.pop_urgent().is_some() {}
        assert!(!out.push_video(Time::ZERO, vec![datagram(1, MAX_VIDEO_BYTES + 1)]));
        assert!(out.push_video(Time::ZERO, vec![datagram(1, MAX_VIDEO_BYTES)]));
        assert!(!out.push_video(Time::ZERO, vec![datagram(1, 1)]));
        assert!(out.pop_video(Time::from_millis(1001)).is_none());
        assert_eq!((out.video_bytes(), out.video_dropped), (0, 1));
    }
}
