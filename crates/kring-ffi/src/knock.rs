//! Somebody waits to be let in.

use crate::error::{Failure, guard};
use crate::people::{self, kring_peer};
use crate::runtime::{self, Freed};
use crate::{handle, sized};
use kring::Knock;
use std::sync::{Arc, Mutex, PoisonError};

/// Somebody waits at the door. Freeing it lets them go.
pub type kring_knock = u64;

/// What a `kring_knock` stands for.
pub(crate) struct KnockObject {
    about: kring_peer,
    /// Gone once it was decided. Whoever waits with it gives it back as soon as it is freed.
    knock: Mutex<Option<Knock>>,
    freed: Freed,
}

impl KnockObject {
    pub(crate) fn new(knock: Knock) -> Arc<KnockObject> {
        let about = people::of_knock(&knock);
        Arc::new(KnockObject { about, knock: Mutex::new(Some(knock)), freed: Freed::default() })
    }

    /// Gives it back to whoever takes it: nobody waits any more.
    pub(crate) fn free(&self) -> Option<Knock> {
        self.freed.set();
        self.knock.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn take(knock: kring_knock) -> Result<Knock, Failure> {
    handle::take::<KnockObject>(knock)?.free().ok_or_else(|| Failure::ended("the knock"))
}

/// Who waits, as proven by the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_knock_peer(knock: kring_knock, peer: *mut kring_peer) -> i32 {
    // SAFETY: the caller's promise.
    guard(|| unsafe { sized::write(peer, &handle::get::<KnockObject>(knock)?.about) })
}

/// Waits until they have given up, `timeout_ms` at most: negative is for ever, 0 only looks. One thread at a time.
///
/// KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if it was decided or freed.
#[unsafe(no_mangle)]
pub extern "C" fn kring_knock_wait_given_up(knock: kring_knock, timeout_ms: i32) -> i32 {
    guard(|| {
        let object = handle::get::<KnockObject>(knock)?;
        let mut knock = object.knock.lock().unwrap_or_else(PoisonError::into_inner);
        let knock = knock.as_mut().ok_or_else(|| Failure::ended("the knock"))?;
        let given_up = runtime::wait(object.freed.or(knock.given_up()), timeout_ms)?;
        given_up.ok_or_else(|| Failure::ended("the knock"))
    })
}

/// Lets them in: from now on it rings, as with any caller. `knock` is used up.
#[unsafe(no_mangle)]
pub extern "C" fn kring_knock_admit(knock: kring_knock) -> i32 {
    guard(|| {
        take(knock)?.admit();
        Ok(())
    })
}

/// Lets them go. `knock` is used up.
#[unsafe(no_mangle)]
pub extern "C" fn kring_knock_refuse(knock: kring_knock) -> i32 {
    guard(|| {
        take(knock)?.refuse();
        Ok(())
    })
}

/// Lets them go, as kring_knock_refuse does.
#[unsafe(no_mangle)]
pub extern "C" fn kring_knock_free(knock: kring_knock) -> i32 {
    kring_knock_refuse(knock)
}
