//! The traits of a picture codec. A decoder never hands out a damaged picture: either a whole one comes
//! out, or nothing does until the next keyframe.

use std::fmt;
use std::time::Duration;

use crate::error::{DecodeError, EncodeError};
use crate::raw::Picture;

/// What the pictures show, so that the encoder spends bits where they matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ContentHint {
    /// People and rooms: motion and sharpness in balance.
    #[default]
    Camera,
    /// Text and drawings: sharpness over motion.
    Screen,
    /// Sign language: motion over sharpness; frames are dropped last.
    Sign,
}

/// How a video encoder works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoSettings {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Pictures a second, 1 to 60.
    pub frames_per_second: f32,
    /// Bits a second to aim for, 10,000 to 100,000,000.
    pub bits_per_second: u32,
    /// What the pictures show.
    pub content: ContentHint,
    /// Temporal layers, 1 to 3. Pictures of the top one of several are discardable: with two every second picture,
    /// with three as well, while every fourth is of the base. More layers cost bits and make loss cost less.
    pub temporal_layers: u8,
}

impl Default for VideoSettings {
    /// A camera's 640x360 at 30 pictures a second and 1 Mbit/s, without temporal layers.
    fn default() -> Self {
        Self {
            width: 640,
            height: 360,
            frames_per_second: 30.0,
            bits_per_second: 1_000_000,
            content: ContentHint::Camera,
            temporal_layers: 1,
        }
    }
}

/// One encoded picture. `Debug` shows lengths, never content.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedVideo {
    /// The codec's bytes for one access unit.
    pub data: Vec<u8>,
    /// Counts what the encoder put out, from 0. It goes on over changes of size and rate.
    pub number: u32,
    /// The number of the picture that this one builds on; `None` for a keyframe. Mostly the last one that is not
    /// discardable; after [`VideoEncoder::lost`] an older one.
    pub refers_to: Option<u32>,
    /// Decodes without any picture before it.
    pub keyframe: bool,
    /// No later picture builds on it: it may be dropped without harm to others.
    pub discardable: bool,
    /// Temporal layer, 0 being the base.
    pub temporal_layer: u8,
    /// Spatial layer, 0 being the base.
    pub spatial_layer: u8,
}

impl fmt::Debug for EncodedVideo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedVideo")
            .field("length", &self.data.len())
            .field("number", &self.number)
            .field("refers_to", &self.refers_to)
            .field("keyframe", &self.keyframe)
            .field("discardable", &self.discardable)
            .field("temporal_layer", &self.temporal_layer)
            .field("spatial_layer", &self.spatial_layer)
            .finish()
    }
}

/// How an encoder goes on after a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a keyframe has to be asked for"]
pub enum Recovery {
    /// What comes next refers to pictures that the peer has.
    Reference,
    /// There is none to refer to: ask for a keyframe with the next picture.
    Keyframe,
}

/// Turns pictures into packets.
pub trait VideoEncoder: Send {
    /// Encodes a picture captured `at` this time since the track's start (never going backwards).
    /// With `keyframe`, the result decodes on its own. `None` means that the picture was skipped to
    /// hold the rate; a keyframe asked for then is still owed and comes with the next picture that is encoded.
    ///
    /// A picture of another size than before restarts the encoder with a keyframe of the new size.
    ///
    /// # Errors
    /// [`EncodeError`] when the codec fails.
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        keyframe: bool,
    ) -> Result<Option<EncodedVideo>, EncodeError>;

    /// Changes the rates from the next picture on, without a keyframe. Ranges as in [`VideoSettings`].
    ///
    /// # Errors
    /// [`EncodeError::Setting`] when a value is out of range (nothing changes), [`EncodeError::Codec`] when
    /// the codec fails.
    fn set_rate(&mut self, bits_per_second: u32, frames_per_second: f32) -> Result<(), EncodeError>;

    /// Tells that the peer has decoded the picture of that [number](EncodedVideo::number), and so all that it refers to.
    /// Pictures may be told of in any order, or not at all.
    fn acknowledged(&mut self, picture: u32) {
        let _ = picture;
    }

    /// Tells that the peer cannot decode what refers to pictures after `last_good`; `None` if nothing is known to
    /// have been decoded. Of what comes next, nothing refers to them. Repeat it only when what was encoded since is lost as well.
    fn lost(&mut self, last_good: Option<u32>) -> Recovery {
        let _ = last_good;
        Recovery::Keyframe
    }

    /// What the encoder works with now.
    fn settings(&self) -> &VideoSettings;
}

/// One size of several that are encoded at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Bits a second to aim for, 10,000 to 100,000,000.
    pub bits_per_second: u32,
}

impl Layer {
    /// Settings with this layer's size and rate, and all else as it is.
    #[must_use]
    pub fn of(&self, settings: &VideoSettings) -> VideoSettings {
        let Self { width, height, bits_per_second } = *self;
        VideoSettings { width, height, bits_per_second, ..*settings }
    }
}

/// Turns each picture into packets of several sizes, each of which is a stream of its own ([`EncodedVideo::spatial_layer`]
/// counts the sizes from the smallest), so that a room can send everyone the size that fits.
pub trait SimulcastEncoder: Send {
    /// Encodes a picture of the largest size, as [`VideoEncoder::encode`] does. A size that was skipped to hold its rate is
    /// missing.
    ///
    /// # Errors
    /// [`EncodeError`] when the codec fails or the picture has another size.
    fn encode(&mut self, picture: &Picture, at: Duration) -> Result<Vec<EncodedVideo>, EncodeError>;

    /// Has the next picture of a size that is encoded be a keyframe, as the first is.
    fn request_keyframe(&mut self, layer: usize);

    /// Changes the rate of a size from the next picture on, without a keyframe.
    ///
    /// # Errors
    /// [`EncodeError::Setting`] when a value is out of range (nothing changes), [`EncodeError::Codec`] when the codec fails.
    fn set_rate(&mut self, layer: usize, bits_per_second: u32) -> Result<(), EncodeError>;

    /// As [`VideoEncoder::acknowledged`], for a size: all who receive it have decoded that picture.
    fn acknowledged(&mut self, layer: usize, picture: u32);

    /// As [`VideoEncoder::lost`], for a size.
    fn lost(&mut self, layer: usize, last_good: Option<u32>) -> Recovery;
}

/// What came out of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// A whole picture, now in the buffer that was handed in.
    Picture,
    /// No picture yet, and no error.
    Nothing,
}

/// Turns packets back into pictures.
pub trait VideoDecoder: Send {
    /// Decodes one access unit into `picture`, whose size follows the stream.
    ///
    /// # Errors
    /// [`DecodeError`]; `picture` is untouched. After [`DecodeError::NeedsKeyframe`] or
    /// [`DecodeError::Damaged`] only a keyframe gives a picture again.
    fn decode(&mut self, data: &[u8], picture: &mut Picture) -> Result<Decoded, DecodeError>;
}

/// Makes encoders and decoders of one picture codec; an app may bring its own.
pub trait VideoCodec: Send + Sync {
    /// The token by which ends agree on the codec, such as `h264`.
    fn name(&self) -> &'static str;

    /// Makes an encoder.
    ///
    /// # Errors
    /// [`EncodeError::Setting`] when a setting is out of range, [`EncodeError::Codec`] when the codec
    /// cannot be set up.
    fn encoder(&self, settings: &VideoSettings) -> Result<Box<dyn VideoEncoder>, EncodeError>;

    /// Makes an encoder of one to three sizes at once, the smallest first; the last is that of `settings` and of the
    /// pictures. A codec need not have one.
    ///
    /// # Errors
    /// As [`VideoCodec::encoder`].
    fn simulcast(
        &self,
        settings: &VideoSettings,
        layers: &[Layer],
    ) -> Result<Box<dyn SimulcastEncoder>, EncodeError> {
        let _ = (settings, layers);
        let (setting, expected) = ("layers", "none, since this codec encodes one size at a time");
        Err(EncodeError::Setting { setting, expected, got: layers.len().to_string() })
    }

    /// Makes a decoder.
    ///
    /// # Errors
    /// [`DecodeError::Codec`] when the codec cannot be set up.
    fn decoder(&self) -> Result<Box<dyn VideoDecoder>, DecodeError>;
}
