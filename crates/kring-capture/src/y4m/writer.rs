//! Writing pictures to a Y4M file. Each picture goes out in one piece, so that the file is whole between
//! any two calls.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use kring_codec::Picture;

use crate::error::SinkError;
use crate::video::VideoFormat;

/// Writes Y4M, all pictures of one size.
pub struct Y4mWriter {
    name: String,
    file: File,
    width: u32,
    height: u32,
    pictures: u64,
    /// Bytes of header and whole pictures.
    length: u64,
    piece: Vec<u8>,
}

impl Y4mWriter {
    /// Makes a file, in place of one of that name. Rates near a multiple of 1/1.001 are written as such.
    ///
    /// # Errors
    /// [`SinkError::File`] when it cannot be written.
    pub fn create(path: impl AsRef<Path>, format: &VideoFormat) -> Result<Self, SinkError> {
        let name = path.as_ref().display().to_string();
        let VideoFormat { width, height, frames_per_second } = *format;
        let (over, under) = ratio(frames_per_second);
        let header = format!("YUV4MPEG2 W{width} H{height} F{over}:{under} Ip A1:1 C420mpeg2\n");
        let made = File::create(path).and_then(|mut file| file.write_all(header.as_bytes()).map(|()| file));
        match made {
            Ok(file) => Ok(Self {
                name,
                file,
                width,
                height,
                pictures: 0,
                length: header.len() as u64,
                piece: Vec::new(),
            }),
            Err(error) => Err(SinkError::File { name, cause: Arc::new(error) }),
        }
    }

    /// Appends a picture.
    ///
    /// # Errors
    /// [`SinkError::PictureSize`] when it is of another size than the file, [`SinkError::File`] when the file
    /// cannot be written, as when the disk is full.
    pub fn write(&mut self, picture: &Picture) -> Result<(), SinkError> {
        if (picture.width(), picture.height()) != (self.width, self.height) {
            let size = |width, height| format!("{width}x{height}");
            let (expected, got) = (size(self.width, self.height), size(picture.width(), picture.height()));
            return Err(SinkError::PictureSize { expected, got });
        }
        self.piece.clear();
        self.piece.extend_from_slice(b"FRAME\n");
        self.piece.extend_from_slice(picture.as_bytes());
        let written = self.file.write_all(&self.piece);
        if written.is_err() {
            // As on a full disk: a part of a picture would make the whole file one that is cut off.
            let _ = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.set_len(self.length));
        } else {
            self.length += self.piece.len() as u64;
        }
        written.map_err(|error| SinkError::File { name: self.name.clone(), cause: Arc::new(error) })?;
        self.pictures += 1;
        Ok(())
    }

    /// Pictures written so far.
    #[must_use]
    pub fn pictures(&self) -> u64 {
        self.pictures
    }
}

fn ratio(rate: f32) -> (u32, u32) {
    let near = |value: f64| ((value - value.round()).abs() < 1e-3).then_some(value.round() as u32);
    let rate = f64::from(rate);
    match (near(rate), near(rate * 1.001)) {
        (Some(whole), _) => (whole.max(1), 1),
        (None, Some(whole)) => (whole.max(1) * 1000, 1001),
        (None, None) => ((rate * 1000.0).round().max(1.0) as u32, 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_rates_are_written_exactly() {
        let rates = [30.0, 30_000.0 / 1001.0, 12.5, 24_000.0 / 1001.0, 60.0];
        assert_eq!(rates.map(ratio), [(30, 1), (30_000, 1001), (12_500, 1000), (24_000, 1001), (60, 1)]);
    }
}
