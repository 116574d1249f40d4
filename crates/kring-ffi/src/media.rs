//! What one side brings to a call: its sources, its sinks, and what it consents to.

use crate::error::{Failure, KRING_ERROR_STATE, KRING_ERROR_UNSUPPORTED, guard};
use crate::{handle, text};
use kring::Media;
use kring::capture::{
    Consent, Kind, NullSpeaker, NullView, TestCard, Tone, VideoFormat, WavSource, WavSpeaker, Y4mSource,
    Y4mView,
};
use kring::codec::{ContentHint, FrameDuration};
use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};

/// What one side sends in a call and where it plays what comes. Everything is optional. Answering or dialling with it uses it up. One thread at a
/// time works with it, else KRING_ERROR_STATE.
pub type kring_media = u64;

/// What a `kring_media` stands for.
pub(crate) struct MediaObject(Mutex<Slot>);

enum Slot {
    Ready(Box<Media>),
    /// A function works with it. Nothing is locked meanwhile: what it replaces drops data of the program's, which may call back.
    Busy,
    Used,
}

impl MediaObject {
    fn replace(&self, with: Slot) -> Result<Media, Failure> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Used) {
            Slot::Ready(media) => {
                *slot = with;
                Ok(*media)
            }
            Slot::Busy => {
                *slot = Slot::Busy;
                Err(Failure::new(KRING_ERROR_STATE, "another function works with this media"))
            }
            Slot::Used => Err(Failure::ended("this media")),
        }
    }
}

/// To no device: enough for files, tones and test cards.
pub const KRING_CONSENT_NOTHING: u32 = 0;
/// To microphones.
pub const KRING_CONSENT_MICROPHONE: u32 = 1;
/// To cameras.
pub const KRING_CONSENT_CAMERA: u32 = 2;
/// To screens.
pub const KRING_CONSENT_SCREEN: u32 = 4;

/// The id of the voice's track.
pub const KRING_TRACK_MICROPHONE: u32 = 0;
/// The id of the track of pictures.
pub const KRING_TRACK_CAMERA: u32 = 1;

/// People and rooms: motion and sharpness in balance.
pub const KRING_CONTENT_CAMERA: u32 = 0;
/// Text and drawings: sharpness over motion.
pub const KRING_CONTENT_SCREEN: u32 = 1;
/// Sign language: motion over sharpness.
pub const KRING_CONTENT_SIGN: u32 = 2;

/// What a build without `feature` answers.
pub(crate) fn unsupported(what: &str, feature: &str) -> Failure {
    Failure::new(
        KRING_ERROR_UNSUPPORTED,
        format!("expected a library built with the feature \"{feature}\" {what}, got one without"),
    )
}

/// Takes what is to be used in a call; the handle is used up.
pub(crate) fn take(media: kring_media) -> Result<Media, Failure> {
    handle::take::<MediaObject>(media)?.replace(Slot::Used)
}

/// Changes what is not used yet.
pub(crate) fn set(media: kring_media, change: impl FnOnce(Media) -> Media) -> Result<(), Failure> {
    let object = handle::get::<MediaObject>(media)?;
    let changed = change(object.replace(Slot::Busy)?);
    *object.0.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Ready(Box::new(changed));
    Ok(())
}

/// What a person has consented to, before the call or in it: `consent` is a sum of KRING_CONSENT_ values. A source that needs a device
/// that is not among them does not start. Nothing that comes over the network can consent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_new(consent: u32, media: *mut kring_media) -> i32 {
    guard(|| {
        let all = [
            (KRING_CONSENT_MICROPHONE, Kind::Microphone),
            (KRING_CONSENT_CAMERA, Kind::Camera),
            (KRING_CONSENT_SCREEN, Kind::Screen),
        ];
        let unknown = all.iter().fold(consent, |left, (flag, _)| left & !flag);
        if unknown != 0 {
            return Err(Failure::argument(format!(
                "expected a sum of KRING_CONSENT_ values, got {consent:#x}"
            )));
        }
        let kinds = all.iter().filter(|(flag, _)| consent & flag != 0).map(|(_, kind)| *kind);
        let new = Media::new(Consent::to(kinds));
        // SAFETY: the caller's promise.
        unsafe { handle::write(media, Arc::new(MediaObject(Mutex::new(Slot::Ready(Box::new(new)))))) }
    })
}

/// Lets go of media that was not used.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_free(media: kring_media) -> i32 {
    guard(|| handle::take::<MediaObject>(media).map(drop))
}

/// How this side wants to be called, at most 64 characters. The other side sees it, and that nobody has checked it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_name(media: kring_media, name: *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let name = unsafe { text::get(name, "a name") }?;
        set(media, |media| media.name(name))
    })
}

/// The most that sound and pictures together may take, in bit/s, 24,000 to 20,000,000. Default 2,000,000.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_max_rate(media: kring_media, bits_per_second: u32) -> i32 {
    guard(|| set(media, |media| media.max_rate(bits_per_second)))
}

/// How much sound goes into a packet, come what may: 10, 20, 40, 60 or 120 ms. By default it follows the network.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_frame_duration(media: kring_media, milliseconds: u32) -> i32 {
    guard(|| {
        let duration =
            FrameDuration::ALL.into_iter().find(|duration| duration.milliseconds() == milliseconds);
        let expected = || Failure::argument(format!("expected 10, 20, 40, 60 or 120 ms, got {milliseconds}"));
        let duration = duration.ok_or_else(expected)?;
        set(media, |media| media.frame_duration(duration))
    })
}

/// What the pictures are like: a KRING_CONTENT_ value.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_content(media: kring_media, content: u32) -> i32 {
    guard(|| {
        let content = match content {
            KRING_CONTENT_CAMERA => ContentHint::Camera,
            KRING_CONTENT_SCREEN => ContentHint::Screen,
            KRING_CONTENT_SIGN => ContentHint::Sign,
            other => return Err(Failure::argument(format!("expected a KRING_CONTENT_ value, got {other}"))),
        };
        set(media, |media| media.content(content))
    })
}

/// Says (not 0) that a sink records, so that the other side is told before the first sample is kept.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_recording(media: kring_media, on: u32) -> i32 {
    guard(|| set(media, |media| media.recording(on != 0)))
}

/// Sends a steady tone: 20 to 20,000 Hz, -120 to 0 dB of full scale.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_microphone_tone(media: kring_media, hertz: f64, dbfs: f64) -> i32 {
    guard(|| {
        if !hertz.is_finite() || !dbfs.is_finite() {
            return Err(Failure::argument(format!("expected numbers, got {hertz} Hz and {dbfs} dB")));
        }
        set(media, |media| media.microphone(Tone::new().frequency(hertz).level(dbfs)))
    })
}

/// Sends a WAV file, from its beginning when the call connects, again and again if `repeat` is not 0.
///
/// KRING_ERROR_SOURCE if it cannot be played.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_microphone_wav(
    media: kring_media,
    path: *const c_char,
    repeat: u32,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let source = WavSource::open(unsafe { text::get(path, "a path") }?)?.repeat(repeat != 0);
        set(media, |media| media.microphone(source))
    })
}

/// Sends what a microphone of this machine takes in: by its name, a part of its name or its id; NULL for the default one. Opened when the
/// call is answered, by KRING_CONSENT_MICROPHONE only.
///
/// KRING_ERROR_SOURCE if there is none; KRING_ERROR_UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_microphone_device(media: kring_media, name: *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let name = unsafe { text::get_optional(name, "a name") }?;
        #[cfg(feature = "audio-io")]
        {
            let microphone = kring::capture::Microphone::find(name)?;
            set(media, |media| media.microphone(microphone))
        }
        #[cfg(not(feature = "audio-io"))]
        no_device(media, name, "for microphones", "audio-io")
    })
}

/// Sends a test card of that size (even, 2 to 8192) and rate, which counts its pictures.
///
/// KRING_ERROR_SOURCE if it cannot be drawn.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_camera_test_card(
    media: kring_media,
    width: u32,
    height: u32,
    frames_per_second: f32,
) -> i32 {
    guard(|| {
        let source = TestCard::new(width, height, frames_per_second)?;
        set(media, |media| media.camera(source))
    })
}

/// Sends a Y4M file, as kring_media_microphone_wav does a WAV file.
///
/// KRING_ERROR_SOURCE if it cannot be shown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_camera_y4m(media: kring_media, path: *const c_char, repeat: u32) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let source = Y4mSource::open(unsafe { text::get(path, "a path") }?)?.repeat(repeat != 0);
        set(media, |media| media.camera(source))
    })
}

/// Sends what a camera of this machine takes in, in that size and rate or a lower rate: by its number, its name or a part of its name; NULL
/// for the first. Opened when the call is answered, by KRING_CONSENT_CAMERA only.
///
/// KRING_ERROR_SOURCE if there is none; KRING_ERROR_UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_camera_device(
    media: kring_media,
    name: *const c_char,
    width: u32,
    height: u32,
    frames_per_second: f32,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let name = unsafe { text::get_optional(name, "a name") }?;
        let format = format(width, height, frames_per_second)?;
        #[cfg(feature = "camera")]
        {
            let camera = kring::capture::Camera::find(name, format)?;
            set(media, |media| media.camera(camera))
        }
        #[cfg(not(feature = "camera"))]
        {
            let _ = format;
            no_device(media, name, "for cameras", "camera")
        }
    })
}

/// What a build without devices says of one.
#[cfg(not(all(feature = "audio-io", feature = "camera")))]
fn no_device(media: kring_media, name: Option<&str>, what: &str, feature: &str) -> Result<(), Failure> {
    let _ = name;
    handle::get::<MediaObject>(media)?;
    Err(unsupported(what, feature))
}

/// A size and rate that pictures can have.
pub(crate) fn format(width: u32, height: u32, frames_per_second: f32) -> Result<VideoFormat, Failure> {
    kring::codec::Picture::check_size(width, height)?;
    if !(1.0..=240.0).contains(&frames_per_second) {
        return Err(Failure::argument(format!(
            "expected 1 to 240 pictures a second, got {frames_per_second}"
        )));
    }
    Ok(VideoFormat::new(width, height, frames_per_second))
}

/// Plays the other side's sound into nothing, in real time.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_speaker_none(media: kring_media) -> i32 {
    guard(|| set(media, |media| media.speaker(NullSpeaker::new())))
}

/// Plays the other side's sound into a WAV file (48 kHz, mono, 16 bit), in real time. The other side is told that it is recorded.
///
/// KRING_ERROR_SINK if it cannot be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_speaker_wav(media: kring_media, path: *const c_char) -> i32 {
    guard(|| {
        handle::get::<MediaObject>(media)?;
        // SAFETY: the caller's promise.
        let sink = WavSpeaker::create(unsafe { text::get(path, "a path") }?)?;
        set(media, |media| media.speaker(sink).recording(true))
    })
}

/// Plays the other side's sound by a speaker of this machine: by its name, a part of its name or its id; NULL for the default one. Opened
/// when the call is answered.
///
/// KRING_ERROR_SOURCE if there is none; KRING_ERROR_UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_speaker_device(media: kring_media, name: *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let name = unsafe { text::get_optional(name, "a name") }?;
        #[cfg(feature = "audio-io")]
        {
            let speaker = kring::capture::Speaker::find(name)?;
            set(media, |media| media.speaker(speaker))
        }
        #[cfg(not(feature = "audio-io"))]
        no_device(media, name, "for speakers", "audio-io")
    })
}

/// Decodes the other side's pictures and shows them to nobody.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_view_none(media: kring_media) -> i32 {
    guard(|| set(media, |media| media.view(NullView)))
}

/// Writes the other side's pictures to a Y4M file of that size and rate as they are shown; those of another size are scaled. The other side
/// is told that it is recorded.
///
/// KRING_ERROR_SINK if it cannot be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_view_y4m(
    media: kring_media,
    path: *const c_char,
    width: u32,
    height: u32,
    frames_per_second: f32,
) -> i32 {
    guard(|| {
        handle::get::<MediaObject>(media)?;
        let format = format(width, height, frames_per_second)?;
        // SAFETY: the caller's promise.
        let sink = Y4mView::create(unsafe { text::get(path, "a path") }?, &format)?;
        set(media, |media| media.view(sink).recording(true))
    })
}
