//! The encoder: keyframes come when asked for, at the start, and where nothing else helps; the rate holds over half a
//! second, and no keyframe takes much longer than that on a link of the rate set.

use std::time::Duration;

use super::handle::{Effort, Handle, Size, Written};
use super::recovery::{Recovery as Known, Verdict};
use crate::error::EncodeError;
use crate::raw::Picture;
use crate::video::{EncodedVideo, Recovery, VideoEncoder, VideoSettings};

/// Macroblocks of the largest picture, level 5.2.
const MAX_MACROBLOCKS: u32 = 36_864;
/// How long a keyframe may take at the rate set; a larger one is made anew of a softer picture.
const MAX_KEYFRAME: Duration = Duration::from_millis(300);
/// Keyframes of less than this are never too large, in bytes.
const SMALL_KEYFRAME: usize = 3000;
/// Below so many bits for each pixel, more of the encoder's time is worth it: .5 to 1.5 % of the bits.
const SCARCE: f32 = 0.08;

/// Encodes to H.264.
pub struct H264Encoder {
    handle: Handle,
    settings: VideoSettings,
    effort: Effort,
    /// A keyframe that was asked for and has not come yet.
    owed: bool,
    known: Known,
    /// The next picture's number.
    next: u32,
    /// Milliseconds of the last picture.
    last: i64,
}

impl H264Encoder {
    /// Makes an encoder.
    ///
    /// # Errors
    /// [`EncodeError::Setting`] when a setting is out of range, [`EncodeError::Codec`] when OpenH264 cannot
    /// be set up.
    pub fn new(settings: &VideoSettings) -> Result<Self, EncodeError> {
        check(settings)?;
        let effort = effort(settings);
        let handle = Handle::new(settings, &[size(settings)], effort)?;
        let known = Known::default();
        Ok(Self { handle, settings: *settings, effort, owed: true, known, next: 0, last: -1 })
    }

    /// Begins anew with another picture size.
    fn restart(&mut self, width: u32, height: u32) -> Result<(), EncodeError> {
        let settings = VideoSettings { width, height, ..self.settings };
        *self = Self { last: self.last, next: self.next, ..Self::new(&settings)? };
        Ok(())
    }

    /// Encodes, with a keyframe if one is owed; nothing if the picture was skipped.
    fn write(&mut self, picture: &Picture) -> Result<Option<Written>, EncodeError> {
        self.last += 1;
        if self.owed {
            self.handle.force_keyframe(0)?;
        }
        let written = self.handle.encode(picture, self.last)?.pop();
        match written {
            Some(written) if written.keyframe => self.smaller(picture, written).map(Some),
            other => Ok(other),
        }
    }

    /// A keyframe of softer pictures, as long as it is too large for the rate.
    fn smaller(&mut self, picture: &Picture, mut written: Written) -> Result<Written, EncodeError> {
        let most = self.settings.bits_per_second as usize / 8 * MAX_KEYFRAME.as_millis() as usize / 1000;
        for part in [2, 4] {
            if written.data.len() <= most.max(SMALL_KEYFRAME) {
                break;
            }
            // Rate control would count the one that is thrown away.
            self.handle = Handle::new(&self.settings, &[size(&self.settings)], self.effort)?;
            match self.handle.encode(&softer(picture, part), self.last)?.pop() {
                Some(softer) => written = softer,
                None => break,
            }
        }
        Ok(written)
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        keyframe: bool,
    ) -> Result<Option<EncodedVideo>, EncodeError> {
        if (picture.width(), picture.height()) != (self.settings.width, self.settings.height) {
            self.restart(picture.width(), picture.height())?;
        }
        // OpenH264's rate control counts on time that goes forward.
        self.last = i64::try_from(at.as_millis()).unwrap_or(i64::MAX - 2).max(self.last + 1) - 1;
        self.owed |= keyframe;
        loop {
            let Some(written) = self.write(picture)? else { return Ok(None) };
            self.owed &= !written.keyframe;
            match self.known.wrote(&written.data, self.next, written.temporal_layer == 0) {
                Verdict::Out { refers_to } => {
                    let encoded = put_out(written, self.next, refers_to);
                    self.next = self.next.wrapping_add(1);
                    return Ok(Some(encoded));
                }
                // The next of the base layer is the one that others build on.
                Verdict::Withheld if written.temporal_layer > 0 => return Ok(None),
                Verdict::Withheld if written.keyframe => {
                    return Err(EncodeError::Codec { codec: "h264", operation: "keyframe", code: -1 });
                }
                // OpenH264 had nothing else to build on.
                Verdict::Withheld => self.owed = true,
            }
        }
    }

    fn set_rate(&mut self, bits_per_second: u32, frames_per_second: f32) -> Result<(), EncodeError> {
        let settings = VideoSettings { bits_per_second, frames_per_second, ..self.settings };
        check(&settings)?;
        if frames_per_second != self.settings.frames_per_second {
            self.handle.set_frames_per_second(frames_per_second)?;
        }
        self.handle.set_rate(0, self.settings.bits_per_second, bits_per_second)?;
        self.settings = settings;
        if effort(&settings) != self.effort {
            self.effort = effort(&settings);
            self.handle.set_effort(self.effort)?;
        }
        Ok(())
    }

    fn acknowledged(&mut self, picture: u32) {
        if let Some(tell) = self.known.acknowledged(picture) {
            // It refuses nothing that was well-formed, and what it did not hear it does not use.
            let _ = self.handle.tell(0, tell);
        }
    }

    fn lost(&mut self, last_good: Option<u32>) -> Recovery {
        let tell = self.known.lost(last_good);
        match tell.map(|tell| tell.into_iter().try_for_each(|tell| self.handle.tell(0, tell))) {
            Some(Ok(())) => Recovery::Reference,
            _ => Recovery::Keyframe,
        }
    }

    fn settings(&self) -> &VideoSettings {
        &self.settings
    }
}

fn size(settings: &VideoSettings) -> Size {
    let VideoSettings { width, height, bits_per_second, .. } = *settings;
    Size { width, height, bits_per_second }
}

pub(super) fn effort(settings: &VideoSettings) -> Effort {
    let pixels = (settings.width * settings.height) as f32 * settings.frames_per_second;
    if (settings.bits_per_second as f32) < SCARCE * pixels { Effort::Medium } else { Effort::Low }
}

/// The picture without what is finer than so many pixels.
fn softer(picture: &Picture, part: u32) -> Picture {
    let even = |side: u32| (side / part).next_multiple_of(2).max(2);
    let mut soft = picture.clone();
    if let Ok(mut small) = Picture::new(even(picture.width()), even(picture.height())) {
        picture.scale_into(&mut small);
        small.scale_into(&mut soft);
    }
    soft
}

pub(super) fn put_out(written: Written, number: u32, refers_to: Option<u32>) -> EncodedVideo {
    EncodedVideo {
        data: written.data,
        number,
        refers_to,
        keyframe: written.keyframe,
        discardable: written.discardable,
        temporal_layer: written.temporal_layer,
        spatial_layer: written.size as u8,
    }
}

pub(super) fn check(settings: &VideoSettings) -> Result<(), EncodeError> {
    let VideoSettings { width, height, frames_per_second, bits_per_second, temporal_layers, .. } = *settings;
    let refuse = |setting, expected, got| Err(EncodeError::Setting { setting, expected, got });
    let side = |side: u32| (16..=4096).contains(&side) && side.is_multiple_of(2);
    let blocks = || width.div_ceil(16) * height.div_ceil(16);
    if !side(width) || !side(height) || blocks() > MAX_MACROBLOCKS {
        return refuse(
            "picture size",
            "even, 16 to 4096 a side, 4096x2304 at most",
            format!("{width}x{height}"),
        );
    }
    if !(1.0..=60.0).contains(&frames_per_second) {
        return refuse("frames per second", "1 to 60", frames_per_second.to_string());
    }
    if !(10_000..=100_000_000).contains(&bits_per_second) {
        return refuse("bits per second", "10,000 to 100,000,000", bits_per_second.to_string());
    }
    if !(1..=3).contains(&temporal_layers) {
        return refuse("temporal layers", "1 to 3", temporal_layers.to_string());
    }
    Ok(())
}
