//! Opus (RFC 6716) by libopus: mono, 48 kHz, constant bit rate.
//!
//! All packets of one rate and duration are equally long, whatever is said, so that their sizes tell a
//! listener on the wire nothing; and no packet is left out in silence. Packets to decode may come from
//! a stranger: their length and the sound they claim are checked before anything is allocated.

use opus::{Application, Bitrate, Channels, Decoder, Encoder, SoftClip};

use crate::audio::{AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, FrameDuration};
use crate::error::{DecodeError, EncodeError};
use crate::raw::SAMPLE_RATE;

/// Longest packet made or taken, in bytes. At 60 ms this bounds the rate to 200 kbit/s.
pub const MAX_PACKET: usize = 1500;

/// Most samples in one packet, 120 ms, as RFC 6716 section 3.1 allows.
pub const MAX_SAMPLES: usize = SAMPLE_RATE as usize * 120 / 1000;

/// Lowest rate, in bits a second; lower ones are raised to it.
pub const MIN_BITRATE: u32 = 6_000;

/// Highest rate, in bits a second; higher ones are lowered to it.
pub const MAX_BITRATE: u32 = 256_000;

/// Opus makes sound of whole multiples of 2.5 ms.
const STEP: usize = SAMPLE_RATE as usize / 400;

/// What 10 of 10 costs is 1 % of a core; the quality at speech rates is worth it.
const COMPLEXITY: i32 = 10;

/// The Opus codec, token `opus`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opus;

impl AudioCodec for Opus {
    fn name(&self) -> &'static str {
        "opus"
    }

    fn encoder(&self, settings: &AudioSettings) -> Result<Box<dyn AudioEncoder>, EncodeError> {
        Ok(Box::new(OpusEncoder::new(settings)?))
    }

    fn decoder(&self) -> Result<Box<dyn AudioDecoder>, DecodeError> {
        Ok(Box::new(OpusDecoder::new()?))
    }
}

/// Encodes to Opus.
#[derive(Debug)]
pub struct OpusEncoder {
    encoder: Encoder,
    duration: FrameDuration,
    lookahead: usize,
    clean: Vec<f32>,
}

impl OpusEncoder {
    /// Makes an encoder. The rate is clamped to [`MIN_BITRATE`]..=[`MAX_BITRATE`].
    ///
    /// # Errors
    /// [`EncodeError::Codec`] when libopus cannot be set up, as when memory runs out.
    pub fn new(settings: &AudioSettings) -> Result<Self, EncodeError> {
        let failed = |error| encode_failed("setup", &error);
        let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Voip).map_err(failed)?;
        encoder.set_vbr(false).map_err(failed)?;
        encoder.set_dtx(false).map_err(failed)?;
        encoder.set_complexity(COMPLEXITY).map_err(failed)?;
        let lookahead = encoder.get_lookahead().map_err(failed)?.unsigned_abs() as usize;
        let mut this = Self { encoder, duration: settings.duration, lookahead, clean: Vec::new() };
        this.set_bitrate(settings.bits_per_second);
        Ok(this)
    }
}

impl AudioEncoder for OpusEncoder {
    fn encode(&mut self, pcm: &[f32], packet: &mut Vec<u8>) -> Result<(), EncodeError> {
        packet.clear();
        let expected = self.duration.samples();
        if pcm.len() != expected {
            return Err(EncodeError::FrameLength { expected, got: pcm.len() });
        }
        // One NaN would stay in the encoder's filters for good.
        let pcm = if pcm.iter().all(|sample| sample.is_finite()) {
            pcm
        } else {
            self.clean.clear();
            self.clean.extend(pcm.iter().map(|&sample| if sample.is_finite() { sample } else { 0.0 }));
            &self.clean
        };
        packet.resize(MAX_PACKET, 0);
        let length = self.encoder.encode_float(pcm, packet);
        packet.truncate(length.as_ref().map_or(0, |&length| length));
        length.map(|_| ()).map_err(|error| encode_failed("encode", &error))
    }

    fn set_bitrate(&mut self, bits_per_second: u32) {
        let rate = bits_per_second.clamp(MIN_BITRATE, MAX_BITRATE) as i32;
        // libopus takes every rate in this range.
        let _ = self.encoder.set_bitrate(Bitrate::Bits(rate));
    }

    fn set_duration(&mut self, duration: FrameDuration) {
        self.duration = duration;
    }

    fn duration(&self) -> FrameDuration {
        self.duration
    }

    fn set_expected_loss(&mut self, percent: u8) {
        let percent = percent.min(100);
        // libopus takes every value in these ranges.
        let _ = self.encoder.set_inband_fec(percent > 0);
        let _ = self.encoder.set_packet_loss_perc(i32::from(percent));
    }

    fn lookahead(&self) -> usize {
        self.lookahead
    }
}

/// Decodes Opus; stereo packets come out as mono.
#[derive(Debug)]
pub struct OpusDecoder {
    decoder: Decoder,
    clip: SoftClip,
}

impl OpusDecoder {
    /// Makes a decoder.
    ///
    /// # Errors
    /// [`DecodeError::Codec`] when libopus cannot be set up, as when memory runs out.
    pub fn new() -> Result<Self, DecodeError> {
        let failed = |error: opus::Error| DecodeError::Codec {
            codec: "opus",
            operation: "setup",
            code: error.code() as i64,
        };
        let decoder = Decoder::new(SAMPLE_RATE, Channels::Mono).map_err(failed)?;
        Ok(Self { decoder, clip: SoftClip::new(Channels::Mono) })
    }

    /// Lets libopus write up to `samples` at the end of `pcm`.
    fn append(
        &mut self,
        packet: &[u8],
        samples: usize,
        recover: bool,
        pcm: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let start = pcm.len();
        pcm.resize(start + samples, 0.0);
        match self.decoder.decode_float(packet, &mut pcm[start..], recover) {
            Ok(got) => {
                pcm.truncate(start + got.min(samples));
                // What is near full scale may come out beyond it.
                self.clip.apply(&mut pcm[start..]);
                Ok(())
            }
            Err(error) => {
                pcm.truncate(start);
                Err(damaged(&error))
            }
        }
    }
}

impl AudioDecoder for OpusDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        let samples = claimed(packet)?;
        self.append(packet, samples, false, pcm)
    }

    fn conceal(&mut self, samples: usize, pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        check_gap(samples)?;
        self.append(&[], samples, false, pcm)
    }

    fn recover(&mut self, next_packet: &[u8], samples: usize, pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        check_gap(samples)?;
        claimed(next_packet)?;
        self.append(next_packet, samples, true, pcm)
    }
}

/// The samples a packet claims to hold, or why it is refused.
fn claimed(packet: &[u8]) -> Result<usize, DecodeError> {
    if packet.is_empty() || packet.len() > MAX_PACKET {
        return Err(DecodeError::PacketLength { most: MAX_PACKET, got: packet.len() });
    }
    let frames = opus::packet::get_nb_frames(packet).map_err(|error| damaged(&error))?;
    let each = opus::packet::get_samples_per_frame(packet, SAMPLE_RATE).map_err(|error| damaged(&error))?;
    match frames * each {
        got if got > MAX_SAMPLES => Err(DecodeError::TooLong { most: MAX_SAMPLES, got }),
        got => Ok(got),
    }
}

fn check_gap(samples: usize) -> Result<(), DecodeError> {
    let fits = (STEP..=MAX_SAMPLES).contains(&samples) && samples.is_multiple_of(STEP);
    if fits { Ok(()) } else { Err(DecodeError::Gap { most: MAX_SAMPLES, step: STEP, got: samples }) }
}

fn damaged(error: &opus::Error) -> DecodeError {
    DecodeError::Damaged { codec: "opus", code: error.code() as i64 }
}

fn encode_failed(operation: &'static str, error: &opus::Error) -> EncodeError {
    EncodeError::Codec { codec: "opus", operation, code: error.code() as i64 }
}
