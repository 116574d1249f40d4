//! Media codecs for Kring: raw sound and pictures, the traits that codecs fulfil, Opus and H.264.
//!
//! An encoder or decoder here is a plain value: it starts no threads, reads no clock and does no I/O.
//! Everything a decoder is given may come from a stranger; sizes are checked before memory is taken.
//!
//! Sound is mono `f32` in `[-1, 1]` at [`SAMPLE_RATE`]; pictures are [`Picture`], 8-bit I420.
//! An app may bring a codec of its own by implementing [`AudioCodec`] or [`VideoCodec`].
//!
//! # Features
//! `opus` and `h264`, both on by default. Cisco pays the H.264 patent pool only for its own binary of
//! OpenH264, not for a build from source as made here: whoever distributes a program with `h264` sees to that.

pub mod audio;
mod error;
#[cfg(feature = "h264")]
pub mod h264;
pub mod ladder;
#[cfg(feature = "opus")]
pub mod opus;
pub mod raw;
mod rgb;
mod scale;
#[doc(hidden)]
pub mod stretch;
pub mod video;

pub use audio::{AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, FrameDuration};
pub use error::{DecodeError, EncodeError};
#[cfg(feature = "h264")]
pub use h264::{H264, PaddedH264};
pub use ladder::{Ladder, Rung};
#[cfg(feature = "opus")]
pub use opus::Opus;
pub use raw::{Picture, PictureError, SAMPLE_RATE};
pub use rgb::{PixelOrder, RowsError};
pub use video::{
    ContentHint, Decoded, EncodedVideo, Layer, Recovery, SimulcastEncoder, VideoCodec, VideoDecoder,
    VideoEncoder, VideoSettings,
};
