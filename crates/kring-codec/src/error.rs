//! What encoding and decoding can refuse; each message says what was expected, what came and what to do.

use crate::raw::PictureError;

/// Why an encoder could not be made, changed or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The sound handed in is not exactly one frame.
    #[error(
        "expected one frame of {expected} samples, got {got}: hand over `duration().samples()` at a time"
    )]
    FrameLength {
        /// Samples in a frame of the current duration.
        expected: usize,
        /// Samples that came.
        got: usize,
    },
    /// A setting is out of its range.
    #[error("{setting} must be {expected}, got {got}: choose another value")]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// Its range.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// The codec library itself failed.
    #[error("{codec} failed in {operation} with code {code}: make a new encoder")]
    Codec {
        /// The codec's token, such as `h264`.
        codec: &'static str,
        /// What was being done.
        operation: &'static str,
        /// The library's own code.
        code: i64,
    },
}

/// Why a decoder could not be made, or gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The packet's length is out of bounds.
    #[error("expected a packet of 1 to {most} bytes, got {got}: drop it")]
    PacketLength {
        /// The longest packet taken, in bytes.
        most: usize,
        /// What came, in bytes.
        got: usize,
    },
    /// The packet claims more sound than a packet may hold.
    #[error("expected at most {most} samples in a packet, it claims {got}: drop it")]
    TooLong {
        /// Most samples in a packet.
        most: usize,
        /// What the packet claims.
        got: usize,
    },
    /// Concealment was asked for a length that the codec cannot make.
    #[error("expected 1 to {most} samples in steps of {step} to conceal, got {got}: split or round the gap")]
    Gap {
        /// Most samples in one call.
        most: usize,
        /// The step.
        step: usize,
        /// What was asked for.
        got: usize,
    },
    /// The packet is damaged, or is not of this codec.
    #[error("expected a valid {codec} packet, got one it refuses (code {code}): drop it")]
    Damaged {
        /// The codec's token, such as `opus`.
        codec: &'static str,
        /// The library's own code.
        code: i64,
    },
    /// The stream asks for what this decoder does not do, or for more memory than it gives.
    #[error("expected of a {codec} stream {expected}, got something else: drop the stream")]
    Refused {
        /// The codec's token, such as `h264`.
        codec: &'static str,
        /// What the decoder takes.
        expected: &'static str,
    },
    /// A picture before this one is missing or damaged. Nothing is shown until a keyframe comes.
    #[error(
        "expected a keyframe, since a picture it builds on is missing or damaged: ask the sender for one"
    )]
    NeedsKeyframe,
    /// The decoded picture's size is not one that [`Picture`](crate::Picture) takes.
    #[error("the stream's picture size is refused: {0}; drop the stream")]
    PictureSize(#[from] PictureError),
    /// The codec library itself failed.
    #[error("{codec} failed in {operation} with code {code}: make a new decoder")]
    Codec {
        /// The codec's token, such as `h264`.
        codec: &'static str,
        /// What was being done.
        operation: &'static str,
        /// The library's own code.
        code: i64,
    },
}
