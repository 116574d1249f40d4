//! H.264 by Cisco's OpenH264, over its C API: main profile without B pictures, one slice, one thread, no picture
//! held back.
//!
//! What comes out of the decoder is whole: a picture that misses a reference, or is damaged, is never
//! shown. The C API is used because the safe crate over it
//! cannot change rates while it runs and does not tell the decoder's state apart from its pictures.
//!
//! A picture that misses what it is predicted from is refused, and so is all after it until a keyframe comes, or one that
//! says it is predicted from a picture that is there: that is how [`VideoEncoder::lost`] repairs.
//!
//! Streams of other encoders decode too. Where their profile allows reordering (high, and main without the flag
//! that says there is none), OpenH264 hands each picture out with a later one; so ask other encoders for baseline or for main with
//! `constraint_set5_flag`.

mod annexb;
mod decoder;
mod encoder;
mod handle;
mod padded;
mod recovery;
mod references;
mod simulcast;
mod syntax;

pub use annexb::{AccessUnits, access_units, is_discardable, is_keyframe};
pub use decoder::H264Decoder;
pub use encoder::H264Encoder;
pub use padded::PaddedH264;
pub use simulcast::H264Simulcast;
pub use syntax::MAX_MEMORY;

use crate::error::{DecodeError, EncodeError};
use crate::video::{Layer, SimulcastEncoder, VideoCodec, VideoDecoder, VideoEncoder, VideoSettings};

/// Longest access unit that is decoded, in bytes.
pub const MAX_ACCESS_UNIT: usize = 4 << 20;

/// The H.264 codec, token `h264`.
///
/// Takes pictures of 16 to 4096 pixels a side and at most 36,864 macroblocks (4096x2304), 1 to 60 a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct H264;

impl VideoCodec for H264 {
    fn name(&self) -> &'static str {
        "h264"
    }

    fn encoder(&self, settings: &VideoSettings) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(H264Encoder::new(settings)?))
    }

    fn simulcast(
        &self,
        settings: &VideoSettings,
        layers: &[Layer],
    ) -> Result<Box<dyn SimulcastEncoder>, EncodeError> {
        Ok(Box::new(H264Simulcast::new(settings, layers)?))
    }

    fn decoder(&self) -> Result<Box<dyn VideoDecoder>, DecodeError> {
        Ok(Box::new(H264Decoder::new()?))
    }
}
