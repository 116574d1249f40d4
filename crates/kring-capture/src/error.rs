//! What sources and sinks can refuse; each message says what was expected, what came and what to do.

use std::io;
use std::sync::Arc;

use crate::consent::Kind;
use crate::wav::WavError;
use crate::y4m::Y4mError;

/// Why a source gives nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The consent does not cover the device.
    #[error("expected consent to the {0}, got none: ask the person first")]
    NoConsent(Kind),
    /// Read before start, or after stop.
    #[error("expected a started source, got one that is stopped: call `start` first")]
    NotStarted,
    /// The material is over.
    #[error("the material has ended: start the source again, or let it repeat")]
    Ended,
    /// The file cannot be opened or read.
    #[error("expected to read {name}, got \"{cause}\": check its path, rights and disk")]
    File {
        /// The file's name as it was given.
        name: String,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// The file is no WAV file that can be played.
    #[error("{name}: {cause}")]
    Wav {
        /// The file's name as it was given.
        name: String,
        /// What is wrong with it.
        cause: WavError,
    },
    /// The file is no Y4M file that can be played.
    #[error("{name}: {cause}")]
    Y4m {
        /// The file's name as it was given.
        name: String,
        /// What is wrong with it.
        cause: Y4mError,
    },
    /// The picture size or rate that was asked for cannot be had.
    #[error("expected {expected}, got {got}: choose another size or rate")]
    Format {
        /// What can be had.
        expected: &'static str,
        /// What was asked for.
        got: String,
    },
    /// No picture can have the size that was asked for.
    #[error(transparent)]
    Size(#[from] kring_codec::PictureError),
    /// The device went away or failed.
    #[error("the {kind} failed ({cause}): check that it is plugged in and free, then start again")]
    Device {
        /// Which kind of device.
        kind: Kind,
        /// What the system said.
        cause: String,
    },
}

/// Why a sink takes nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Used before start, or after stop.
    #[error("expected a started sink, got one that is stopped: call `start` first")]
    NotStarted,
    /// The file cannot be written.
    #[error("expected to write {name}, got \"{cause}\": check its path, rights and disk")]
    File {
        /// The file's name as it was given.
        name: String,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// A picture has another size than the file it goes to.
    #[error("expected a picture of {expected}, got {got}: scale it first")]
    PictureSize {
        /// The file's size, such as `640x360`.
        expected: String,
        /// The picture's size.
        got: String,
    },
    /// The device went away or failed.
    #[error("the output failed ({cause}): check that it is plugged in and free, then start again")]
    Device {
        /// What the system said.
        cause: String,
    },
}
