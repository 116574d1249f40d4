//! Where pictures come from and where they go.

use std::time::Instant;

use kring_codec::Picture;

use crate::consent::{Consent, Kind};
use crate::error::{SinkError, SourceError};

/// What pictures a source gives.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct VideoFormat {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Pictures a second.
    pub frames_per_second: f32,
}

impl VideoFormat {
    /// Pictures of that many pixels, both even, so often a second.
    #[must_use]
    pub const fn new(width: u32, height: u32, frames_per_second: f32) -> Self {
        Self { width, height, frames_per_second }
    }
}

/// What a read of a picture gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapturedPicture {
    /// The picture's number in the file or since the start. Jumps when the reader is late; wraps to 0
    /// when a file repeats.
    pub index: u64,
    /// When the picture was captured.
    pub at: Instant,
    /// This is the last picture; the next read gives [`SourceError::Ended`].
    pub ended: bool,
}

impl CapturedPicture {
    /// Picture `index`, captured `at` this time; more follow.
    #[must_use]
    pub const fn new(index: u64, at: Instant) -> Self {
        Self { index, at, ended: false }
    }

    /// The same, as the last one.
    #[must_use]
    pub const fn last(self) -> Self {
        Self { ended: true, ..self }
    }
}

/// A camera or screen, or something that stands in for one.
pub trait VideoSource: Send {
    /// The device this needs consent for. `None` when it needs none: a synthetic source, or a file, which
    /// the person gave by naming it.
    fn kind(&self) -> Option<Kind>;

    /// Starts capture: picture 0 is captured at `at`, which may lie a little in the past or the future.
    /// Starting again starts from the beginning.
    ///
    /// # Errors
    /// [`SourceError::NoConsent`] when `consent` does not cover [`kind`](Self::kind), or what opening gave.
    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError>;

    /// The pictures' size and rate.
    fn format(&self) -> VideoFormat;

    /// Writes the next picture into `picture`, whose size follows the source. Blocks until it is due, never
    /// longer. A reader that comes late gets the newest picture that is due; those between are lost to it.
    ///
    /// # Errors
    /// [`SourceError::NotStarted`], [`SourceError::Ended`] when a file that does not repeat is over, or what
    /// reading gave.
    fn read(&mut self, picture: &mut Picture) -> Result<CapturedPicture, SourceError>;

    /// Stops and lets go of the device or file. Harmless when stopped already.
    fn stop(&mut self);
}

/// A window, or something that stands in for one.
pub trait VideoSink: Send {
    /// Shows a picture at a time, or at once when that has passed. Does not wait for the next one.
    ///
    /// # Errors
    /// What showing gave.
    fn show(&mut self, picture: &Picture, at: Instant) -> Result<(), SinkError>;

    /// Stops and lets go of the window or file. Harmless when stopped already.
    fn stop(&mut self);
}
