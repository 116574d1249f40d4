//! A call, from dialling or answering to its end.

use crate::callback::{UserData, kring_drop_fn};
use crate::error::{Failure, KRING_ERROR_STATE, KRING_ERROR_TIMEOUT, guard};
use crate::event::{ended, kring_end, kring_event};
use crate::handle;
use crate::list::List;
use crate::media::{self, kring_media};
use crate::runtime::{self, Freed};
use crate::{sized, text};
use kring::{Call, Code, Event};
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A call. Freeing it hangs up.
pub type kring_call = u64;

/// Takes an event, which is the library's and good until the function returns.
///
/// Called on a thread of the library's own for this call: one event at a time, in order. It may take its time (up to 256 events wait),
/// and may call any function of this header but kring_shutdown, also the one that frees this call.
pub type kring_event_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const kring_event)>;

/// What a `kring_call` stands for.
pub(crate) struct CallObject {
    pub(crate) call: Call,
    freed: Freed,
    /// Events go to a callback.
    watched: AtomicBool,
    /// Once it was told.
    code: Mutex<Option<Code>>,
}

impl CallObject {
    pub(crate) fn new(call: Call) -> Arc<CallObject> {
        Arc::new(CallObject {
            call,
            freed: Freed::default(),
            watched: AtomicBool::new(false),
            code: Mutex::new(None),
        })
    }

    pub(crate) fn free(&self) {
        self.call.begin_hang_up();
        self.freed.set();
    }

    /// The next event; `None` after the last, or once the handle is freed.
    async fn next(&self) -> Option<Event> {
        let event = self.freed.or(self.call.next_event()).await.flatten();
        if let Some(Event::Code(code)) = &event {
            *self.code.lock().unwrap_or_else(PoisonError::into_inner) = Some(*code);
        }
        event
    }

    pub(crate) fn code(&self) -> Option<Code> {
        *self.code.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn get(call: kring_call) -> Result<Arc<CallObject>, Failure> {
    handle::get(call)
}

/// Waits for the next event, `timeout_ms` at most: negative is for ever, 0 only looks. At most 256 events wait, then the oldest is
/// dropped, but never the last.
///
/// KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED after KRING_EVENT_ENDED, or if the call was freed meanwhile; KRING_ERROR_STATE if events go to a
/// callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_next_event(
    call: kring_call,
    timeout_ms: i32,
    event: *mut kring_event,
) -> i32 {
    guard(|| {
        let call = get(call)?;
        // SAFETY: the caller's promise.
        unsafe { sized::check(event) }?;
        if call.watched.load(Ordering::Acquire) {
            return Err(Failure::new(KRING_ERROR_STATE, "the events of this call go to a callback"));
        }
        let next = runtime::wait(call.next(), timeout_ms)?.ok_or_else(|| Failure::ended("the call"))?;
        // SAFETY: the caller's promise.
        unsafe { sized::write(event, &kring_event::new(&next)) }
    })
}

/// Has events go to `callback` from now on, those that wait already included. Nothing is called back once the call is freed, but
/// for what is under way then. `drop_fn` is called when no more events come, and also if this fails.
///
/// KRING_ERROR_STATE if events go to a callback already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_on_event(
    call: kring_call,
    callback: kring_event_fn,
    user_data: *mut c_void,
    drop_fn: kring_drop_fn,
) -> i32 {
    let data = UserData::new(user_data, drop_fn);
    guard(move || {
        let call = get(call)?;
        let callback = callback.ok_or_else(|| Failure::null("a callback"))?;
        if call.watched.swap(true, Ordering::AcqRel) {
            return Err(Failure::new(KRING_ERROR_STATE, "the events of this call go to a callback already"));
        }
        runtime::spawn("kring-events", move || {
            while let Ok(Some(event)) = runtime::wait(call.next(), -1) {
                let event = kring_event::new(&event);
                // SAFETY: the header says so of this function and this pointer.
                unsafe { callback(data.pointer(), &event) };
            }
            // Before the program learns that it was the last.
            drop(call);
            drop(data);
        })
    })
}

/// Waits until there is a connection with the other side, or the call is over; at a call of kring_endpoint_answer_next: until somebody calls.
/// `timeout_ms` at most: negative is for ever, 0 only looks.
///
/// KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if the call was freed meanwhile.
#[unsafe(no_mangle)]
pub extern "C" fn kring_call_wait_begun(call: kring_call, timeout_ms: i32) -> i32 {
    guard(|| {
        let call = get(call)?;
        let begun = runtime::wait(call.freed.or(call.call.begun()), timeout_ms)?;
        begun.ok_or_else(|| Failure::ended("the call"))
    })
}

/// Waits until the call is answered and media flows, `timeout_ms` at most: negative is for ever, 0 only looks.
///
/// KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if it ended before (kring_call_wait_ended says how).
#[unsafe(no_mangle)]
pub extern "C" fn kring_call_wait_connected(call: kring_call, timeout_ms: i32) -> i32 {
    guard(|| {
        let call = get(call)?;
        let connected = runtime::wait(call.freed.or(call.call.connected()), timeout_ms)?;
        connected.ok_or_else(|| Failure::ended("the call"))?.map(drop).map_err(|end| ended(&end))
    })
}

/// Waits until the call is over, `timeout_ms` at most (negative: for ever, 0: only looks), and says how it ended. By then devices are
/// closed, files are whole, and the other side was told. `end` may be NULL.
///
/// KRING_ERROR_TIMEOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_wait_ended(
    call: kring_call,
    timeout_ms: i32,
    end: *mut kring_end,
) -> i32 {
    guard(|| {
        let call = get(call)?;
        if !end.is_null() {
            // SAFETY: the caller's promise.
            unsafe { sized::check(end) }?;
        }
        let how = runtime::wait(call.call.ended(), timeout_ms)?;
        // SAFETY: the caller's promise.
        if end.is_null() { Ok(()) } else { unsafe { sized::write(end, &kring_end::new(&how)) } }
    })
}

/// Begins to hang up and does not wait: devices close at once, events go on until KRING_EVENT_ENDED. The handle stays until it is
/// freed.
#[unsafe(no_mangle)]
pub extern "C" fn kring_call_hang_up(call: kring_call) -> i32 {
    guard(|| {
        get(call)?.call.begin_hang_up();
        Ok(())
    })
}

/// As kring_call_hang_up, saying that the program is ending.
#[unsafe(no_mangle)]
pub extern "C" fn kring_call_going_away(call: kring_call) -> i32 {
    guard(|| {
        get(call)?.call.begin_going_away();
        Ok(())
    })
}

/// Hangs up, if it is not over, and lets go of the call. Does not wait: the other side is told in the background.
#[unsafe(no_mangle)]
pub extern "C" fn kring_call_free(call: kring_call) -> i32 {
    guard(|| {
        handle::take::<CallObject>(call)?.free();
        Ok(())
    })
}

/// Mutes (not 0) or unmutes (0) this side's microphone; the other side is told.
#[unsafe(no_mangle)]
pub extern "C" fn kring_call_mute_microphone(call: kring_call, muted: u32) -> i32 {
    guard(|| {
        get(call)?.call.mute_microphone(muted != 0);
        Ok(())
    })
}

/// Switches this side's camera off (not 0) or on (0); the other side is told.
#[unsafe(no_mangle)]
pub extern "C" fn kring_call_mute_camera(call: kring_call, muted: u32) -> i32 {
    guard(|| {
        get(call)?.call.mute_camera(muted != 0);
        Ok(())
    })
}

/// Whether this side's microphone is muted: 1 or 0 goes to `muted`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_is_microphone_muted(call: kring_call, muted: *mut u32) -> i32 {
    // SAFETY: the caller's promise.
    guard(|| unsafe { write_flag(muted, get(call)?.call.is_microphone_muted()) })
}

/// Whether this side's camera is off: 1 or 0 goes to `muted`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_is_camera_muted(call: kring_call, muted: *mut u32) -> i32 {
    // SAFETY: the caller's promise.
    guard(|| unsafe { write_flag(muted, get(call)?.call.is_camera_muted()) })
}

/// # Safety
/// `to` is NULL or may be written.
unsafe fn write_flag(to: *mut u32, flag: bool) -> Result<(), Failure> {
    if to.is_null() {
        return Err(Failure::null("a pointer to a uint32_t"));
    }
    // SAFETY: the caller's promise.
    unsafe { to.write_unaligned(flag.into()) };
    Ok(())
}

/// Takes over each source and sink that `media` has, in place of the one before, which is closed within 100 ms; also in place of one that
/// has stopped (KRING_EVENT_MEDIA_STOPPED). Sources open with the consent of `media`; what else is set on it means nothing here. `media` is
/// used up, also if this fails.
///
/// KRING_ERROR_STATE if it has a source for a track that the call was begun without; nothing is switched then.
#[unsafe(no_mangle)]
pub extern "C" fn kring_call_switch(call: kring_call, media: kring_media) -> i32 {
    guard(|| {
        let media = media::take(media)?;
        let switched = get(call)?.call.switch(media);
        switched.map_err(|error| Failure::new(KRING_ERROR_STATE, error))
    })
}

/// Gives the callee the passcode that goes with the ticket, at once or when it is asked for (KRING_EVENT_PASSCODE_WANTED). There is one try
/// in a call; whoever dials again has another.
///
/// KRING_ERROR_PASSCODE if it cannot be one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_enter_passcode(call: kring_call, passcode: *const c_char) -> i32 {
    guard(|| {
        let call = get(call)?;
        // SAFETY: the caller's promise.
        let passcode = unsafe { text::get(passcode, "a passcode") }?;
        call.call.enter_passcode(kring::Passcode::new(passcode)?);
        Ok(())
    })
}

/// The other side's tracks as they are now: a list for kring_list_track.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_peer_tracks(
    call: kring_call,
    tracks: *mut crate::list::kring_list,
) -> i32 {
    guard(|| {
        let call = get(call)?;
        // SAFETY: the caller's promise.
        unsafe { handle::write(tracks, Arc::new(List::Tracks(call.call.peer_tracks()))) }
    })
}

/// What protects a call that is connected.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_safety {
    /// sizeof(kring_safety), set before the call.
    pub struct_size: u32,
    /// 1 if recorded content stays closed to a later quantum computer.
    pub post_quantum: u32,
    /// The Noise handshake between the two devices.
    pub noise: [c_char; 96],
    /// How media is sealed, end to end.
    pub media: [c_char; 64],
    /// TLS key exchange of the hop.
    pub tls_group: [c_char; 32],
    /// TLS cipher suite of the hop.
    pub tls_cipher: [c_char; 64],
}

sized::versioned!(kring_safety, size_of::<kring_safety>());

/// What protects the call.
///
/// KRING_ERROR_STATE before it is connected; KRING_ERROR_ENDED after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_safety(call: kring_call, safety: *mut kring_safety) -> i32 {
    guard(|| {
        let call = get(call)?;
        let known = runtime::wait(call.call.connected(), 0).map_err(|failure| match failure.code {
            KRING_ERROR_TIMEOUT => Failure::new(KRING_ERROR_STATE, "the call is not connected yet"),
            _ => failure,
        })?;
        let known = known.map_err(|end| ended(&end))?;
        let value = kring_safety {
            struct_size: size_of::<kring_safety>() as u32,
            post_quantum: known.post_quantum.into(),
            noise: text::fixed(known.noise),
            media: text::fixed(known.media),
            tls_group: text::fixed(known.tls_group),
            tls_cipher: text::fixed(known.tls_cipher),
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(safety, &value) }
    })
}
