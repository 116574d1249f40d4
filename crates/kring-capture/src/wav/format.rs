//! The WAV header, parsed from bytes that may be anything, and the samples it describes.

use std::io::{self, Read};

/// Lowest and highest sample rates taken, in hertz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Format tags of the `fmt ` chunk.
const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// The length that writers put which cannot know it, as when they write to a pipe.
const LENGTH_UNKNOWN: u32 = u32::MAX;

/// What makes a file no WAV file that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file is of another kind.
    #[error("expected a WAV file (RIFF, WAVE), got {got}: convert it to WAV")]
    NotWave {
        /// The first bytes.
        got: String,
    },
    /// The file ends within its header.
    #[error("expected a {expected}, got the file's end: the file is cut off, copy it anew")]
    HeaderCut {
        /// The part that is missing.
        expected: &'static str,
    },
    /// The samples are compressed or of a width that is not taken.
    #[error(
        "expected PCM of 8, 16, 24 or 32 bits or float of 32, got format tag {tag} with {bits} bits: \
         convert it to 16-bit PCM"
    )]
    Encoding {
        /// The format tag, 1 for PCM and 3 for float.
        tag: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// The sample rate is out of range.
    #[error("expected 8000 to 192000 samples a second, got {got}: convert it to 48000")]
    Rate {
        /// The rate, in hertz.
        got: u32,
    },
    /// Neither mono nor stereo.
    #[error("expected one or two channels, got {got}: mix it down to one")]
    Channels {
        /// The number of channels.
        got: u16,
    },
    /// The header contradicts itself.
    #[error("expected {expected} bytes for one sample of all channels, the header says {got}: save it anew")]
    BlockAlign {
        /// What channels and bits come to.
        expected: u16,
        /// What the header says.
        got: u16,
    },
    /// The header promises more sound than the file holds.
    #[error("expected {expected} bytes of sound, the file holds {got}: the file is cut off, copy it anew")]
    DataCut {
        /// What the header promises, in bytes.
        expected: u64,
        /// What the file holds, in bytes.
        got: u64,
    },
    /// The file holds no sound.
    #[error("expected sound, got a file with none: choose another file")]
    Empty,
}

/// How one sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// 8 bits, 128 being silence.
    Unsigned8,
    /// 16 bits.
    Signed16,
    /// 24 bits.
    Signed24,
    /// 32 bits.
    Signed32,
    /// 32-bit float, full scale being 1.
    Float32,
}

impl Encoding {
    fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
        }
    }

    /// One sample in `[-1, 1]`. `bytes` are [`bytes`](Self::bytes) long.
    fn sample(self, bytes: &[u8]) -> f32 {
        let scale = |value: i32| (f64::from(value) / 2_147_483_648.0) as f32;
        match *bytes {
            [a] => (f32::from(a) - 128.0) / 128.0,
            [a, b] => scale(i32::from_le_bytes([0, 0, a, b])),
            [a, b, c] => scale(i32::from_le_bytes([0, a, b, c])),
            [a, b, c, d] if self == Self::Float32 => match f32::from_le_bytes([a, b, c, d]) {
                value if value.is_finite() => value.clamp(-1.0, 1.0),
                _ => 0.0,
            },
            [a, b, c, d] => scale(i32::from_le_bytes([a, b, c, d])),
            _ => 0.0,
        }
    }
}

/// What a WAV header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WavFormat {
    /// Samples a second and channel, 8,000 to 192,000.
    pub rate: u32,
    /// 1 or 2.
    pub channels: u16,
    /// How samples are written.
    pub encoding: Encoding,
    /// Where sound begins, in bytes from the file's start.
    pub data_start: u64,
    /// How much sound is promised, in bytes; `None` when the writer did not know.
    pub data_length: Option<u64>,
}

impl WavFormat {
    /// Bytes of one sample of all channels.
    pub(super) fn block(&self) -> usize {
        usize::from(self.channels) * self.encoding.bytes()
    }

    /// Samples, of all channels together, in a file of `file_length` bytes.
    ///
    /// # Errors
    /// [`WavError::DataCut`] when the file holds less than the header promises, [`WavError::Empty`]
    /// when it holds nothing.
    pub fn samples(&self, file_length: u64) -> Result<u64, WavError> {
        let got = file_length.saturating_sub(self.data_start);
        let length = match self.data_length {
            Some(expected) if expected > got => return Err(WavError::DataCut { expected, got }),
            Some(expected) => expected,
            None => got,
        };
        match length / self.block() as u64 {
            0 => Err(WavError::Empty),
            samples => Ok(samples),
        }
    }

    /// Mixes `bytes`, whole samples of all channels, down to one channel and appends them.
    pub(super) fn mix(&self, bytes: &[u8], to: &mut Vec<f32>) {
        let width = self.encoding.bytes();
        let share = 1.0 / f32::from(self.channels);
        to.extend(bytes.chunks_exact(self.block()).map(|block| {
            block.chunks_exact(width).map(|sample| self.encoding.sample(sample) * share).sum::<f32>()
        }));
    }
}

/// Reads a WAV header up to where sound begins. Takes no more memory than 40 bytes, whatever it is given.
///
/// # Errors
/// The outer one when reading fails, the inner one when the bytes are no header that is taken.
pub fn parse_header(input: &mut impl Read) -> io::Result<Result<WavFormat, WavError>> {
    let mut parser = Parser { input, at: 0 };
    match parser.header() {
        Ok(format) => Ok(Ok(format)),
        Err(Stop::Refused(error)) => Ok(Err(error)),
        Err(Stop::Io(error)) => Err(error),
    }
}

/// Why parsing stopped.
enum Stop {
    Io(io::Error),
    Refused(WavError),
}

impl From<WavError> for Stop {
    fn from(error: WavError) -> Self {
        Self::Refused(error)
    }
}

struct Parser<'a, R> {
    input: &'a mut R,
    at: u64,
}

impl<R: Read> Parser<'_, R> {
    fn header(&mut self) -> Result<WavFormat, Stop> {
        let riff: [u8; 12] = match self.bytes("RIFF header") {
            Err(Stop::Refused(_)) => {
                return Err(WavError::NotWave { got: "a file of under 12 bytes".into() }.into());
            }
            other => other?,
        };
        if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
            let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
            return Err(WavError::NotWave {
                got: format!("\"{}\", \"{}\"", text(&riff[..4]), text(&riff[8..])),
            }
            .into());
        }
        let mut format = None;
        loop {
            let expected = if format.is_none() { "fmt chunk" } else { "data chunk" };
            let head: [u8; 8] = self.bytes(expected)?;
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            match (&head[..4], format) {
                (b"fmt ", None) => format = Some(self.format(length)?),
                (b"data", Some((rate, channels, encoding))) => {
                    let data_length = (length != LENGTH_UNKNOWN).then_some(length.into());
                    return Ok(WavFormat { rate, channels, encoding, data_start: self.at, data_length });
                }
                // Chunks are padded to an even length.
                _ => self.skip(u64::from(length) + u64::from(length % 2), expected)?,
            }
        }
    }

    fn format(&mut self, length: u32) -> Result<(u32, u16, Encoding), Stop> {
        let basic: [u8; 16] = match length {
            16.. => self.bytes("fmt chunk")?,
            _ => return Err(WavError::HeaderCut { expected: "fmt chunk of 16 bytes or more" }.into()),
        };
        let short = |at: usize| u16::from_le_bytes([basic[at], basic[at + 1]]);
        let (mut tag, channels, align, bits) = (short(0), short(2), short(12), short(14));
        let rate = u32::from_le_bytes([basic[4], basic[5], basic[6], basic[7]]);
        let mut rest = u64::from(length) + u64::from(length % 2) - 16;
        if tag == TAG_EXTENSIBLE && rest >= 24 {
            // Extension length, valid bits, speaker positions, then a GUID that starts with the true tag.
            let extension: [u8; 24] = self.bytes("fmt chunk")?;
            tag = u16::from_le_bytes([extension[8], extension[9]]);
            rest -= 24;
        }
        self.skip(rest, "fmt chunk")?;
        let encoding = match (tag, bits) {
            (TAG_PCM, 8) => Encoding::Unsigned8,
            (TAG_PCM, 16) => Encoding::Signed16,
            (TAG_PCM, 24) => Encoding::Signed24,
            (TAG_PCM, 32) => Encoding::Signed32,
            (TAG_FLOAT, 32) => Encoding::Float32,
            _ => return Err(WavError::Encoding { tag, bits }.into()),
        };
        if !(1..=2).contains(&channels) {
            return Err(WavError::Channels { got: channels }.into());
        }
        if !RATES.contains(&rate) {
            return Err(WavError::Rate { got: rate }.into());
        }
        let expected = channels * encoding.bytes() as u16;
        if align != expected {
            return Err(WavError::BlockAlign { expected, got: align }.into());
        }
        Ok((rate, channels, encoding))
    }

    fn bytes<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => WavError::HeaderCut { expected }.into(),
            _ => Stop::Io(error),
        })?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn skip(&mut self, length: u64, expected: &'static str) -> Result<(), Stop> {
        let skipped = io::copy(&mut self.input.by_ref().take(length), &mut io::sink()).map_err(Stop::Io)?;
        self.at += skipped;
        if skipped < length { Err(WavError::HeaderCut { expected }.into()) } else { Ok(()) }
    }
}
