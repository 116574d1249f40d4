//! A Y4M file in place of a camera. Picture `n` is captured at `start + n / rate`, however long it plays.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kring_codec::Picture;

use super::format::{Stop, Y4mError, Y4mHeader, frame_line, parse_header, read_picture};
use crate::consent::{Consent, Kind};
use crate::error::SourceError;
use crate::pace;
use crate::video::{CapturedPicture, VideoFormat, VideoSource};

/// Plays a Y4M file as a picture source: 8-bit 4:2:0, any even size up to 8192, 0.1 to 1000 pictures a
/// second.
pub struct Y4mSource {
    name: String,
    input: BufReader<File>,
    header: Y4mHeader,
    /// Where the first picture begins, in bytes.
    first: u64,
    /// Pictures in the file, once its end was seen.
    total: Option<u64>,
    repeat: bool,
    playing: Option<Playing>,
}

/// What lasts from start to stop.
struct Playing {
    start: Instant,
    /// The next picture's number since the start.
    next: u64,
    /// The next picture's number in the file.
    index: u64,
}

impl Y4mSource {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read, [`SourceError::Y4m`] when it is no Y4M file that can be
    /// played. A picture that is cut off shows only when it is reached.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let name = path.as_ref().display().to_string();
        let opened = || {
            let mut input = BufReader::new(File::open(path)?);
            let header = parse_header(&mut input)?;
            let first = input.stream_position()?;
            if input.fill_buf()?.is_empty() {
                return Err(Y4mError::Empty.into());
            }
            Ok((input, header, first))
        };
        let (input, header, first) = opened().map_err(|stop| stopped(&name, stop))?;
        Ok(Self { name, input, header, first, total: None, repeat: false, playing: None })
    }

    /// Whether the file begins anew when it ends. Off at first.
    #[must_use]
    pub fn repeat(mut self, repeat: bool) -> Self {
        self.repeat = repeat;
        self
    }

    /// What the file's header says.
    #[must_use]
    pub fn header(&self) -> &Y4mHeader {
        &self.header
    }

    fn rewind(&mut self) -> Result<(), Stop> {
        self.input.seek(SeekFrom::Start(self.first))?;
        Ok(())
    }

    /// Passes over pictures that are too old to be shown, then reads one; `None` at the end.
    fn advance(&mut self, index: u64, mut skip: u64, picture: &mut Picture) -> Result<Option<u64>, Stop> {
        let mut index = index;
        loop {
            let found = if skip == 0 {
                read_picture(&mut self.input, &self.header, index, picture)?
            } else {
                self.pass_over(index)?
            };
            match (found, skip) {
                (true, 0) => return Ok(Some(index)),
                (true, _) => {
                    index += 1;
                    skip -= 1;
                }
                (false, _) if !self.repeat || index == 0 => return Ok(None),
                (false, _) => {
                    self.total = Some(index);
                    skip %= index;
                    index = 0;
                    self.rewind()?;
                }
            }
        }
    }

    fn pass_over(&mut self, index: u64) -> Result<bool, Stop> {
        let found = frame_line(&mut self.input, index)?;
        if found {
            self.input.seek_relative(self.header.picture_length() as i64)?;
        }
        Ok(found)
    }
}

impl VideoSource for Y4mSource {
    fn kind(&self) -> Option<Kind> {
        None
    }

    fn start(&mut self, _consent: &Consent, at: Instant) -> Result<(), SourceError> {
        self.rewind().map_err(|stop| stopped(&self.name, stop))?;
        self.playing = Some(Playing { start: at, next: 0, index: 0 });
        Ok(())
    }

    fn format(&self) -> VideoFormat {
        self.header.format()
    }

    fn read(&mut self, picture: &mut Picture) -> Result<CapturedPicture, SourceError> {
        let Playing { start, next, index } = *self.playing.as_ref().ok_or(SourceError::NotStarted)?;
        let skip = pace::newest_due(|number| start + self.header.due(number), next) - next;
        // Whole rounds of the file need not be passed over.
        let rest = self.total.map_or(skip, |total| skip % total);
        let read = self.advance(index, rest, picture).map_err(|stop| stopped(&self.name, stop))?;
        let index = read.ok_or(SourceError::Ended)?;
        let at_end = self.input.fill_buf().map_err(|error| stopped(&self.name, error.into()))?.is_empty();
        self.playing = Some(Playing { start, next: next + skip + 1, index: index + 1 });
        let at = start + self.header.due(next + skip);
        pace::wait_until(at);
        Ok(CapturedPicture { index, at, ended: at_end && !self.repeat })
    }

    fn stop(&mut self) {
        self.playing = None;
    }
}

fn stopped(name: &str, stop: Stop) -> SourceError {
    let name = name.to_owned();
    match stop {
        Stop::Io(cause) => SourceError::File { name, cause: Arc::new(cause) },
        Stop::Refused(cause) => SourceError::Y4m { name, cause },
    }
}
