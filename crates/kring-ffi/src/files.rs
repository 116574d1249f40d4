//! What is heard and shown, into files.

use crate::error::Failure;
use kring::capture::{
    AudioSink, NullSpeaker, Played, SinkError, VideoFormat, VideoSink, WavWriter, Y4mWriter,
};
use kring::codec::Picture;
use std::time::Instant;

/// Plays into nothing, in real time, and keeps what it played.
pub(crate) struct RecordingSpeaker {
    clock: NullSpeaker,
    file: WavWriter,
}

impl RecordingSpeaker {
    pub(crate) fn create(path: &str) -> Result<RecordingSpeaker, Failure> {
        Ok(RecordingSpeaker { clock: NullSpeaker::new(), file: WavWriter::create(path)? })
    }
}

impl AudioSink for RecordingSpeaker {
    fn start(&mut self) -> Result<(), SinkError> {
        self.clock.start()
    }

    fn play(&mut self, block: &[f32], what: Played) -> Result<Instant, SinkError> {
        self.file.write(block)?;
        self.clock.play(block, what)
    }

    fn stop(&mut self) {
        // A full disk was told of when it was written to.
        let _ = self.file.flush();
        self.clock.stop();
    }
}

/// Keeps what it is to show, in one size.
pub(crate) struct RecordingView {
    file: Y4mWriter,
    scaled: Picture,
}

impl RecordingView {
    pub(crate) fn create(path: &str, format: &VideoFormat) -> Result<RecordingView, Failure> {
        let scaled = Picture::new(format.width, format.height)?;
        Ok(RecordingView { file: Y4mWriter::create(path, format)?, scaled })
    }
}

impl VideoSink for RecordingView {
    fn show(&mut self, picture: &Picture, _at: Instant) -> Result<(), SinkError> {
        if (picture.width(), picture.height()) == (self.scaled.width(), self.scaled.height()) {
            return self.file.write(picture);
        }
        picture.scale_into(&mut self.scaled);
        self.file.write(&self.scaled)
    }

    fn stop(&mut self) {}
}
