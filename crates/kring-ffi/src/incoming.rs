//! Somebody calls, and it rings.

use crate::call::{CallObject, kring_call};
use crate::error::{Failure, guard};
use crate::event::kring_end;
use crate::list::{List, kring_list};
use crate::media::{self, kring_media};
use crate::people::{self, kring_peer};
use crate::runtime::{self, Freed};
use crate::{handle, sized};
use kring::{Incoming, Pin};
use std::sync::{Arc, PoisonError, RwLock};

/// Somebody calls. It rings for them until this is answered, declined or freed, which declines.
pub type kring_incoming = u64;

/// What a `kring_incoming` stands for.
pub(crate) struct IncomingObject {
    /// Gone once answered or declined. Whoever waits with it gives it back as soon as it is freed.
    incoming: RwLock<Option<Incoming>>,
    freed: Freed,
}

impl IncomingObject {
    pub(crate) fn new(incoming: Incoming) -> Arc<IncomingObject> {
        Arc::new(IncomingObject { incoming: RwLock::new(Some(incoming)), freed: Freed::default() })
    }

    fn with<T>(&self, f: impl FnOnce(&Incoming) -> Result<T, Failure>) -> Result<T, Failure> {
        let incoming = self.incoming.read().unwrap_or_else(PoisonError::into_inner);
        f(incoming.as_ref().ok_or_else(|| Failure::ended("the incoming call"))?)
    }

    pub(crate) fn free(&self) {
        drop(self.take());
    }

    fn take(&self) -> Option<Incoming> {
        self.freed.set();
        self.incoming.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn take(incoming: kring_incoming) -> Result<Incoming, Failure> {
    let taken = handle::take::<IncomingObject>(incoming)?.take();
    taken.ok_or_else(|| Failure::ended("the incoming call"))
}

/// Who calls, as proven by the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_incoming_peer(incoming: kring_incoming, peer: *mut kring_peer) -> i32 {
    guard(|| {
        let incoming = handle::get::<IncomingObject>(incoming)?;
        let value = incoming.with(|incoming| Ok(people::of_incoming(incoming)))?;
        // SAFETY: the caller's promise.
        unsafe { sized::write(peer, &value) }
    })
}

/// What the caller wants to send: a list for kring_list_track.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_incoming_tracks(incoming: kring_incoming, tracks: *mut kring_list) -> i32 {
    guard(|| {
        let incoming = handle::get::<IncomingObject>(incoming)?;
        let list = incoming.with(|incoming| Ok(incoming.tracks().to_vec()))?;
        // SAFETY: the caller's promise.
        unsafe { handle::write(tracks, Arc::new(List::Tracks(list))) }
    })
}

/// Says whom the program takes the caller for: `identity` is 32 bytes, `verified` not 0 if a person has compared it. If it is
/// somebody else, the call is KRING_TRUST_KEY_CHANGED and has no media before a person has accepted that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_incoming_expect(
    incoming: kring_incoming,
    identity: *const u8,
    verified: u32,
) -> i32 {
    guard(|| {
        let incoming = handle::get::<IncomingObject>(incoming)?;
        // SAFETY: the caller's promise.
        let identity = unsafe { people::identity(identity) }?;
        incoming.with(|incoming| {
            incoming.expect(Pin { identity, verified: verified != 0 });
            Ok(())
        })
    })
}

/// Waits until the caller has given up, `timeout_ms` at most (negative: for ever, 0: only looks), and says how. `end` may be NULL.
///
/// KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if it was answered, declined or freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_incoming_wait_given_up(
    incoming: kring_incoming,
    timeout_ms: i32,
    end: *mut kring_end,
) -> i32 {
    guard(|| {
        let object = handle::get::<IncomingObject>(incoming)?;
        if !end.is_null() {
            // SAFETY: the caller's promise.
            unsafe { sized::check(end) }?;
        }
        let how = object.with(|incoming| {
            let given_up = runtime::wait(object.freed.or(incoming.given_up()), timeout_ms)?;
            given_up.ok_or_else(|| Failure::ended("the incoming call"))
        })?;
        // SAFETY: the caller's promise.
        if end.is_null() { Ok(()) } else { unsafe { sized::write(end, &kring_end::new(&how)) } }
    })
}

/// Takes the call with `media`. Both `incoming` and `media` are used up, also if this fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_incoming_answer(
    incoming: kring_incoming,
    media: kring_media,
    call: *mut kring_call,
) -> i32 {
    guard(|| {
        let (incoming, media) = (take(incoming), media::take(media));
        handle::check::<CallObject>(call)?;
        let answered = incoming?.answer(media?);
        // SAFETY: the caller's promise.
        unsafe { handle::write(call, CallObject::new(answered)) }
    })
}

/// Does not take the call. `incoming` is used up.
#[unsafe(no_mangle)]
pub extern "C" fn kring_incoming_decline(incoming: kring_incoming) -> i32 {
    guard(|| {
        take(incoming)?.decline();
        Ok(())
    })
}

/// Does not take the call because of another one. `incoming` is used up.
#[unsafe(no_mangle)]
pub extern "C" fn kring_incoming_busy(incoming: kring_incoming) -> i32 {
    guard(|| {
        take(incoming)?.busy();
        Ok(())
    })
}

/// Declines, and lets go of it.
#[unsafe(no_mangle)]
pub extern "C" fn kring_incoming_free(incoming: kring_incoming) -> i32 {
    guard(|| take(incoming).map(drop))
}
