//! Writing sound to a WAV file that can be played at any moment: the header is brought up to date at least
//! each second, at each flush, and when the writer is dropped.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use kring_codec::SAMPLE_RATE;

use crate::error::SinkError;

/// Bytes before the sound.
const HEADER: u32 = 44;

/// Writes 48 kHz mono 16-bit WAV.
///
/// A WAV file holds at most 4 GiB, 12 hours of this; what comes later is in the file, but players stop there.
pub struct WavWriter {
    name: String,
    file: BufWriter<File>,
    samples: u64,
    /// Samples the header knows of.
    promised: u64,
}

impl WavWriter {
    /// Makes a file, in place of one of that name.
    ///
    /// # Errors
    /// [`SinkError::File`] when it cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        let name = path.as_ref().display().to_string();
        let unwritable = |error| SinkError::File { name: name.clone(), cause: Arc::new(error) };
        let file = BufWriter::new(File::create(path).map_err(unwritable)?);
        let mut writer = Self { name, file, samples: 0, promised: 0 };
        writer.file.write_all(&header(0)).and_then(|()| writer.file.flush()).map_err(|e| writer.failed(e))?;
        Ok(writer)
    }

    /// Appends samples; those beyond `[-1, 1]` are clipped.
    ///
    /// # Errors
    /// [`SinkError::File`] when the file cannot be written, as when the disk is full.
    pub fn write(&mut self, pcm: &[f32]) -> Result<(), SinkError> {
        let sample = |&sample: &f32| ((sample * 32_768.0).round() as i16).to_le_bytes();
        let mut written = pcm.iter().map(sample).try_for_each(|sample| self.file.write_all(&sample));
        self.samples += pcm.len() as u64;
        if self.samples - self.promised >= u64::from(SAMPLE_RATE) {
            written = written.and_then(|()| self.update());
        }
        written.map_err(|error| self.failed(error))
    }

    /// Samples written so far.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Brings file and header up to date.
    ///
    /// # Errors
    /// [`SinkError::File`] when the file cannot be written.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.update().map_err(|error| self.failed(error))
    }

    fn update(&mut self) -> io::Result<()> {
        // The sound first: a header may promise less than there is, never more.
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header(self.samples))?;
        file.seek(SeekFrom::End(0))?;
        self.promised = self.samples;
        Ok(())
    }

    fn failed(&mut self, error: io::Error) -> SinkError {
        // A full disk still takes a header in place of the one before: what did get there is kept.
        let file = self.file.get_mut();
        if let Ok(length) = file.metadata().map(|about| about.len()) {
            let there = length.saturating_sub(u64::from(HEADER)) / 2;
            // Without it the last header that was written holds.
            let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&header(there)));
            let _ = file.seek(SeekFrom::End(0));
        }
        SinkError::File { name: self.name.clone(), cause: Arc::new(error) }
    }
}

impl Drop for WavWriter {
    fn drop(&mut self) {
        // Nobody is left to be told; the last header that was written still holds.
        let _ = self.update();
    }
}

fn header(samples: u64) -> [u8; HEADER as usize] {
    // Even, and with room for the RIFF chunk's own length, which counts all but its first 8 bytes.
    let most = u32::MAX - HEADER - 1;
    let data = u32::try_from(samples * 2).unwrap_or(most).min(most) & !1;
    let mut header = *b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\x02\0\x10\0data\0\0\0\0";
    header[4..8].copy_from_slice(&(data + HEADER - 8).to_le_bytes());
    header[24..28].copy_from_slice(&SAMPLE_RATE.to_le_bytes());
    header[28..32].copy_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
    header[40..].copy_from_slice(&data.to_le_bytes());
    header
}
