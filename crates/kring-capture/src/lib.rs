//! Sources and sinks of sound and pictures for Kring: files, a tone, a test card, and silence in real time.
//!
//! Nothing is captured without a [`Consent`], which only local code can make: no crate that reads the
//! network depends on this one. Everything here runs in real time on the caller's own thread: sources
//! never hand out what has not happened yet, sinks take what they play at the speed it is heard, and due
//! times are counted from the start, so that nothing drifts. No call blocks for more than 100 ms unless
//! what it waits for is due later.

pub mod audio;
mod consent;
mod error;
// used by the sources
#[allow(dead_code)]
mod pace;
pub mod video;

pub use audio::{AudioSink, AudioSource, Captured, Played};
pub use consent::{Consent, Kind};
pub use error::{SinkError, SourceError};
pub use video::{CapturedPicture, VideoFormat, VideoSink, VideoSource};
