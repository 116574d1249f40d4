//! Where the program plays the other side's sound.

use crate::audio_source::KRING_PACED;
use crate::callback::{UserData, kring_drop_fn};
use crate::error::{Failure, KRING_OK, guard};
use crate::media::{self, kring_media};
use crate::{pace, runtime, sized};
use kring::capture::{AudioSink, NullSpeaker, Played, SinkError};
use std::ffi::c_void;
use std::time::{Duration, Instant};

/// Nothing has come yet, or nothing is to be heard: silence.
pub const KRING_PLAYED_WAITING: u32 = 0;
/// Sound that came over the network.
pub const KRING_PLAYED_DECODED: u32 = 1;
/// Sound made up for what is missing.
pub const KRING_PLAYED_CONCEALED: u32 = 2;

/// A sink of sound. Sound is mono, float from -1 to 1, 48,000 samples a second, in blocks of some milliseconds.
///
/// Its functions are called on one thread of the library's, one at a time. They may call functions of this header, but must not wait for the
/// call to end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_audio_sink {
    /// sizeof(kring_audio_sink).
    pub struct_size: u32,
    /// KRING_PACED or 0. Without it, `play` returns when the device has room for the next block, and so sets the pace.
    pub flags: u32,
    /// Given to each function.
    pub user_data: *mut c_void,
    /// The call is answered: playing begins. KRING_OK, or anything else if it cannot. May be NULL.
    pub start: Option<unsafe extern "C" fn(user_data: *mut c_void) -> i32>,
    /// Plays `count` samples, which are the library's and good until it returns; `what` is a KRING_PLAYED_ value. In how many µs the first of
    /// them is heard goes to `delay_us`, 0 unless it is written. KRING_OK, or anything else if it failed.
    pub play: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            samples: *const f32,
            count: usize,
            what: u32,
            delay_us: *mut u64,
        ) -> i32,
    >,
    /// Playing ends; the device is to be closed. May be NULL.
    pub stop: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Frees user_data.
    pub drop_fn: kring_drop_fn,
}

sized::versioned!(kring_audio_sink, size_of::<kring_audio_sink>());

/// A sink by functions.
pub(crate) struct CallbackSink {
    functions: kring_audio_sink,
    data: UserData,
    /// Keeps the time where the functions do not.
    clock: Option<NullSpeaker>,
    started: bool,
}

// SAFETY: the header says that threads of the library use it, one at a time.
unsafe impl Send for CallbackSink {}

pub(crate) fn failed(what: &str, code: i32) -> SinkError {
    SinkError::Device { cause: format!("the program's {what} function gave {code}") }
}

impl CallbackSink {
    pub(crate) fn new(functions: kring_audio_sink, data: UserData) -> Result<CallbackSink, Failure> {
        pace::check_flags(functions.flags)?;
        if functions.play.is_none() {
            return Err(Failure::null("a function that plays"));
        }
        let clock = (functions.flags & KRING_PACED != 0).then(NullSpeaker::new);
        Ok(CallbackSink { functions, data, clock, started: false })
    }
}

impl AudioSink for CallbackSink {
    fn start(&mut self) -> Result<(), SinkError> {
        runtime::mark_own_thread();
        if let Some(start) = self.functions.start {
            // SAFETY: the header says so of this function and this pointer.
            match unsafe { start(self.data.pointer()) } {
                KRING_OK => {}
                code => return Err(failed("start", code)),
            }
        }
        self.started = true;
        self.clock.as_mut().map_or(Ok(()), AudioSink::start)
    }

    fn play(&mut self, block: &[f32], what: Played) -> Result<Instant, SinkError> {
        let Some(play) = self.functions.play.filter(|_| self.started) else {
            return Err(SinkError::NotStarted);
        };
        let number = match what {
            Played::Waiting => KRING_PLAYED_WAITING,
            Played::Decoded => KRING_PLAYED_DECODED,
            Played::Concealed => KRING_PLAYED_CONCEALED,
        };
        let mut delay_us = 0;
        // SAFETY: the header says so of this function and this pointer; the block is as long as is said.
        let code = unsafe { play(self.data.pointer(), block.as_ptr(), block.len(), number, &mut delay_us) };
        if code != KRING_OK {
            return Err(failed("play", code));
        }
        let heard = match &mut self.clock {
            Some(clock) => clock.play(block, what)?,
            None => Instant::now(),
        };
        // What a device could hold back at most; the rest is a mistake.
        Ok(heard + Duration::from_micros(delay_us.min(10_000_000)))
    }

    fn stop(&mut self) {
        if std::mem::take(&mut self.started)
            && let Some(stop) = self.functions.stop
        {
            // SAFETY: the header says so of this function and this pointer.
            unsafe { stop(self.data.pointer()) };
        }
    }
}

/// Plays the other side's sound by the program's functions. `drop_fn` is called when the call is over, and also if this fails, unless
/// `sink` cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_speaker_sink(media: kring_media, sink: *const kring_audio_sink) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let functions = unsafe { sized::read(sink) }?;
        let sink = CallbackSink::new(functions, UserData::new(functions.user_data, functions.drop_fn))?;
        media::set(media, |media| media.speaker(sink))
    })
}
