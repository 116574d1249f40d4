//! Those who come to an endpoint, callers and those who wait to be let in: by waiting for the next, or to a callback.
//!
//! Guarantee: each goes to one taker; once they go to a callback, who waits for them is told so.

use crate::callback::{UserData, kring_drop_fn};
use crate::endpoint::{EndpointObject, kring_endpoint};
use crate::error::{Failure, KRING_ERROR_STATE, guard};
use crate::handle::Kind;
use crate::incoming::{IncomingObject, kring_incoming};
use crate::knock::{KnockObject, kring_knock};
use crate::{handle, runtime};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes an incoming call, which is the program's from now on.
///
/// Called on a thread of the library's own for this endpoint, one at a time. It may call any function of this header but kring_shutdown;
/// while it takes its time, at most 8 further calls ring.
pub type kring_incoming_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, incoming: kring_incoming)>;

/// Takes somebody who waits to be let in, who is the program's from now on. Called as kring_incoming_fn is.
pub type kring_knock_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, knock: kring_knock)>;

/// One of the two.
trait Arrival: Kind + Send + Sync + 'static {
    /// What the thread of their callback is called.
    const THREAD: &'static str;
    /// The next; none once the endpoint is closed or freed.
    async fn next(endpoint: &EndpointObject) -> Option<Arc<Self>>;
    /// Whether they go to a callback.
    fn watched(endpoint: &EndpointObject) -> &AtomicBool;
}

impl Arrival for IncomingObject {
    const THREAD: &'static str = "kring-incoming";

    async fn next(endpoint: &EndpointObject) -> Option<Arc<Self>> {
        endpoint.freed.or(endpoint.endpoint.incoming()).await.flatten().map(IncomingObject::new)
    }

    fn watched(endpoint: &EndpointObject) -> &AtomicBool {
        &endpoint.incoming_watched
    }
}

impl Arrival for KnockObject {
    const THREAD: &'static str = "kring-knocks";

    async fn next(endpoint: &EndpointObject) -> Option<Arc<Self>> {
        endpoint.freed.or(endpoint.endpoint.knock()).await.flatten().map(KnockObject::new)
    }

    fn watched(endpoint: &EndpointObject) -> &AtomicBool {
        &endpoint.knocks_watched
    }
}

/// # Safety
/// `to` is NULL or may be written.
unsafe fn next<A: Arrival>(endpoint: kring_endpoint, timeout_ms: i32, to: *mut u64) -> i32 {
    guard(|| {
        let object = handle::get::<EndpointObject>(endpoint)?;
        handle::check::<A>(to)?;
        if A::watched(&object).load(Ordering::Acquire) {
            return Err(Failure::new(KRING_ERROR_STATE, "these go to a callback"));
        }
        let next = runtime::wait(A::next(&object), timeout_ms)?;
        let next = next.ok_or_else(|| Failure::ended("the endpoint"))?;
        // SAFETY: the caller's promise.
        unsafe { handle::write(to, next) }
    })
}

/// # Safety
/// `callback` and `data` are as the header says.
unsafe fn watch<A: Arrival>(
    endpoint: kring_endpoint,
    callback: Option<unsafe extern "C" fn(*mut c_void, u64)>,
    data: UserData,
) -> i32 {
    guard(move || {
        let object = handle::get::<EndpointObject>(endpoint)?;
        let callback = callback.ok_or_else(|| Failure::null("a callback"))?;
        if A::watched(&object).swap(true, Ordering::AcqRel) {
            return Err(Failure::new(KRING_ERROR_STATE, "these go to a callback already"));
        }
        runtime::spawn(A::THREAD, move || {
            while let Ok(Some(next)) = runtime::wait(A::next(&object), -1) {
                let next = handle::put(next);
                // SAFETY: the header says so of this function and this pointer.
                unsafe { callback(data.pointer(), next) };
            }
            drop(object);
            drop(data);
        })
    })
}

/// Waits for the next caller, `timeout_ms` at most: negative is for ever, 0 only looks.
///
/// KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if the endpoint is closed or was freed meanwhile; KRING_ERROR_STATE if callers go to a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_next_incoming(
    endpoint: kring_endpoint,
    timeout_ms: i32,
    incoming: *mut kring_incoming,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { next::<IncomingObject>(endpoint, timeout_ms, incoming) }
}

/// Has callers go to `callback` from now on. Nothing is called back once the endpoint is freed or closed, but for what is under way then.
/// `drop_fn` is called when nobody more comes, and also if this fails.
///
/// KRING_ERROR_STATE if they go to a callback already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_on_incoming(
    endpoint: kring_endpoint,
    callback: kring_incoming_fn,
    user_data: *mut c_void,
    drop_fn: kring_drop_fn,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { watch::<IncomingObject>(endpoint, callback, UserData::new(user_data, drop_fn)) }
}

/// Waits for the next one who waits to be let in, `timeout_ms` at most: negative is for ever, 0 only looks. A program that never asks lets
/// nobody in.
///
/// As kring_endpoint_next_incoming.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_next_knock(
    endpoint: kring_endpoint,
    timeout_ms: i32,
    knock: *mut kring_knock,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { next::<KnockObject>(endpoint, timeout_ms, knock) }
}

/// Has those who wait to be let in go to `callback` from now on, as kring_endpoint_on_incoming does with callers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_endpoint_on_knock(
    endpoint: kring_endpoint,
    callback: kring_knock_fn,
    user_data: *mut c_void,
    drop_fn: kring_drop_fn,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { watch::<KnockObject>(endpoint, callback, UserData::new(user_data, drop_fn)) }
}
