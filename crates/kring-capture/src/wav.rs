//! WAV files: sound of any common kind in, 48 kHz mono 16 bit out.
//!
//! A file is read as it plays and never held in memory. What a header claims is checked against the file
//! before anything plays.

mod format;
mod source;
mod writer;

pub use format::{Encoding, WavError, WavFormat, parse_header};
pub use source::WavSource;
pub use writer::WavWriter;
