//! The traits of a sound codec. One frame in, one packet out; time is the caller's.

use std::time::Duration;

use crate::error::{DecodeError, EncodeError};
use crate::raw::SAMPLE_RATE;

/// How much sound one packet carries. Longer packets cost less overhead and more delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum FrameDuration {
    /// 10 ms.
    Ms10,
    /// 20 ms, the usual one.
    #[default]
    Ms20,
    /// 40 ms.
    Ms40,
    /// 60 ms, for narrow links.
    Ms60,
    /// 120 ms, for links on which half the headers of 60 ms make the difference.
    Ms120,
}

impl FrameDuration {
    /// All durations, the shortest first.
    pub const ALL: [Self; 5] = [Self::Ms10, Self::Ms20, Self::Ms40, Self::Ms60, Self::Ms120];

    /// Milliseconds.
    #[must_use]
    pub const fn milliseconds(self) -> u32 {
        match self {
            Self::Ms10 => 10,
            Self::Ms20 => 20,
            Self::Ms40 => 40,
            Self::Ms60 => 60,
            Self::Ms120 => 120,
        }
    }

    /// Samples at [`SAMPLE_RATE`]: 480, 960, 1920, 2880 or 5760.
    #[must_use]
    pub const fn samples(self) -> usize {
        (SAMPLE_RATE / 1000 * self.milliseconds()) as usize
    }

    /// The same as a [`Duration`].
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.milliseconds() as u64)
    }

    /// The duration on the wire, in units of 2.5 ms: 4, 8, 16, 24 or 48.
    #[must_use]
    pub const fn code(self) -> u8 {
        (self.milliseconds() * 2 / 5) as u8
    }

    /// The duration of a [`code`](Self::code); `None` for any other number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|duration| duration.code() == code)
    }
}

/// How an audio encoder starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioSettings {
    /// Length of a frame. Default 20 ms.
    pub duration: FrameDuration,
    /// Payload bits a second. Default 48,000.
    pub bits_per_second: u32,
}

impl Default for AudioSettings {
    fn default() -> Self {
        Self { duration: FrameDuration::default(), bits_per_second: 48_000 }
    }
}

/// Turns frames of sound into packets.
pub trait AudioEncoder: Send {
    /// Encodes `pcm`, which is exactly one frame of [`duration`](Self::duration), and replaces `packet`'s
    /// content with the result.
    ///
    /// # Errors
    /// [`EncodeError::FrameLength`] when `pcm` has another length; [`EncodeError::Codec`] when the codec fails.
    /// `packet` is empty then.
    fn encode(&mut self, pcm: &[f32], packet: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Sets the rate from the next frame on, in bits a second, clamped to what the codec can do.
    fn set_bitrate(&mut self, bits_per_second: u32);

    /// Sets the length of the next frames.
    fn set_duration(&mut self, duration: FrameDuration);

    /// The length of the next frame.
    fn duration(&self) -> FrameDuration;

    /// Tells how many packets get lost, 0 to 100 per cent (more counts as 100), so that the codec can
    /// spend bits on in-band recovery.
    fn set_expected_loss(&mut self, percent: u8);

    /// Asks for redundancy in each packet that reaches so far back, to be decoded after a burst of losses; zero for
    /// none. Does nothing where a codec has no such thing.
    fn set_deep_redundancy(&mut self, reach: Duration) {
        let _ = reach;
    }

    /// Samples by which decoded sound lags what was encoded.
    fn lookahead(&self) -> usize;
}

/// Turns packets back into sound.
pub trait AudioDecoder: Send {
    /// Decodes a packet and appends its sound to `pcm`.
    ///
    /// # Errors
    /// [`DecodeError`] when the packet is too long, claims too much sound or is damaged; nothing is
    /// appended and the caller conceals instead.
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<(), DecodeError>;

    /// Appends `samples` of sound made up from what came before, for a packet that is not there.
    ///
    /// # Errors
    /// [`DecodeError::Gap`] when the codec cannot make that length; nothing is appended.
    fn conceal(&mut self, samples: usize, pcm: &mut Vec<f32>) -> Result<(), DecodeError>;

    /// How many samples right before `packet` [`recover`](Self::recover) could make of what it carries; 0 for a codec
    /// or packet without redundancy.
    fn reach(&mut self, packet: &[u8]) -> usize {
        let _ = packet;
        0
    }

    /// Appends `samples` of lost sound that began `apart` samples before `next_packet` (`samples`, if that follows right
    /// on it), from what `next_packet` carries of it, concealed otherwise. `next_packet` itself is decoded afterwards.
    ///
    /// # Errors
    /// As [`decode`](Self::decode) and [`conceal`](Self::conceal); nothing is appended.
    fn recover(
        &mut self,
        next_packet: &[u8],
        apart: usize,
        samples: usize,
        pcm: &mut Vec<f32>,
    ) -> Result<(), DecodeError>;
}

/// Makes encoders and decoders of one sound codec; an app may bring its own.
pub trait AudioCodec: Send + Sync {
    /// The token by which ends agree on the codec, such as `opus`.
    fn name(&self) -> &'static str;

    /// Makes an encoder.
    ///
    /// # Errors
    /// [`EncodeError`] when the codec cannot be set up.
    fn encoder(&self, settings: &AudioSettings) -> Result<Box<dyn AudioEncoder>, EncodeError>;

    /// Makes a decoder.
    ///
    /// # Errors
    /// [`DecodeError`] when the codec cannot be set up.
    fn decoder(&self) -> Result<Box<dyn AudioDecoder>, DecodeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_survive_their_code() {
        for duration in FrameDuration::ALL {
            assert_eq!(FrameDuration::from_code(duration.code()), Some(duration));
            assert_eq!(
                duration.samples() as u64 * 1_000_000 / 48_000,
                duration.as_duration().as_micros() as u64
            );
        }
        assert_eq!(FrameDuration::ALL.map(FrameDuration::code), [4, 8, 16, 24, 48]);
        assert_eq!(FrameDuration::from_code(5), None);
    }
}
