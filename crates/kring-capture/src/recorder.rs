//! A speaker and a view that keep what they are given in files, for bots and recorders.
//!
//! Who uses them records, and says so to the other side: in `kring`, by `Media::recording`.

use std::path::Path;
use std::time::Instant;

use kring_codec::Picture;

use crate::audio::{AudioSink, Played};
use crate::error::SinkError;
use crate::null::NullSpeaker;
use crate::video::{VideoFormat, VideoSink};
use crate::wav::WavWriter;
use crate::y4m::Y4mWriter;

/// Plays into a WAV file, in real time as [`NullSpeaker`] does, waiting and concealment included.
pub struct WavSpeaker {
    clock: NullSpeaker,
    file: WavWriter,
}

impl WavSpeaker {
    /// Makes a file, in place of one of that name: 48 kHz, mono, 16 bit.
    ///
    /// # Errors
    /// [`SinkError::File`] when it cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        Ok(Self { clock: NullSpeaker::new(), file: WavWriter::create(path)? })
    }
}

impl AudioSink for WavSpeaker {
    fn start(&mut self) -> Result<(), SinkError> {
        self.clock.start()
    }

    fn play(&mut self, block: &[f32], what: Played) -> Result<Instant, SinkError> {
        let heard = self.clock.play(block, what)?;
        self.file.write(block)?;
        Ok(heard)
    }

    fn stop(&mut self) {
        self.clock.stop();
        // A full disk has been told of when it was written to.
        let _ = self.file.flush();
    }
}

/// Shows pictures to a Y4M file, scaled to its size, one after another: the file does not know how long each was shown.
pub struct Y4mView {
    file: Y4mWriter,
    scaled: Picture,
}

impl Y4mView {
    /// Makes a file, in place of one of that name, for pictures of that size.
    ///
    /// # Errors
    /// [`SinkError::PictureSize`] when no picture can have that size, [`SinkError::File`] when the file cannot be written.
    pub fn create(path: impl AsRef<Path>, format: &VideoFormat) -> Result<Self, SinkError> {
        let scaled = Picture::new(format.width, format.height).map_err(|error| SinkError::PictureSize {
            expected: "an even size".into(),
            got: format!("{}x{}", error.width, error.height),
        })?;
        Ok(Self { file: Y4mWriter::create(path, format)?, scaled })
    }
}

impl VideoSink for Y4mView {
    fn show(&mut self, picture: &Picture, _at: Instant) -> Result<(), SinkError> {
        if (picture.width(), picture.height()) == (self.scaled.width(), self.scaled.height()) {
            return self.file.write(picture);
        }
        picture.scale_into(&mut self.scaled);
        self.file.write(&self.scaled)
    }

    /// Each picture is in the file as soon as it is shown.
    fn stop(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_played_and_shown_is_in_the_files() {
        let folder = std::env::temp_dir().join(format!("kring-recorder-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (sound, pictures) = (folder.join("a.wav"), folder.join("a.y4m"));
        let mut speaker = WavSpeaker::create(&sound).unwrap();
        assert!(matches!(speaker.play(&[0.5; 48], Played::Decoded), Err(SinkError::NotStarted)));
        speaker.start().unwrap();
        speaker.play(&[0.5; 480], Played::Decoded).unwrap();
        speaker.stop();
        assert_eq!(std::fs::metadata(&sound).unwrap().len(), 44 + 2 * 480, "nothing of what was refused");
        let mut view = Y4mView::create(&pictures, &VideoFormat::new(8, 6, 25.0)).unwrap();
        for (width, height) in [(8, 6), (16, 12)] {
            view.show(&Picture::new(width, height).unwrap(), Instant::now()).unwrap();
        }
        let bytes = std::fs::read(&pictures).unwrap();
        assert_eq!(bytes.windows(5).filter(|word| word == b"FRAME").count(), 2);
        assert!(Y4mView::create(&pictures, &VideoFormat::new(7, 6, 25.0)).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
