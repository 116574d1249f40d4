//! Sources and sinks of sound and pictures for Kring: files, a tone, a test card, and nothing in real time.
//!
//! No device is opened without a [`Consent`], which only local code can make: no crate that reads the
//! network depends on this one. Everything here runs in real time on the caller's own thread: sources
//! never hand out what has not happened yet, sinks take what they play at the speed it is heard, and due
//! times are counted from the start, so that nothing drifts. No call blocks for more than 100 ms unless
//! what it waits for is due later.
//!
//! | in place of | source | sink |
//! | --- | --- | --- |
//! | microphone, speaker | [`WavSource`], [`Tone`] | [`NullSpeaker`], [`WavSpeaker`] |
//! | camera, window | [`Y4mSource`], [`TestCard`] | [`NullView`], [`Y4mView`] |
//!
//! ```
//! use std::time::Instant;
//! use kring_capture::{AudioSource, Consent, Tone};
//!
//! let mut source = Tone::new().frequency(1000.0);
//! source.start(&Consent::to_nothing(), Instant::now())?;
//! let mut block = [0.0; 480];
//! let captured = source.read(&mut block)?; // returns when the block's last sample is due
//! assert!(captured.at <= Instant::now());
//! # Ok::<(), kring_capture::SourceError>(())
//! ```

pub mod audio;
mod consent;
#[cfg(all(test, feature = "audio-io"))]
mod counting;
#[cfg(any(feature = "audio-io", feature = "camera"))]
pub mod devices;
mod error;
pub mod framecode;
mod null;
mod pace;
mod recorder;
mod resample;
mod testcard;
mod tone;
pub mod video;
pub mod wav;
pub mod y4m;

pub use audio::{AudioSink, AudioSource, Captured, Played};
pub use consent::{Consent, Kind};
#[cfg(feature = "camera")]
pub use devices::camera::Camera;
#[cfg(feature = "audio-io")]
pub use devices::{microphone::Microphone, speaker::Speaker};
pub use error::{SinkError, SourceError};
pub use null::{NullSpeaker, NullView};
pub use recorder::{WavSpeaker, Y4mView};
pub use testcard::TestCard;
pub use tone::Tone;
pub use video::{CapturedPicture, VideoFormat, VideoSink, VideoSource};
pub use wav::{WavSource, WavWriter};
pub use y4m::{Y4mSource, Y4mWriter};
