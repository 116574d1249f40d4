//! Where sound comes from and where it goes. Blocks are mono `f32` in `[-1, 1]` at
//! [`SAMPLE_RATE`](kring_codec::SAMPLE_RATE), of any length the caller likes, commonly 10 ms (480 samples).

use std::time::Instant;

use crate::consent::{Consent, Kind};
use crate::error::{SinkError, SourceError};

/// What a read of sound gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Captured {
    /// When sample 0 of the block was captured.
    pub at: Instant,
    /// The material ended in or before this block; silence fills the rest, in real time.
    pub ended: bool,
}

impl Captured {
    /// A block whose sample 0 was captured `at` this time; `ended` if nothing follows.
    #[must_use]
    pub const fn new(at: Instant, ended: bool) -> Self {
        Self { at, ended }
    }
}

/// What a block that is played is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Played {
    /// Nothing has come yet, or nothing is to be heard: silence.
    Waiting,
    /// Sound that came over the network.
    Decoded,
    /// Sound made up for what is missing.
    Concealed,
}

/// A microphone, or something that stands in for one.
pub trait AudioSource: Send {
    /// The device this needs consent for. `None` when it needs none: a synthetic source, or a file, which
    /// the person gave by naming it.
    fn kind(&self) -> Option<Kind>;

    /// Starts capture: sample 0 is captured at `at`, which may lie a little in the past or the future.
    /// Starting again starts from the beginning.
    ///
    /// # Errors
    /// [`SourceError::NoConsent`] when `consent` does not cover [`kind`](Self::kind), or what opening gave.
    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError>;

    /// Fills `block` with the next samples. Blocks until the block's *last* sample is due, never longer,
    /// and never hands out sound ahead of its time.
    ///
    /// # Errors
    /// [`SourceError::NotStarted`], or what reading gave; `block` is silent then.
    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError>;

    /// Stops and lets go of the device or file. Harmless when stopped already.
    fn stop(&mut self);
}

/// A speaker, or something that stands in for one.
pub trait AudioSink: Send {
    /// Starts playing out.
    ///
    /// # Errors
    /// What opening the device or file gave.
    fn start(&mut self) -> Result<(), SinkError>;

    /// Plays `block` and tells when its sample 0 is heard. Blocks, in real time, until there is room.
    ///
    /// # Errors
    /// [`SinkError::NotStarted`], or what playing gave.
    fn play(&mut self, block: &[f32], what: Played) -> Result<Instant, SinkError>;

    /// Stops and lets go of the device or file. Harmless when stopped already.
    fn stop(&mut self);
}
