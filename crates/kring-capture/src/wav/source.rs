//! A WAV file in place of a microphone. Sample `n` of the file is captured at `start + n / rate`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kring_codec::SAMPLE_RATE;

use super::format::{WavFormat, parse_header};
use crate::audio::{AudioSource, Captured};
use crate::consent::{Consent, Kind};
use crate::error::SourceError;
use crate::pace;
use crate::resample::Converter;

/// Plays a WAV file as a sound source: 8 to 192 kHz, mono or stereo (mixed down), 8, 16, 24 or 32-bit PCM
/// or 32-bit float. Samples of a 48 kHz mono file pass unchanged.
pub struct WavSource {
    name: String,
    format: WavFormat,
    file: Samples,
    repeat: bool,
    playing: Option<Playing>,
}

/// What lasts from start to stop.
struct Playing {
    start: Instant,
    /// Samples at 48 kHz that were handed out.
    played: u64,
    /// Samples at 48 kHz the file comes to; `None` while it repeats.
    total: Option<u64>,
    converter: Option<Converter>,
    /// Samples at 48 kHz that are ready.
    ready: Vec<f32>,
}

impl WavSource {
    /// Opens a file and checks it.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read, [`SourceError::Wav`] when it is no WAV file that can be
    /// played.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let name = path.as_ref().display().to_string();
        let unreadable = |error| SourceError::File { name: name.clone(), cause: Arc::new(error) };
        let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
        let damaged = |cause| SourceError::Wav { name: name.clone(), cause };
        let format = parse_header(&mut input).map_err(unreadable)?.map_err(damaged)?;
        let length = input.get_ref().metadata().map_err(unreadable)?.len();
        let total = format.samples(length).map_err(damaged)?;
        let file = Samples { input, format, total, left: 0, bytes: Vec::new() };
        Ok(Self { name, format, file, repeat: false, playing: None })
    }

    /// Whether the file begins anew when it ends. Off at first; takes effect with the next start.
    #[must_use]
    pub fn repeat(mut self, repeat: bool) -> Self {
        self.repeat = repeat;
        self
    }

    /// What the file's header says.
    #[must_use]
    pub fn format(&self) -> &WavFormat {
        &self.format
    }

    fn unreadable(&self, error: io::Error) -> SourceError {
        SourceError::File { name: self.name.clone(), cause: Arc::new(error) }
    }
}

impl AudioSource for WavSource {
    fn kind(&self) -> Option<Kind> {
        None
    }

    fn start(&mut self, _consent: &Consent, at: Instant) -> Result<(), SourceError> {
        self.file.rewind().map_err(|error| self.unreadable(error))?;
        let rate = self.format.rate;
        let at_48k =
            |samples: u64| (u128::from(samples) * u128::from(SAMPLE_RATE)).div_ceil(u128::from(rate)) as u64;
        self.playing = Some(Playing {
            start: at,
            played: 0,
            total: (!self.repeat).then(|| at_48k(self.file.total)),
            converter: (rate != SAMPLE_RATE).then(|| Converter::new(rate, SAMPLE_RATE)),
            ready: Vec::new(),
        });
        Ok(())
    }

    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        block.fill(0.0);
        let playing = self.playing.as_mut().ok_or(SourceError::NotStarted)?;
        let filled = playing.fill(block, &mut self.file, self.repeat);
        let first = playing.played;
        playing.played += block.len() as u64;
        let ended = playing.total.is_some_and(|total| playing.played > total);
        let at = pace::sample_due(playing.start, first);
        pace::wait_until(pace::sample_due(playing.start, playing.played.max(first + 1) - 1));
        filled.map_err(|error| self.unreadable(error))?;
        Ok(Captured { at, ended })
    }

    fn stop(&mut self) {
        self.playing = None;
    }
}

impl Playing {
    fn fill(&mut self, block: &mut [f32], file: &mut Samples, repeat: bool) -> io::Result<()> {
        let left = self.total.map_or(u64::MAX, |total| total.saturating_sub(self.played));
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        while self.ready.len() < wanted {
            match &mut self.converter {
                Some(converter) => {
                    converter.run(&mut self.ready, |count, to| file.read(count, repeat, to))?
                }
                None => file.read(wanted - self.ready.len(), repeat, &mut self.ready)?,
            }
        }
        block[..wanted].copy_from_slice(&self.ready[..wanted]);
        self.ready.drain(..wanted);
        Ok(())
    }
}

/// A file's samples at its own rate, mixed down, with silence after the end.
struct Samples {
    input: BufReader<File>,
    format: WavFormat,
    /// Samples in the file, above zero.
    total: u64,
    /// Samples not read yet.
    left: u64,
    bytes: Vec<u8>,
}

impl Samples {
    fn rewind(&mut self) -> io::Result<()> {
        self.left = self.total;
        self.input.seek(SeekFrom::Start(self.format.data_start)).map(drop)
    }

    /// Appends `count` samples.
    fn read(&mut self, count: usize, repeat: bool, to: &mut Vec<f32>) -> io::Result<()> {
        let end = to.len() + count;
        while to.len() < end {
            if self.left == 0 && repeat {
                self.rewind()?;
            }
            let now = self.left.min((end - to.len()) as u64) as usize;
            if now == 0 {
                to.resize(end, 0.0);
                break;
            }
            self.bytes.resize(now * self.format.block(), 0);
            self.input.read_exact(&mut self.bytes)?;
            self.left -= now as u64;
            self.format.mix(&self.bytes, to);
        }
        Ok(())
    }
}
