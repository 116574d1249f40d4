//! Sinks that lead nowhere but keep time, for ends without speaker or window.

use std::time::Instant;

use kring_codec::Picture;

use crate::audio::{AudioSink, Played};
use crate::error::SinkError;
use crate::pace;
use crate::video::VideoSink;

/// Plays into nothing, in real time: sample `n` is heard at `start + n / 48000`. A block is heard as it is handed
/// over and takes its own length, like a device without a buffer, so what is decoded for it is the newest there
/// is. A caller that comes late catches up; the clock does not wait.
#[derive(Debug, Default)]
pub struct NullSpeaker {
    start: Option<Instant>,
    played: u64,
}

impl NullSpeaker {
    /// A speaker that is not started yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl AudioSink for NullSpeaker {
    fn start(&mut self) -> Result<(), SinkError> {
        (self.start, self.played) = (Some(Instant::now()), 0);
        Ok(())
    }

    fn play(&mut self, block: &[f32], _what: Played) -> Result<Instant, SinkError> {
        let start = self.start.ok_or(SinkError::NotStarted)?;
        let heard = pace::sample_due(start, self.played);
        self.played += block.len() as u64;
        pace::wait_until(pace::sample_due(start, self.played));
        Ok(heard)
    }

    fn stop(&mut self) {
        self.start = None;
    }
}

/// Shows pictures to nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct NullView;

impl VideoSink for NullView {
    fn show(&mut self, _picture: &Picture, _at: Instant) -> Result<(), SinkError> {
        Ok(())
    }

    fn stop(&mut self) {}
}
