//! The Y4M header and its pictures, parsed from bytes that may be anything.

use std::io::{self, BufRead, Read};
use std::time::Duration;

use kring_codec::Picture;

use crate::video::VideoFormat;

/// Longest header line taken, in bytes. Real ones have under 100.
const MAX_LINE: usize = 1024;

/// What makes a file no Y4M file that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Y4mError {
    /// The file is of another kind.
    #[error("expected a Y4M file (YUV4MPEG2), got \"{got}\": convert it to Y4M")]
    NotY4m {
        /// The first bytes.
        got: String,
    },
    /// The file ends within a header line.
    #[error("expected the end of a header line, got the file's end: the file is cut off, copy it anew")]
    HeaderCut,
    /// A header line has no end.
    #[error(
        "expected a header line of at most {MAX_LINE} bytes, got a longer one: the file is damaged, copy it anew"
    )]
    LineTooLong,
    /// The header lacks something, or says it in a way that is not understood.
    #[error("expected {expected} in the header, got {got}: save the file anew")]
    Field {
        /// What is missing.
        expected: &'static str,
        /// What is there.
        got: String,
    },
    /// The pictures' chroma is not 8-bit 4:2:0.
    #[error("expected chroma C420, C420jpeg, C420mpeg2 or C420paldv, got C{got}: convert it to yuv420p")]
    Chroma {
        /// What the header says.
        got: String,
    },
    /// Width or height is odd.
    #[error("expected an even width and height, got {width}x{height}: crop or scale it")]
    OddSize {
        /// The width, in pixels.
        width: u32,
        /// The height, in pixels.
        height: u32,
    },
    /// Width or height is zero or too large.
    #[error("expected a width and height of 2 to 8192, got {width}x{height}: scale it")]
    Size {
        /// The width, in pixels.
        width: u32,
        /// The height, in pixels.
        height: u32,
    },
    /// A picture does not start where it should.
    #[error("expected FRAME before picture {index}, got \"{got}\": the file is damaged, copy it anew")]
    NoFrame {
        /// The picture's number.
        index: u64,
        /// What is there.
        got: String,
    },
    /// The file ends within a picture.
    #[error(
        "expected {expected} bytes of picture {index}, the file holds {got}: the file is cut off, copy it anew"
    )]
    PictureCut {
        /// The picture's number.
        index: u64,
        /// A picture's length, in bytes.
        expected: usize,
        /// What the file holds of it, in bytes.
        got: usize,
    },
    /// The file holds no picture.
    #[error("expected pictures, got a file with none: choose another file")]
    Empty,
}

/// What a Y4M header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Y4mHeader {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Pictures in `rate.1` seconds; both above zero, the rate 0.1 to 1000 pictures a second.
    pub rate: (u32, u32),
}

impl Y4mHeader {
    /// Size and rate.
    #[must_use]
    pub fn format(&self) -> VideoFormat {
        let frames_per_second = (f64::from(self.rate.0) / f64::from(self.rate.1)) as f32;
        VideoFormat { width: self.width, height: self.height, frames_per_second }
    }

    /// When picture `index` is due, from the start.
    #[must_use]
    pub fn due(&self, index: u64) -> Duration {
        let nanoseconds =
            u128::from(index) * 1_000_000_000 * u128::from(self.rate.1) / u128::from(self.rate.0);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Bytes of one picture.
    #[must_use]
    pub fn picture_length(&self) -> usize {
        self.width as usize * self.height as usize * 3 / 2
    }
}

/// Why parsing stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are not what is taken.
    #[error(transparent)]
    Refused(#[from] Y4mError),
}

/// Reads the file header.
///
/// # Errors
/// [`Stop::Io`] when reading fails, [`Stop::Refused`] when the bytes are no header that is taken.
pub fn parse_header(input: &mut impl BufRead) -> Result<Y4mHeader, Stop> {
    let mut magic = Vec::new();
    input.by_ref().take(9).read_to_end(&mut magic)?;
    if magic != b"YUV4MPEG2" {
        return Err(Y4mError::NotY4m { got: magic.escape_ascii().to_string() }.into());
    }
    let line = line(input)?.ok_or(Y4mError::HeaderCut)?;
    let line = String::from_utf8_lossy(&line);
    let field = |tag: char| line.split(' ').find_map(|field| field.strip_prefix(tag));
    let side = |tag, expected| {
        let got = field(tag).unwrap_or("nothing");
        got.parse::<u32>().map_err(|_| Y4mError::Field { expected, got: got.into() })
    };
    let (width, height) = (side('W', "W and a width")?, side('H', "H and a height")?);
    let rate = field('F').unwrap_or("nothing");
    let rate = parse_rate(rate).ok_or_else(|| Y4mError::Field {
        expected: "F and a rate such as 30:1, of 0.1 to 1000",
        got: rate.into(),
    })?;
    let chroma = field('C').unwrap_or("420");
    if !matches!(chroma, "420" | "420jpeg" | "420mpeg2" | "420paldv") {
        return Err(Y4mError::Chroma { got: chroma.into() }.into());
    }
    if width % 2 != 0 || height % 2 != 0 {
        return Err(Y4mError::OddSize { width, height }.into());
    }
    Picture::check_size(width, height).map_err(|_| Y4mError::Size { width, height })?;
    Ok(Y4mHeader { width, height, rate })
}

fn parse_rate(text: &str) -> Option<(u32, u32)> {
    let (over, under) = text.split_once(':')?;
    let (over, under) = (over.parse::<u32>().ok()?, under.parse::<u32>().ok()?);
    let rate = f64::from(over) / f64::from(under);
    (0.1..=1000.0).contains(&rate).then_some((over, under))
}

/// Reads picture `index` into `picture`; `false` at the end of the file.
///
/// # Errors
/// [`Stop::Io`] when reading fails, [`Stop::Refused`] when the picture is damaged or cut off; `picture`'s
/// content is undefined then.
pub fn read_picture(
    input: &mut impl BufRead,
    header: &Y4mHeader,
    index: u64,
    picture: &mut Picture,
) -> Result<bool, Stop> {
    if !frame_line(input, index)? {
        return Ok(false);
    }
    let size = |_| Y4mError::Size { width: header.width, height: header.height };
    picture.reset(header.width, header.height).map_err(size)?;
    let (bytes, mut got) = (picture.as_bytes_mut(), 0);
    while got < bytes.len() {
        match input.read(&mut bytes[got..]) {
            Ok(0) => return Err(Y4mError::PictureCut { index, expected: bytes.len(), got }.into()),
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Reads the line before picture `index`; `false` at the end of the file.
pub(super) fn frame_line(input: &mut impl BufRead, index: u64) -> Result<bool, Stop> {
    if input.fill_buf()?.is_empty() {
        return Ok(false);
    }
    let mut magic = Vec::new();
    input.by_ref().take(5).read_to_end(&mut magic)?;
    if magic != b"FRAME" {
        return Err(Y4mError::NoFrame { index, got: magic.escape_ascii().to_string() }.into());
    }
    line(input)?.ok_or(Y4mError::HeaderCut)?;
    Ok(true)
}

/// The rest of a line without its end; `None` when the file ends first.
fn line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, Stop> {
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        _ if line.len() + 1 >= MAX_LINE => Err(Y4mError::LineTooLong.into()),
        _ => Ok(None),
    }
}
