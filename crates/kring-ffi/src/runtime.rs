//! The one runtime that the library owns, and waiting from outside of it.
//!
//! Guarantee: nothing is started before it is needed, and after [`kring_shutdown`] nothing is left: no thread, no memory but the
//! last error of each thread.

use crate::error::{Failure, KRING_ERROR_INTERNAL, KRING_ERROR_STATE, KRING_ERROR_TIMEOUT, guard};
use crate::handle::{self, Object};
use crate::log;
use std::cell::Cell;
use std::sync::{Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

static RUNTIME: RwLock<Option<Runtime>> = RwLock::new(None);
/// How many threads of [`spawn`] there are.
static THREADS: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

thread_local! {
    /// This is a thread of the library's, which calls back.
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// Says that this is a thread of the library's, which calls back.
pub(crate) fn mark_own_thread() {
    OWN.set(true);
}

/// The runtime, made when it is first needed: two threads, which move packets and wait for timers, nothing else.
pub(crate) fn runtime() -> Result<Handle, Failure> {
    if let Some(runtime) = &*RUNTIME.read().unwrap_or_else(PoisonError::into_inner) {
        return Ok(runtime.handle().clone());
    }
    let mut runtime = RUNTIME.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*runtime {
        return Ok(runtime.handle().clone());
    }
    let made = Builder::new_multi_thread().worker_threads(2).thread_name("kring").enable_all().build();
    let made = made.map_err(|e| {
        Failure::new(KRING_ERROR_INTERNAL, format!("the library's threads cannot be started: {e}"))
    })?;
    Ok(runtime.insert(made).handle().clone())
}

/// Waits for `future`, `timeout_ms` at most; negative is for ever, 0 looks only.
pub(crate) fn wait<T>(future: impl Future<Output = T>, timeout_ms: i32) -> Result<T, Failure> {
    // From a worker of a runtime there would be nobody to go on with what is waited for.
    if Handle::try_current().is_ok() {
        return Err(Failure::new(
            KRING_ERROR_STATE,
            "expected a thread of the program's own, got one of the runtime: a store's callbacks must not call back",
        ));
    }
    // What is waited for is large.
    let future = Box::pin(future);
    let runtime = runtime()?;
    match u64::try_from(timeout_ms) {
        Err(_) => Ok(runtime.block_on(future)),
        Ok(milliseconds) => {
            let limited = async { tokio::time::timeout(Duration::from_millis(milliseconds), future).await };
            runtime.block_on(limited).map_err(|_| Failure::timeout())
        }
    }
}

/// Starts a thread that calls back; [`kring_shutdown`] waits for it.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            *THREADS.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
            THREADS.1.notify_all();
        }
    }
    *THREADS.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    let counted = Counted;
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        let _counted = counted;
        mark_own_thread();
        // What panics has told so in its message; the thread ends, and its callback's data with it.
        let _ = guard(|| {
            body();
            Ok(())
        });
    });
    thread.map(drop).map_err(|e| Failure::new(KRING_ERROR_INTERNAL, format!("no thread can be started: {e}")))
}

/// Whether an object's handle was freed, for those who wait with it.
#[derive(Default)]
pub(crate) struct Freed(watch::Sender<bool>);

impl Freed {
    pub(crate) fn set(&self) {
        self.0.send_replace(true);
    }

    /// What `future` gives, or nothing once the handle is freed.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut freed = self.0.subscribe();
        tokio::select! {
            biased;
            _ = freed.wait_for(|freed| *freed) => None,
            output = future => Some(output),
        }
    }
}

/// Begins to collect the randomness of this process's first key, in the background. A program that calls this when it starts dials some 30 ms
/// quicker where that takes long; without it all works the same.
#[unsafe(no_mangle)]
pub extern "C" fn kring_prepare() -> i32 {
    guard(|| {
        kring::prepare();
        Ok(())
    })
}

/// Ends everything: hangs up all calls and tells the other sides, closes all devices and endpoints, frees all handles, waits until
/// callbacks have returned and their data is dropped, and stops the library's threads; `timeout_ms` at most (negative: for ever).
/// For programs that unload the library, and for those who look for leaks. It must be the only call into the library at that time,
/// and not from a callback. Afterwards the
/// library may be used anew.
///
/// KRING_ERROR_TIMEOUT if something was still running then; KRING_ERROR_STATE from a callback.
#[unsafe(no_mangle)]
pub extern "C" fn kring_shutdown(timeout_ms: i32) -> i32 {
    guard(|| {
        if OWN.get() {
            return Err(Failure::new(KRING_ERROR_STATE, "a callback cannot wait for its own end"));
        }
        let until = u64::try_from(timeout_ms).ok().map(|ms| Instant::now() + Duration::from_millis(ms));
        let left = || {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            left.map_or(-1, |left| left.as_millis() as i32)
        };
        let late = || Failure::new(KRING_ERROR_TIMEOUT, "something of the library is still running");
        let objects = handle::take_all();
        let mut calls = Vec::new();
        for object in &objects {
            match object {
                Object::Call(call) => {
                    call.free();
                    calls.push(call.clone());
                }
                Object::Endpoint(endpoint) => endpoint.free(),
                Object::Incoming(incoming) => incoming.free(),
                Object::Knock(knock) => drop(knock.free()),
                _ => {}
            }
        }
        drop(objects);
        for call in calls {
            wait(call.call.ended(), left()).map_err(|_| late())?;
        }
        let (count, changed) = (&THREADS.0, &THREADS.1);
        let mut running = count.lock().unwrap_or_else(PoisonError::into_inner);
        while *running > 0 {
            running = match until {
                None => changed.wait(running).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(late());
                    }
                    changed.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        drop(running);
        log::off();
        let runtime = RUNTIME.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            match until {
                None => drop(runtime),
                Some(until) => runtime.shutdown_timeout(until.saturating_duration_since(Instant::now())),
            }
        }
        Ok(())
    })
}
