//! Pictures that the program brings: by a function that is asked for them, or pushed as they come.

use crate::callback::{UserData, kring_drop_fn};
use crate::error::{Failure, KRING_ERROR_ENDED, KRING_OK, guard};
use crate::media::{self, KRING_CONSENT_CAMERA, KRING_CONSENT_SCREEN, kring_media};
use crate::own_device::{OwnDevice, check_consent, consent_to};
use crate::picture::{kring_picture, kring_picture_buffer};
use crate::{handle, pace, sized};
use kring::capture::{CapturedPicture, Consent, Kind, SourceError, VideoFormat, VideoSource};
use kring::codec::Picture;
use std::ffi::c_void;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A source of pictures of one size.
///
/// Its functions are called on one thread of the library's, one at a time, and may take 100 ms at most. They may call functions of this
/// header, but must not wait for the call to end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_video_source {
    /// sizeof(kring_video_source).
    pub struct_size: u32,
    /// KRING_PACED or 0.
    pub flags: u32,
    /// KRING_CONSENT_CAMERA or KRING_CONSENT_SCREEN if this opens what a person has to consent to; 0 for what is synthetic.
    pub consent: u32,
    /// Width in pixels, even, 2 to 8192.
    pub width: u32,
    /// Height in pixels, even, 2 to 8192.
    pub height: u32,
    /// Pictures a second, 1 to 240.
    pub frames_per_second: f32,
    /// Given to each function.
    pub user_data: *mut c_void,
    /// The call is answered: capture begins. KRING_OK, or anything else if it cannot. May be NULL.
    pub start: Option<unsafe extern "C" fn(user_data: *mut c_void) -> i32>,
    /// Writes the next picture, which holds the one before. How long before its return it was captured, in µs, goes to `age_us`, 0 unless it
    /// is written. KRING_OK; KRING_ERROR_ENDED if there is no further one; anything else if it failed.
    pub read: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            picture: *const kring_picture_buffer,
            age_us: *mut u64,
        ) -> i32,
    >,
    /// Capture ends; the device is to be closed. May be NULL.
    pub stop: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Frees user_data.
    pub drop_fn: kring_drop_fn,
}

sized::versioned!(kring_video_source, size_of::<kring_video_source>());

/// A source by functions.
struct CallbackSource {
    read: unsafe extern "C" fn(*mut c_void, *const kring_picture_buffer, *mut u64) -> i32,
    device: OwnDevice,
    format: VideoFormat,
    index: u64,
}

/// What pictures may need consent to.
const KINDS: [(u32, Kind); 2] = [(KRING_CONSENT_CAMERA, Kind::Camera), (KRING_CONSENT_SCREEN, Kind::Screen)];

impl VideoSource for CallbackSource {
    fn kind(&self) -> Option<Kind> {
        self.device.consent()
    }

    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        self.index = 0;
        self.device.start(consent, at)
    }

    fn format(&self) -> VideoFormat {
        self.format
    }

    fn read(&mut self, picture: &mut Picture) -> Result<CapturedPicture, SourceError> {
        let start = self.device.started()?;
        let size =
            |e: kring::codec::PictureError| SourceError::Format { expected: "a size", got: e.to_string() };
        picture.reset(self.format.width, self.format.height).map_err(size)?;
        let rate = self.format.frames_per_second;
        if self.device.is_paced() {
            // What was due while nobody asked is passed over.
            let due = start.elapsed().as_secs_f64() * f64::from(rate);
            self.index = self.index.max(due as u64);
            pace::wait_until(start + pace::pictures(self.index, rate));
        }
        let index = self.index;
        self.index += 1;
        let mut age_us = 0;
        let buffer = kring_picture_buffer::lend(picture);
        // SAFETY: the header says so of this function and this pointer; the planes are as long as is said.
        let code = unsafe { (self.read)(self.device.data(), &buffer, &mut age_us) };
        let at = self.device.captured(start + pace::pictures(index, rate), age_us);
        match code {
            KRING_OK => Ok(CapturedPicture::new(index, at)),
            KRING_ERROR_ENDED => Ok(CapturedPicture::new(index, at).last()),
            code => Err(self.device.failed("read", code)),
        }
    }

    fn stop(&mut self) {
        self.device.stop();
    }
}

/// Sends pictures that the program is asked for. `drop_fn` is called when the call is over, and also if this fails, unless `source` cannot
/// be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_camera_source(
    media: kring_media,
    source: *const kring_video_source,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let functions = unsafe { sized::read(source) }?;
        let data = UserData::new(functions.user_data, functions.drop_fn);
        let consent = consent_to(functions.consent, &KINDS)?;
        let kind = consent.unwrap_or(Kind::Camera);
        let device = OwnDevice::new(consent, kind, functions.flags, (functions.start, functions.stop), data)?;
        let format = media::format(functions.width, functions.height, functions.frames_per_second)?;
        let read = functions.read.ok_or_else(|| Failure::null("a function that reads"))?;
        let source = CallbackSource { read, device, format, index: 0 };
        media::set(media, |media| media.camera(source))
    })
}

/// Pictures that are pushed in as they come, say from a camera's own callback.
pub type kring_video_input = u64;

/// How long is waited for a pushed picture before the last one stands in.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a `kring_video_input` stands for, and what its source reads from.
pub(crate) struct VideoInput {
    consent: Option<Kind>,
    format: VideoFormat,
    state: Mutex<Pushed>,
    changed: Condvar,
}

struct Pushed {
    /// The newest picture, or a buffer for the next.
    picture: Picture,
    /// When it was pushed, unless it was taken.
    at: Option<Instant>,
    running: bool,
    ended: bool,
}

impl VideoInput {
    fn lock(&self) -> MutexGuard<'_, Pushed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

/// The reading end.
pub(crate) struct PushedSource {
    input: Arc<VideoInput>,
    index: u64,
}

impl PushedSource {
    pub(crate) fn new(input: Arc<VideoInput>) -> PushedSource {
        PushedSource { input, index: 0 }
    }
}

impl VideoSource for PushedSource {
    fn kind(&self) -> Option<Kind> {
        self.input.consent
    }

    fn start(&mut self, consent: &Consent, _at: Instant) -> Result<(), SourceError> {
        check_consent(self.input.consent, consent)?;
        self.index = 0;
        let mut state = self.input.lock();
        (state.running, state.at) = (true, None);
        Ok(())
    }

    fn format(&self) -> VideoFormat {
        self.input.format
    }

    fn read(&mut self, picture: &mut Picture) -> Result<CapturedPicture, SourceError> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.input.lock();
        if !state.running {
            return Err(SourceError::NotStarted);
        }
        while state.at.is_none() {
            if state.ended {
                return Err(SourceError::Ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(CapturedPicture::new(self.index, Instant::now()));
            }
            state = self.input.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let at = state.at.take().unwrap_or(deadline);
        // The pixels change hands without being copied.
        std::mem::swap(picture, &mut state.picture);
        self.index += 1;
        let captured = CapturedPicture::new(self.index, at);
        Ok(if state.ended { captured.last() } else { captured })
    }

    fn stop(&mut self) {
        self.input.lock().running = false;
    }
}

/// Makes an input for pictures of that size (even, 2 to 8192) that come about so often a second; `consent` is KRING_CONSENT_CAMERA or
/// KRING_CONSENT_SCREEN if they come from what a person has to consent to, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_video_input_new(
    consent: u32,
    width: u32,
    height: u32,
    frames_per_second: f32,
    input: *mut kring_video_input,
) -> i32 {
    guard(|| {
        handle::check::<VideoInput>(input)?;
        let (consent, format) =
            (consent_to(consent, &KINDS)?, media::format(width, height, frames_per_second)?);
        let picture = Picture::new(width, height)?;
        let state = Mutex::new(Pushed { picture, at: None, running: false, ended: false });
        let new = VideoInput { consent, format, state, changed: Condvar::new() };
        // SAFETY: the caller's promise.
        unsafe { handle::write(input, Arc::new(new)) }
    })
}

/// Sends what is pushed into `input`. An input serves one call; the handle stays the program's.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_camera_input(media: kring_media, input: kring_video_input) -> i32 {
    guard(|| {
        let source = PushedSource::new(handle::get(input)?);
        media::set(media, |media| media.camera(source))
    })
}

/// Pushes a picture that was captured just now; its pixels are copied, once. Does not wait. Before the call is answered it is dropped; of
/// several that come while one is encoded the newest is sent.
///
/// KRING_ERROR_ARGUMENT if it has another size than the input.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_video_input_push(
    input: kring_video_input,
    picture: *const kring_picture,
) -> i32 {
    guard(|| {
        let input = handle::get::<VideoInput>(input)?;
        // SAFETY: the caller's promise.
        let picture = unsafe { sized::read(picture) }?;
        let VideoFormat { width, height, .. } = input.format;
        if (picture.width, picture.height) != (width, height) {
            return Err(Failure::argument(format!(
                "expected a picture of {width}x{height}, got {}x{}",
                picture.width, picture.height
            )));
        }
        let mut state = input.lock();
        if !state.running || state.ended {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { picture.copy_to(&mut state.picture) }?;
        state.at = Some(Instant::now());
        drop(state);
        input.changed.notify_all();
        Ok(())
    })
}

/// Says that nothing more comes: the track ends.
#[unsafe(no_mangle)]
pub extern "C" fn kring_video_input_end(input: kring_video_input) -> i32 {
    guard(|| {
        handle::get::<VideoInput>(input)?.end();
        Ok(())
    })
}

/// Lets go of the input; the track ends.
#[unsafe(no_mangle)]
pub extern "C" fn kring_video_input_free(input: kring_video_input) -> i32 {
    guard(|| {
        handle::take::<VideoInput>(input)?.end();
        Ok(())
    })
}
