//! Where the program shows the other side's pictures.

use crate::audio_sink::failed;
use crate::callback::{UserData, kring_drop_fn};
use crate::error::{Failure, KRING_OK, guard};
use crate::media::{self, kring_media};
use crate::picture::kring_picture;
use crate::{runtime, sized};
use kring::capture::{SinkError, VideoSink};
use kring::codec::Picture;
use std::ffi::c_void;
use std::time::Instant;

/// A sink of pictures.
///
/// Its functions are called on one thread of the library's, one at a time, each picture when it is to be shown. They may call functions of
/// this header, but must not wait for the call to end, nor for the next picture.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_video_sink {
    /// sizeof(kring_video_sink).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Given to each function.
    pub user_data: *mut c_void,
    /// Shows a picture, which is the library's and good until it returns; its size may change from one to the next. KRING_OK, or anything else
    /// if it failed.
    pub show: Option<unsafe extern "C" fn(user_data: *mut c_void, picture: *const kring_picture) -> i32>,
    /// Showing ends; the window is to be closed. May be NULL.
    pub stop: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Frees user_data.
    pub drop_fn: kring_drop_fn,
}

sized::versioned!(kring_video_sink, size_of::<kring_video_sink>());

/// A sink by functions.
struct CallbackSink {
    functions: kring_video_sink,
    data: UserData,
    stopped: bool,
}

// SAFETY: the header says that threads of the library use it, one at a time.
unsafe impl Send for CallbackSink {}

impl VideoSink for CallbackSink {
    fn show(&mut self, picture: &Picture, _at: Instant) -> Result<(), SinkError> {
        let Some(show) = self.functions.show else { return Err(SinkError::NotStarted) };
        runtime::mark_own_thread();
        let picture = kring_picture::lend(picture);
        // SAFETY: the header says so of this function and this pointer; the planes are as long as is said.
        match unsafe { show(self.data.pointer(), &picture) } {
            KRING_OK => Ok(()),
            code => Err(failed("show", code)),
        }
    }

    fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopped, true)
            && let Some(stop) = self.functions.stop
        {
            // SAFETY: the header says so of this function and this pointer.
            unsafe { stop(self.data.pointer()) };
        }
    }
}

/// Shows the other side's pictures by the program's functions. `drop_fn` is called when the call is over, and also if this fails, unless
/// `sink` cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_media_view_sink(media: kring_media, sink: *const kring_video_sink) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let functions = unsafe { sized::read(sink) }?;
        let data = UserData::new(functions.user_data, functions.drop_fn);
        if functions.show.is_none() {
            return Err(Failure::null("a function that shows"));
        }
        let sink = CallbackSink { functions, data, stopped: false };
        media::set(media, |media| media.view(sink))
    })
}
