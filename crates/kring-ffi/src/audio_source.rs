//! Sound that the program brings: by a function that is asked for it, or pushed as it comes.

use crate::callback::{UserData, kring_drop_fn};
use crate::error::{Failure, KRING_ERROR_ENDED, KRING_OK, guard};
use crate::media::{self, KRING_CONSENT_MICROPHONE, kring_media};
use crate::own_device::{OwnDevice, check_consent, consent_to};
use crate::{handle, pace, sized, text};
use kring::capture::{AudioSource, Captured, Consent, Kind, SourceError};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The library keeps the time: a block is asked for when its last sample is due, and shown or played when it is due. Without it the function
/// does: it returns when the block is full, or is done with it.
pub const KRING_PACED: u32 = 1;

/// A source of sound. Sound is mono, float from -1 to 1, 48,000 samples a second.
///
/// Its functions are called on one thread of the library's, one at a time, and may take 100 ms at most. They may call functions of this
/// header, but must not wait for the call to end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_audio_source {
    /// sizeof(kring_audio_source).
    pub struct_size: u32,
    /// KRING_PACED or 0.
    pub flags: u32,
    /// KRING_CONSENT_MICROPHONE if this opens a device that a person has to consent to; 0 for what is synthetic.
    pub consent: u32,
    /// 0.
    pub reserved: u32,
    /// Given to each function.
    pub user_data: *mut c_void,
    /// The call is answered: capture begins. KRING_OK, or anything else if it cannot. May be NULL.
    pub start: Option<unsafe extern "C" fn(user_data: *mut c_void) -> i32>,
    /// Writes the next `count` samples to `samples`, which are zero before. How long before its return the first of them was captured, in µs,
    /// is in `age_us`: as much as the block is long, unless a source without KRING_PACED writes something else. KRING_OK;
    /// KRING_ERROR_ENDED if the material ended in this block; anything else if it failed.
    pub read: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            samples: *mut f32,
            count: usize,
            age_us: *mut u64,
        ) -> i32,
    >,
    /// Capture ends; the device is to be closed. May be NULL.
    pub stop: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Frees user_data.
    pub drop_fn: kring_drop_fn,
}

sized::versioned!(kring_audio_source, size_of::<kring_audio_source>());

/// A source by functions.
pub(crate) struct CallbackSource {
    read: unsafe extern "C" fn(*mut c_void, *mut f32, usize, *mut u64) -> i32,
    device: OwnDevice,
    played: u64,
}

fn length(samples: usize) -> Duration {
    pace::samples(samples as u64)
}

impl CallbackSource {
    pub(crate) fn new(functions: kring_audio_source, data: UserData) -> Result<CallbackSource, Failure> {
        let consent = consent_to(functions.consent, &[(KRING_CONSENT_MICROPHONE, Kind::Microphone)])?;
        let kind = Kind::Microphone;
        let device = OwnDevice::new(consent, kind, functions.flags, (functions.start, functions.stop), data)?;
        let read = functions.read.ok_or_else(|| Failure::null("a function that reads"))?;
        Ok(CallbackSource { read, device, played: 0 })
    }
}

impl AudioSource for CallbackSource {
    fn kind(&self) -> Option<Kind> {
        self.device.consent()
    }

    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        self.played = 0;
        self.device.start(consent, at)
    }

    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        block.fill(0.0);
        let start = self.device.started()?;
        let first = self.played;
        self.played += block.len() as u64;
        if self.device.is_paced() {
            pace::wait_until(start + pace::samples(self.played));
        }
        let mut age_us = length(block.len()).as_micros() as u64;
        let data = self.device.data();
        // SAFETY: the header says so of this function and this pointer; the block is as long as is said.
        let code = unsafe { (self.read)(data, block.as_mut_ptr(), block.len(), &mut age_us) };
        let at = self.device.captured(start + pace::samples(first), age_us);
        match code {
            KRING_OK => Ok(Captured::new(at, false)),
            KRING_ERROR_ENDED => Ok(Captured::new(at, true)),
            code => {
                block.fill(0.0);
                Err(self.device.failed("read", code))
            }
        }
    }

    fn stop(&mut self) {
        self.device.stop();
    }
}

/// Sends sound that the program is asked for. `drop_fn` is called when the call is over, and also if this fails, unless `source` cannot be
/// read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_microphone_source(
    media: kring_media,
    source: *const kring_audio_source,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let functions = unsafe { sized::read(source) }?;
        let source = CallbackSource::new(functions, UserData::new(functions.user_data, functions.drop_fn))?;
        media::set(media, |media| media.microphone(source))
    })
}

/// Sound that is pushed in as it comes, say from a sound system's own callback.
pub type kring_audio_input = u64;

/// Samples that wait; beyond that the oldest are dropped.
const MOST: usize = 48_000;
/// How late pushed sound may be before silence goes out in its place.
const GRACE: Duration = Duration::from_millis(60);

/// What a `kring_audio_input` stands for, and what its source reads from.
pub(crate) struct AudioInput {
    consent: Option<Kind>,
    state: Mutex<Pushed>,
    changed: Condvar,
}

#[derive(Default)]
struct Pushed {
    samples: VecDeque<f32>,
    /// When what comes after the last sample is captured.
    end: Option<Instant>,
    running: bool,
    ended: bool,
}

impl AudioInput {
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
    input: Arc<AudioInput>,
    /// When the next sample is expected to be captured.
    next: Option<Instant>,
}

impl PushedSource {
    pub(crate) fn new(input: Arc<AudioInput>) -> PushedSource {
        PushedSource { input, next: None }
    }
}

impl AudioSource for PushedSource {
    fn kind(&self) -> Option<Kind> {
        self.input.consent
    }

    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        check_consent(self.kind(), consent)?;
        self.next = Some(at);
        let mut state = self.input.lock();
        (state.running, state.end) = (true, None);
        state.samples.clear();
        Ok(())
    }

    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        block.fill(0.0);
        let next = self.next.ok_or(SourceError::NotStarted)?;
        let deadline = next + length(block.len()) + GRACE;
        let mut state = self.input.lock();
        while state.samples.len() < block.len() && !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.input.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let waiting = state.samples.len();
        if waiting < block.len() && !state.ended {
            // Nothing comes, so silence does, in real time.
            self.next = Some(next + length(block.len()));
            return Ok(Captured::new(next, false));
        }
        let at = state.end.and_then(|end| end.checked_sub(length(waiting))).unwrap_or(next);
        let count = waiting.min(block.len());
        let (one, other) = state.samples.as_slices();
        let from_one = one.len().min(count);
        block[..from_one].copy_from_slice(&one[..from_one]);
        block[from_one..count].copy_from_slice(&other[..count - from_one]);
        state.samples.drain(..count);
        self.next = Some(at + length(block.len()));
        Ok(Captured::new(at, state.ended && state.samples.is_empty()))
    }

    fn stop(&mut self) {
        self.next = None;
        let mut state = self.input.lock();
        state.running = false;
        state.samples.clear();
    }
}

/// Makes an input; `consent` is KRING_CONSENT_MICROPHONE if what is pushed comes from a device that a person has to consent to, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_audio_input_new(consent: u32, input: *mut kring_audio_input) -> i32 {
    guard(|| {
        let consent = consent_to(consent, &[(KRING_CONSENT_MICROPHONE, Kind::Microphone)])?;
        let new = AudioInput { consent, state: Mutex::default(), changed: Condvar::new() };
        // SAFETY: the caller's promise.
        unsafe { handle::write(input, Arc::new(new)) }
    })
}

/// Sends what is pushed into `input`. An input serves one call; the handle stays the program's.
#[unsafe(no_mangle)]
pub extern "C" fn kring_media_microphone_input(media: kring_media, input: kring_audio_input) -> i32 {
    guard(|| {
        let source = PushedSource::new(handle::get(input)?);
        media::set(media, |media| media.microphone(source))
    })
}

/// Pushes `count` samples, the last of which was captured just now. Does not wait. Before the call is answered they are dropped; so are the
/// oldest of more than a second that waits. Where nothing is pushed in time, silence is sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_audio_input_push(
    input: kring_audio_input,
    samples: *const f32,
    count: usize,
) -> i32 {
    guard(|| {
        let input = handle::get::<AudioInput>(input)?;
        // SAFETY: the caller's promise.
        let samples = unsafe { text::slice(samples, count, "samples") }?;
        let mut state = input.lock();
        if !state.running || state.ended {
            return Ok(());
        }
        let kept = &samples[samples.len().saturating_sub(MOST)..];
        let excess = (state.samples.len() + kept.len()).saturating_sub(MOST);
        state.samples.drain(..excess);
        state.samples.extend(kept);
        state.end = Some(Instant::now());
        drop(state);
        input.changed.notify_all();
        Ok(())
    })
}

/// Says that nothing more comes: the track ends after what waits.
#[unsafe(no_mangle)]
pub extern "C" fn kring_audio_input_end(input: kring_audio_input) -> i32 {
    guard(|| {
        handle::get::<AudioInput>(input)?.end();
        Ok(())
    })
}

/// Lets go of the input; the track ends after what waits.
#[unsafe(no_mangle)]
pub extern "C" fn kring_audio_input_free(input: kring_audio_input) -> i32 {
    guard(|| {
        handle::take::<AudioInput>(input)?.end();
        Ok(())
    })
}
