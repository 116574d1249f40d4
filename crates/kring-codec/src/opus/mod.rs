//! Opus (RFC 6716) by libopus: mono, 48 kHz, constant bit rate.
//!
//! All packets of one rate and duration are equally long, whatever is said, so that their sizes tell a
//! listener on the wire nothing; and no packet is left out in silence. Packets to decode may come from
//! a stranger: their length and the sound they claim are checked before anything is allocated.

mod raw;

use std::time::Duration;

use opus::{Channels, SoftClip};
use opusic_sys as ffi;

use self::raw::{Code, RawDecoder, RawEncoder};

use crate::audio::{AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, FrameDuration};
use crate::error::{DecodeError, EncodeError};
use crate::raw::SAMPLE_RATE;

/// Longest packet made or taken, in bytes. At 120 ms this bounds the rate to 100 kbit/s.
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

/// The farthest that deep redundancy reaches back, in frames of 10 ms.
const MAX_DEEP: u128 = 100;

/// From 5 on concealment is by a neural model, if libopus has one.
const DECODER_COMPLEXITY: i32 = 5;

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
    encoder: RawEncoder,
    duration: FrameDuration,
    lookahead: usize,
    expected_loss: u8,
    deep_frames: i32,
    clean: Vec<f32>,
}

impl OpusEncoder {
    /// Makes an encoder. The rate is clamped to [`MIN_BITRATE`]..=[`MAX_BITRATE`].
    ///
    /// # Errors
    /// [`EncodeError::Codec`] when libopus cannot be set up, as when memory runs out.
    pub fn new(settings: &AudioSettings) -> Result<Self, EncodeError> {
        let failed = |code| encode_failed("setup", code);
        let mut encoder = RawEncoder::new().map_err(failed)?;
        for (request, value) in [
            (ffi::OPUS_SET_VBR_REQUEST, 0),
            (ffi::OPUS_SET_DTX_REQUEST, 0),
            (ffi::OPUS_SET_COMPLEXITY_REQUEST, COMPLEXITY),
        ] {
            encoder.set(request, value).map_err(failed)?;
        }
        let lookahead = encoder.lookahead().map_err(failed)?;
        let mut this = Self {
            encoder,
            duration: settings.duration,
            lookahead,
            expected_loss: 0,
            deep_frames: 0,
            clean: Vec::new(),
        };
        this.set_bitrate(settings.bits_per_second);
        Ok(this)
    }
}

impl OpusEncoder {
    /// Provides for loss by one of two ways: deep redundancy if it is asked for, else in-band FEC.
    fn provide(&mut self) {
        let fec = self.expected_loss > 0 && self.deep_frames == 0;
        // libopus takes every value in these ranges; built without deep redundancy it refuses that, and there is none.
        let _ = self.encoder.set(ffi::OPUS_SET_INBAND_FEC_REQUEST, i32::from(fec));
        let _ = self.encoder.set(ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, self.expected_loss.into());
        let _ = self.encoder.set(ffi::OPUS_SET_DRED_DURATION_REQUEST, self.deep_frames);
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
        let length = self.encoder.encode(pcm, packet);
        packet.truncate(length.as_ref().map_or(0, |&length| length));
        length.map(|_| ()).map_err(|code| encode_failed("encode", code))
    }

    fn set_bitrate(&mut self, bits_per_second: u32) {
        let rate = bits_per_second.clamp(MIN_BITRATE, MAX_BITRATE) as i32;
        // libopus takes every rate in this range.
        let _ = self.encoder.set(ffi::OPUS_SET_BITRATE_REQUEST, rate);
    }

    fn set_duration(&mut self, duration: FrameDuration) {
        self.duration = duration;
    }

    fn duration(&self) -> FrameDuration {
        self.duration
    }

    fn set_expected_loss(&mut self, percent: u8) {
        self.expected_loss = percent.min(100);
        self.provide();
    }

    fn set_deep_redundancy(&mut self, reach: Duration) {
        self.deep_frames = (reach.as_millis() / 10).min(MAX_DEEP) as i32;
        self.provide();
    }

    fn lookahead(&self) -> usize {
        self.lookahead
    }
}

/// Decodes Opus; stereo packets come out as mono.
#[derive(Debug)]
pub struct OpusDecoder {
    decoder: RawDecoder,
    #[cfg(feature = "opus-deep")]
    redundancy: raw::Redundancy,
    clip: SoftClip,
}

impl OpusDecoder {
    /// Makes a decoder.
    ///
    /// # Errors
    /// [`DecodeError::Codec`] when libopus cannot be set up, as when memory runs out.
    pub fn new() -> Result<Self, DecodeError> {
        let failed = |code: Code| DecodeError::Codec { codec: "opus", operation: "setup", code: code.into() };
        Ok(Self {
            decoder: RawDecoder::new(DECODER_COMPLEXITY).map_err(failed)?,
            #[cfg(feature = "opus-deep")]
            redundancy: raw::Redundancy::new().map_err(failed)?,
            clip: SoftClip::new(Channels::Mono),
        })
    }

    /// Lets libopus write up to `samples` at the end of `pcm`.
    fn append(
        &mut self,
        samples: usize,
        pcm: &mut Vec<f32>,
        decode: impl FnOnce(&mut Self, &mut [f32]) -> Result<usize, Code>,
    ) -> Result<(), DecodeError> {
        let start = pcm.len();
        pcm.resize(start + samples, 0.0);
        match decode(self, &mut pcm[start..]) {
            Ok(got) => {
                pcm.truncate(start + got);
                // What is near full scale may come out beyond it.
                self.clip.apply(&mut pcm[start..]);
                Ok(())
            }
            Err(code) => {
                pcm.truncate(start);
                Err(DecodeError::Damaged { codec: "opus", code: code.into() })
            }
        }
    }

    /// What lies `apart` samples before `next_packet`, if deep redundancy in it covers that.
    #[cfg(feature = "opus-deep")]
    fn deep(&mut self, next_packet: &[u8], apart: usize, samples: usize, pcm: &mut Vec<f32>) -> bool {
        match self.redundancy.parse(next_packet, apart) {
            // Its resolution is 20 ms; where it tells of silence it may end early.
            Some((begin, _)) if begin + 8 * STEP >= apart => {
                let decode =
                    |this: &mut Self, pcm: &mut [f32]| this.decoder.decode_deep(&this.redundancy, apart, pcm);
                self.append(samples, pcm, decode).is_ok()
            }
            _ => false,
        }
    }

    #[cfg(not(feature = "opus-deep"))]
    fn deep(&mut self, _next_packet: &[u8], _apart: usize, _samples: usize, _pcm: &mut Vec<f32>) -> bool {
        false
    }
}

impl AudioDecoder for OpusDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        let samples = claimed(packet)?;
        self.append(samples, pcm, |this, pcm| this.decoder.decode(packet, false, pcm))
    }

    fn conceal(&mut self, samples: usize, pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        check_gap(samples)?;
        self.append(samples, pcm, |this, pcm| this.decoder.decode(&[], false, pcm))
    }

    fn reach(&mut self, packet: &[u8]) -> usize {
        let Ok(samples) = claimed(packet) else { return 0 };
        let fec = if raw::has_fec(packet) { samples } else { 0 };
        #[cfg(feature = "opus-deep")]
        let fec = self.redundancy.parse(packet, MAX_SAMPLES * 8).map_or(fec, |(begin, _)| begin.max(fec));
        fec
    }

    fn recover(
        &mut self,
        next_packet: &[u8],
        apart: usize,
        samples: usize,
        pcm: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        check_gap(samples)?;
        claimed(next_packet)?;
        let right_before = apart.abs_diff(samples) < STEP;
        if right_before && raw::has_fec(next_packet) {
            return self.append(samples, pcm, |this, pcm| this.decoder.decode(next_packet, true, pcm));
        }
        if self.deep(next_packet, apart.max(samples), samples, pcm) {
            return Ok(());
        }
        self.conceal(samples, pcm)
    }
}

/// The samples a packet claims to hold, or why it is refused.
fn claimed(packet: &[u8]) -> Result<usize, DecodeError> {
    if packet.is_empty() || packet.len() > MAX_PACKET {
        return Err(DecodeError::PacketLength { most: MAX_PACKET, got: packet.len() });
    }
    let frames = opus::packet::get_nb_frames(packet).map_err(damaged)?;
    let each = opus::packet::get_samples_per_frame(packet, SAMPLE_RATE).map_err(damaged)?;
    match frames * each {
        got if got > MAX_SAMPLES => Err(DecodeError::TooLong { most: MAX_SAMPLES, got }),
        got => Ok(got),
    }
}

fn check_gap(samples: usize) -> Result<(), DecodeError> {
    let fits = (STEP..=MAX_SAMPLES).contains(&samples) && samples.is_multiple_of(STEP);
    if fits { Ok(()) } else { Err(DecodeError::Gap { most: MAX_SAMPLES, step: STEP, got: samples }) }
}

fn damaged(error: opus::Error) -> DecodeError {
    DecodeError::Damaged { codec: "opus", code: error.code() as i64 }
}

fn encode_failed(operation: &'static str, code: Code) -> EncodeError {
    EncodeError::Codec { codec: "opus", operation, code: code.into() }
}
