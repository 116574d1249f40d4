//! H.264 whose packets come in few sizes.
//!
//! Guarantee: a packet's length is 512 × 2ⁿ or 768 × 2ⁿ bytes, and any decoder of H.264 reads it as it is: zeros may follow each
//! unit of a byte stream (ITU-T H.264, annex B, trailing_zero_8bits).

use super::H264;
use crate::{
    DecodeError, EncodeError, EncodedVideo, Picture, Recovery, VideoCodec, VideoDecoder, VideoEncoder,
    VideoSettings,
};
use std::time::Duration;

/// The smallest size of a packet, in bytes.
const LEAST: usize = 512;

/// H.264 with every picture filled up to the next of few sizes, so that whoever counts bytes learns less of what moves
/// in it. Costs some 19 % of the bits, which the picture pays for: the rate that is asked for is kept. A keyframe still
/// stands out, and so do long stretches with much or little motion.
#[derive(Clone, Copy, Debug, Default)]
pub struct PaddedH264;

impl VideoCodec for PaddedH264 {
    fn name(&self) -> &'static str {
        H264.name()
    }

    fn encoder(&self, settings: &VideoSettings) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        let within =
            VideoSettings { bits_per_second: without_padding(settings.bits_per_second), ..*settings };
        Ok(Box::new(Padded { encoder: H264.encoder(&within)?, settings: *settings }))
    }

    fn decoder(&self) -> Result<Box<dyn VideoDecoder>, DecodeError> {
        H264.decoder()
    }
}

struct Padded {
    encoder: Box<dyn VideoEncoder>,
    /// As asked for, padding included.
    settings: VideoSettings,
}

impl VideoEncoder for Padded {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        keyframe: bool,
    ) -> Result<Option<EncodedVideo>, EncodeError> {
        let encoded = self.encoder.encode(picture, at, keyframe)?;
        (self.settings.width, self.settings.height) =
            (self.encoder.settings().width, self.encoder.settings().height);
        Ok(encoded.map(|mut encoded| {
            encoded.data.resize(step(encoded.data.len()), 0);
            encoded
        }))
    }

    fn set_rate(&mut self, bits_per_second: u32, frames_per_second: f32) -> Result<(), EncodeError> {
        self.encoder.set_rate(without_padding(bits_per_second), frames_per_second)?;
        (self.settings.bits_per_second, self.settings.frames_per_second) =
            (bits_per_second, frames_per_second);
        Ok(())
    }

    fn acknowledged(&mut self, picture: u32) {
        self.encoder.acknowledged(picture);
    }

    fn lost(&mut self, last_good: Option<u32>) -> Recovery {
        self.encoder.lost(last_good)
    }

    fn settings(&self) -> &VideoSettings {
        &self.settings
    }
}

/// What is left for the picture. Steps of a half and a third make packets 1.19 times as long on average.
fn without_padding(bits_per_second: u32) -> u32 {
    (bits_per_second / 6 * 5).max(10_000)
}

/// The next size that there is.
fn step(len: usize) -> usize {
    let whole = len.next_power_of_two().max(LEAST);
    let between = whole / 4 * 3;
    if len <= between && between >= LEAST { between } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_few_and_none_is_below_what_it_holds() {
        let mut sizes = std::collections::BTreeSet::new();
        for len in 0..100_000 {
            let padded = step(len);
            assert!(padded >= len && (padded == LEAST || padded * 2 <= len * 3 + 2), "{len}: {padded}");
            sizes.insert(padded);
        }
        assert_eq!(sizes.iter().take(5).copied().collect::<Vec<_>>(), [512, 768, 1024, 1536, 2048]);
        assert!(sizes.len() <= 18, "{sizes:?}");
    }
}
