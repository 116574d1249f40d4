//! Sound that the program encodes and decodes itself.

use crate::callback::{UserData, kring_drop_fn};
use crate::codec::{Functions, Made, decode_error, encode_error};
use crate::error::{KRING_OK, guard};
use crate::media::{self, kring_media};
use crate::sized;
use kring::codec::{
    AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, DecodeError, EncodeError, FrameDuration,
};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// The longest packet of sound, in bytes.
pub const KRING_AUDIO_PACKET_SIZE: usize = 1000;
/// The most samples that one packet may hold: 120 ms.
pub const KRING_AUDIO_PACKET_SAMPLES: usize = 5760;

/// How sound is to be encoded; the library's, and good until the function returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_audio_settings {
    /// sizeof(kring_audio_settings) of the library.
    pub struct_size: u32,
    /// Length of a frame in ms: 10, 20, 40, 60 or 120. It may change from one frame to the next, as the network does.
    pub duration_ms: u32,
    /// Payload bits a second.
    pub bits_per_second: u32,
    /// How many packets get lost, in per cent, for codecs that can spend bits on recovery.
    pub expected_loss: u32,
}

/// A codec for sound of the program's own. Sound is mono, float from -1 to 1, 48,000 samples a second.
///
/// An encoder or decoder is used by one thread at a time; `user_data` by several at once. The functions may call functions of this header, but
/// must not wait for the call to end. Packets are encrypted with their length in plain sight: a codec whose packets have the same length
/// whatever is said gives nothing away.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_audio_codec {
    /// sizeof(kring_audio_codec).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Given to `encoder_new` and `decoder_new`.
    pub user_data: *mut c_void,
    /// The token by which ends agree on the codec: 1 to 16 of a-z, 0-9 and -. "opus" replaces the library's own.
    pub name: *const c_char,
    /// Makes an encoder. KRING_OK, or anything else if it cannot. NULL if the program only decodes with it: the library's own of that name
    /// encodes, or nothing.
    pub encoder_new: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            settings: *const kring_audio_settings,
            encoder: *mut *mut c_void,
        ) -> i32,
    >,
    /// Encodes one frame of `count` samples into `packet`, which has room for `capacity` bytes. KRING_OK, or anything else if it failed.
    pub encode: Option<
        unsafe extern "C" fn(
            encoder: *mut c_void,
            settings: *const kring_audio_settings,
            samples: *const f32,
            count: usize,
            packet: *mut u8,
            capacity: usize,
            length: *mut usize,
        ) -> i32,
    >,
    /// Frees an encoder.
    pub encoder_free: Option<unsafe extern "C" fn(encoder: *mut c_void)>,
    /// Makes a decoder; as `encoder_new`.
    pub decoder_new: Option<unsafe extern "C" fn(user_data: *mut c_void, decoder: *mut *mut c_void) -> i32>,
    /// Decodes a packet, which may come from anyone on the other side, into `samples`, which has room for `capacity`. KRING_OK, or anything else
    /// if it is damaged.
    pub decode: Option<
        unsafe extern "C" fn(
            decoder: *mut c_void,
            packet: *const u8,
            length: usize,
            samples: *mut f32,
            capacity: usize,
            count: *mut usize,
        ) -> i32,
    >,
    /// Makes up `count` samples from what came before, for a packet that is not there. NULL: silence.
    pub conceal: Option<unsafe extern "C" fn(decoder: *mut c_void, samples: *mut f32, count: usize) -> i32>,
    /// Frees a decoder.
    pub decoder_free: Option<unsafe extern "C" fn(decoder: *mut c_void)>,
    /// Frees user_data.
    pub drop_fn: kring_drop_fn,
}

sized::versioned!(kring_audio_codec, size_of::<kring_audio_codec>());

struct Codec(Arc<Functions<kring_audio_codec>>);

/// What there is besides the program's own.
fn built_in(name: &str) -> Option<Box<dyn AudioCodec>> {
    #[cfg(feature = "opus")]
    if name == "opus" {
        return Some(Box::new(kring::codec::Opus));
    }
    let _ = name;
    None
}

impl AudioCodec for Codec {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn encoder(&self, settings: &AudioSettings) -> Result<Box<dyn AudioEncoder>, EncodeError> {
        let name = self.0.name;
        let Some(new) = self.0.functions.encoder_new else {
            return built_in(name).ok_or(encode_error(name, "encoder_new", 0))?.encoder(settings);
        };
        let (duration, rate, loss) = (settings.duration, settings.bits_per_second, 0);
        let asked = asked(duration, rate, loss);
        // SAFETY: the header says so of this function and this pointer.
        let made =
            self.0.make(|data, made| unsafe { new(data, &asked, made) }, self.0.functions.encoder_free);
        let encoder = made.map_err(|code| encode_error(name, "encoder_new", code))?;
        Ok(Box::new(Encoder { codec: self.0.clone(), encoder, duration, rate, loss }))
    }

    fn decoder(&self) -> Result<Box<dyn AudioDecoder>, DecodeError> {
        let name = self.0.name;
        let Some(new) = self.0.functions.decoder_new else {
            return built_in(name).ok_or(decode_error(name, "decoder_new", 0))?.decoder();
        };
        // SAFETY: the header says so of this function and this pointer.
        let made = self.0.make(|data, made| unsafe { new(data, made) }, self.0.functions.decoder_free);
        let made = made.map_err(|code| decode_error(name, "decoder_new", code))?;
        Ok(Box::new(Decoder { codec: self.0.clone(), decoder: made }))
    }
}

fn asked(duration: FrameDuration, rate: u32, loss: u8) -> kring_audio_settings {
    kring_audio_settings {
        struct_size: size_of::<kring_audio_settings>() as u32,
        duration_ms: duration.milliseconds(),
        bits_per_second: rate,
        expected_loss: loss.into(),
    }
}

struct Encoder {
    /// Before the functions, as it is freed by one of them before their data is dropped.
    encoder: Made,
    codec: Arc<Functions<kring_audio_codec>>,
    duration: FrameDuration,
    rate: u32,
    loss: u8,
}

impl AudioEncoder for Encoder {
    fn encode(&mut self, pcm: &[f32], packet: &mut Vec<u8>) -> Result<(), EncodeError> {
        packet.clear();
        let expected = self.duration.samples();
        if pcm.len() != expected {
            return Err(EncodeError::FrameLength { expected, got: pcm.len() });
        }
        let name = self.codec.name;
        let encode = self.codec.functions.encode.ok_or(encode_error(name, "encode", 0))?;
        let asked = asked(self.duration, self.rate, self.loss);
        packet.resize(KRING_AUDIO_PACKET_SIZE, 0);
        let mut length = 0;
        // SAFETY: the header says so of this function and this pointer; lengths are as is said.
        let code = unsafe {
            encode(
                self.encoder.pointer,
                &asked,
                pcm.as_ptr(),
                pcm.len(),
                packet.as_mut_ptr(),
                packet.len(),
                &mut length,
            )
        };
        if code == KRING_OK && length <= packet.len() {
            packet.truncate(length);
            return Ok(());
        }
        packet.clear();
        Err(encode_error(name, "encode", code))
    }

    fn set_bitrate(&mut self, bits_per_second: u32) {
        self.rate = bits_per_second;
    }

    fn set_duration(&mut self, duration: FrameDuration) {
        self.duration = duration;
    }

    fn duration(&self) -> FrameDuration {
        self.duration
    }

    fn set_expected_loss(&mut self, percent: u8) {
        self.loss = percent.min(100);
    }

    fn lookahead(&self) -> usize {
        0
    }
}

struct Decoder {
    /// Before the functions, as it is freed by one of them before their data is dropped.
    decoder: Made,
    codec: Arc<Functions<kring_audio_codec>>,
}

impl AudioDecoder for Decoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        let name = self.codec.name;
        let decode = self.codec.functions.decode.ok_or(decode_error(name, "decode", 0))?;
        let before = pcm.len();
        pcm.resize(before + KRING_AUDIO_PACKET_SAMPLES, 0.0);
        let mut count = 0;
        // SAFETY: the header says so of this function and this pointer; lengths are as is said.
        let code = unsafe {
            let to = pcm.as_mut_ptr().add(before);
            decode(
                self.decoder.pointer,
                packet.as_ptr(),
                packet.len(),
                to,
                KRING_AUDIO_PACKET_SAMPLES,
                &mut count,
            )
        };
        let well = code == KRING_OK && count <= KRING_AUDIO_PACKET_SAMPLES;
        pcm.truncate(before + if well { count } else { 0 });
        if well { Ok(()) } else { Err(DecodeError::Damaged { codec: name, code: code.into() }) }
    }

    fn conceal(&mut self, samples: usize, pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        let before = pcm.len();
        pcm.resize(before + samples, 0.0);
        let Some(conceal) = self.codec.functions.conceal else { return Ok(()) };
        // SAFETY: the header says so of this function and this pointer; there is room for so many.
        match unsafe { conceal(self.decoder.pointer, pcm.as_mut_ptr().add(before), samples) } {
            KRING_OK => Ok(()),
            code => {
                pcm.truncate(before);
                Err(decode_error(self.codec.name, "conceal", code))
            }
        }
    }

    fn recover(&mut self, _: &[u8], _: usize, samples: usize, pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        self.conceal(samples, pcm)
    }
}

/// Prefers this codec for sound over those set before. `drop_fn` is called when the call is over, and also if this fails, unless `codec` cannot
/// be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_audio_codec(media: kring_media, codec: *const kring_audio_codec) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let functions = unsafe { sized::read(codec) }?;
        let data = UserData::new(functions.user_data, functions.drop_fn);
        let halves = [
            (functions.encoder_new.is_some(), functions.encode.is_some()),
            (functions.decoder_new.is_some(), functions.decode.is_some()),
        ];
        // SAFETY: the caller's promise.
        let codec = Codec(unsafe { Functions::new(functions, functions.name, data, halves) }?);
        media::set(media, |media| media.audio_codec(codec))
    })
}
