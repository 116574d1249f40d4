//! Pictures that the program encodes and decodes itself, say by the machine's own hardware.

use crate::callback::{UserData, kring_drop_fn};
use crate::codec::{Functions, Made, decode_error, encode_error};
use crate::error::{KRING_ERROR_STATE, KRING_OK, guard};
use crate::media::{self, KRING_CONTENT_CAMERA, KRING_CONTENT_SCREEN, KRING_CONTENT_SIGN, kring_media};
use crate::picture::{KRING_PIXELS_I420, kring_picture};
use crate::sized;
use kring::codec::{
    ContentHint, DecodeError, Decoded, EncodeError, EncodedVideo, Picture, Recovery, VideoCodec,
    VideoDecoder, VideoEncoder, VideoSettings,
};
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// The longest encoded picture, in bytes.
pub const KRING_ENCODED_SIZE: usize = 4 << 20;

/// How pictures are to be encoded; the library's, and good until the function returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_video_settings {
    /// sizeof(kring_video_settings) of the library.
    pub struct_size: u32,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Bits a second to aim for.
    pub bits_per_second: u32,
    /// Pictures a second.
    pub frames_per_second: f32,
    /// A KRING_CONTENT_ value.
    pub content: u32,
    /// Temporal layers, 1 to 3.
    pub temporal_layers: u32,
    /// 0.
    pub reserved: u32,
}

/// It decodes without any picture before it.
pub const KRING_ENCODED_KEYFRAME: u32 = 1;
/// No later picture builds on it: it may be dropped without harm to others.
pub const KRING_ENCODED_DISCARDABLE: u32 = 2;

/// One encoded picture, filled by the program; its bytes are the program's and stay until the next call with that encoder.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_encoded {
    /// sizeof(kring_encoded) of the library.
    pub struct_size: u32,
    /// A sum of KRING_ENCODED_ values.
    pub flags: u32,
    /// The number that this picture has, by the library: it counts what the encoder put out, from 0.
    pub number: u32,
    /// The number of the picture that this one builds on, unless it is a keyframe: the one before, unless something else is written.
    pub refers_to: u32,
    /// Temporal layer, 0 being the base.
    pub temporal_layer: u32,
    /// 0.
    pub reserved: u32,
    /// One access unit; H.264 as in Annex B. NULL: the picture was skipped to hold the rate.
    pub data: *const u8,
    /// Its length, at most KRING_ENCODED_SIZE.
    pub length: usize,
}

/// The next picture has to be a keyframe.
pub const KRING_RECOVERY_KEYFRAME: u32 = 0;
/// What comes next refers to pictures that the peer has.
pub const KRING_RECOVERY_REFERENCE: u32 = 1;

/// A codec for pictures of the program's own.
///
/// An encoder or decoder is used by one thread at a time; `user_data` by several at once. The functions may call functions of this header, but
/// must not wait for the call to end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_video_codec {
    /// sizeof(kring_video_codec).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Given to `encoder_new` and `decoder_new`.
    pub user_data: *mut c_void,
    /// The token by which ends agree on the codec: 1 to 16 of a-z, 0-9 and -. "h264" replaces the library's own.
    pub name: *const c_char,
    /// Makes an encoder. KRING_OK, or anything else if it cannot. NULL if the program only decodes with it: the library's own of that name
    /// encodes, or nothing.
    pub encoder_new: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            settings: *const kring_video_settings,
            encoder: *mut *mut c_void,
        ) -> i32,
    >,
    /// Encodes a picture that was captured `at_us` µs after the track's start; as a keyframe if `keyframe` is not 0. A picture of another size than
    /// before begins anew with a keyframe. KRING_OK, or anything else if it failed. A program whose pictures are encoded elsewhere need not look at
    /// `picture`: the source gives the beat.
    pub encode: Option<
        unsafe extern "C" fn(
            encoder: *mut c_void,
            picture: *const kring_picture,
            at_us: u64,
            keyframe: u32,
            encoded: *mut kring_encoded,
        ) -> i32,
    >,
    /// Changes the rates from the next picture on, without a keyframe. NULL: the rate cannot be changed.
    pub set_rate: Option<
        unsafe extern "C" fn(encoder: *mut c_void, bits_per_second: u32, frames_per_second: f32) -> i32,
    >,
    /// The peer has decoded the picture of that number. May be NULL.
    pub acknowledged: Option<unsafe extern "C" fn(encoder: *mut c_void, number: u32)>,
    /// The peer cannot decode what refers to pictures after `last_good` (if `any_good` is not 0; else to any). Gives a KRING_RECOVERY_ value. NULL:
    /// the next picture is a keyframe.
    pub lost: Option<unsafe extern "C" fn(encoder: *mut c_void, any_good: u32, last_good: u32) -> u32>,
    /// Frees an encoder.
    pub encoder_free: Option<unsafe extern "C" fn(encoder: *mut c_void)>,
    /// Makes a decoder; as `encoder_new`.
    pub decoder_new: Option<unsafe extern "C" fn(user_data: *mut c_void, decoder: *mut *mut c_void) -> i32>,
    /// Decodes an access unit, which may come from anyone on the other side. What it shows goes to `picture` (KRING_PIXELS_I420 or KRING_PIXELS_NV12),
    /// whose pixels stay until the next call with that decoder; they are copied, once. KRING_OK, also with `y` left at NULL: there is no picture
    /// yet. KRING_ERROR_STATE: one before it is missing, and only a keyframe helps. Anything else: it is damaged.
    pub decode: Option<
        unsafe extern "C" fn(
            decoder: *mut c_void,
            data: *const u8,
            length: usize,
            picture: *mut kring_picture,
        ) -> i32,
    >,
    /// Frees a decoder.
    pub decoder_free: Option<unsafe extern "C" fn(decoder: *mut c_void)>,
    /// Frees user_data.
    pub drop_fn: kring_drop_fn,
}

sized::versioned!(kring_video_codec, size_of::<kring_video_codec>());

struct Codec(Arc<Functions<kring_video_codec>>);

/// What there is besides the program's own.
fn built_in(name: &str) -> Option<Box<dyn VideoCodec>> {
    #[cfg(feature = "h264")]
    if name == "h264" {
        return Some(Box::new(kring::codec::H264));
    }
    let _ = name;
    None
}

fn settings(settings: &VideoSettings) -> kring_video_settings {
    kring_video_settings {
        struct_size: size_of::<kring_video_settings>() as u32,
        width: settings.width,
        height: settings.height,
        bits_per_second: settings.bits_per_second,
        frames_per_second: settings.frames_per_second,
        content: match settings.content {
            ContentHint::Screen => KRING_CONTENT_SCREEN,
            ContentHint::Sign => KRING_CONTENT_SIGN,
            _ => KRING_CONTENT_CAMERA,
        },
        temporal_layers: settings.temporal_layers.into(),
        reserved: 0,
    }
}

impl VideoCodec for Codec {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn encoder(&self, wanted: &VideoSettings) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        let name = self.0.name;
        let Some(new) = self.0.functions.encoder_new else {
            return built_in(name).ok_or(encode_error(name, "encoder_new", 0))?.encoder(wanted);
        };
        let asked = settings(wanted);
        // SAFETY: the header says so of this function and this pointer.
        let made =
            self.0.make(|data, made| unsafe { new(data, &asked, made) }, self.0.functions.encoder_free);
        let encoder = made.map_err(|code| encode_error(name, "encoder_new", code))?;
        Ok(Box::new(Encoder { codec: self.0.clone(), encoder, settings: *wanted, number: 0 }))
    }

    fn decoder(&self) -> Result<Box<dyn VideoDecoder>, DecodeError> {
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

struct Encoder {
    /// Before the functions, as it is freed by one of them before their data is dropped.
    encoder: Made,
    codec: Arc<Functions<kring_video_codec>>,
    settings: VideoSettings,
    number: u32,
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        keyframe: bool,
    ) -> Result<Option<EncodedVideo>, EncodeError> {
        let name = self.codec.name;
        let encode = self.codec.functions.encode.ok_or(encode_error(name, "encode", 0))?;
        (self.settings.width, self.settings.height) = (picture.width(), picture.height());
        let lent = kring_picture::lend(picture);
        let mut encoded = kring_encoded {
            struct_size: size_of::<kring_encoded>() as u32,
            flags: 0,
            number: self.number,
            refers_to: self.number.wrapping_sub(1),
            temporal_layer: 0,
            reserved: 0,
            data: std::ptr::null(),
            length: 0,
        };
        // SAFETY: the header says so of this function and this pointer; the planes are as long as is said.
        let code = unsafe {
            encode(self.encoder.pointer, &lent, at.as_micros() as u64, keyframe.into(), &mut encoded)
        };
        if code != KRING_OK || encoded.length > KRING_ENCODED_SIZE {
            return Err(encode_error(name, "encode", code));
        }
        if encoded.data.is_null() || encoded.length == 0 {
            return Ok(None);
        }
        // SAFETY: the header says that so many bytes are there until the next call.
        let data = unsafe { std::slice::from_raw_parts(encoded.data, encoded.length) }.to_vec();
        let is = |flag| encoded.flags & flag != 0;
        let number = self.number;
        self.number = number.wrapping_add(1);
        Ok(Some(EncodedVideo {
            data,
            number,
            refers_to: (!is(KRING_ENCODED_KEYFRAME)).then_some(encoded.refers_to),
            keyframe: is(KRING_ENCODED_KEYFRAME),
            discardable: is(KRING_ENCODED_DISCARDABLE),
            temporal_layer: encoded.temporal_layer.min(7) as u8,
            spatial_layer: 0,
        }))
    }

    fn set_rate(&mut self, bits_per_second: u32, frames_per_second: f32) -> Result<(), EncodeError> {
        if let Some(set_rate) = self.codec.functions.set_rate {
            // SAFETY: the header says so of this function and this pointer.
            match unsafe { set_rate(self.encoder.pointer, bits_per_second, frames_per_second) } {
                KRING_OK => {}
                code => return Err(encode_error(self.codec.name, "set_rate", code)),
            }
        }
        (self.settings.bits_per_second, self.settings.frames_per_second) =
            (bits_per_second, frames_per_second);
        Ok(())
    }

    fn acknowledged(&mut self, picture: u32) {
        if let Some(acknowledged) = self.codec.functions.acknowledged {
            // SAFETY: the header says so of this function and this pointer.
            unsafe { acknowledged(self.encoder.pointer, picture) };
        }
    }

    fn lost(&mut self, last_good: Option<u32>) -> Recovery {
        let Some(lost) = self.codec.functions.lost else { return Recovery::Keyframe };
        // SAFETY: the header says so of this function and this pointer.
        match unsafe { lost(self.encoder.pointer, last_good.is_some().into(), last_good.unwrap_or(0)) } {
            KRING_RECOVERY_REFERENCE => Recovery::Reference,
            _ => Recovery::Keyframe,
        }
    }

    fn settings(&self) -> &VideoSettings {
        &self.settings
    }
}

struct Decoder {
    /// Before the functions, as it is freed by one of them before their data is dropped.
    decoder: Made,
    codec: Arc<Functions<kring_video_codec>>,
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, data: &[u8], picture: &mut Picture) -> Result<Decoded, DecodeError> {
        let name = self.codec.name;
        let decode = self.codec.functions.decode.ok_or(decode_error(name, "decode", 0))?;
        let mut shown = kring_picture {
            struct_size: size_of::<kring_picture>() as u32,
            pixels: KRING_PIXELS_I420,
            width: 0,
            height: 0,
            y: std::ptr::null(),
            u: std::ptr::null(),
            v: std::ptr::null(),
            y_stride: 0,
            u_stride: 0,
            v_stride: 0,
        };
        // SAFETY: the header says so of this function and this pointer; the length is as is said.
        match unsafe { decode(self.decoder.pointer, data.as_ptr(), data.len(), &mut shown) } {
            KRING_OK if shown.y.is_null() => Ok(Decoded::Nothing),
            KRING_OK => {
                Picture::check_size(shown.width, shown.height)?;
                // SAFETY: the header says that the planes stay until the next call.
                match unsafe { shown.copy_to(picture) } {
                    Ok(()) => Ok(Decoded::Picture),
                    Err(failure) => Err(decode_error(name, "decode", failure.code)),
                }
            }
            KRING_ERROR_STATE => Err(DecodeError::NeedsKeyframe),
            code => Err(DecodeError::Damaged { codec: name, code: code.into() }),
        }
    }
}

/// Prefers this codec for pictures over those set before. `drop_fn` is called when the call is over, and also if this fails, unless `codec` cannot
/// be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_video_codec(media: kring_media, codec: *const kring_video_codec) -> i32 {
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
        media::set(media, |media| media.video_codec(codec))
    })
}
