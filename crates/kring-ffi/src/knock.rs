//! Somebody waits to be let in.

use crate::error::{Failure, guard};
use crate::people::{self, kring_peer};
use crate::{handle, sized};
use kring::Knock;
use std::sync::{Arc, Mutex, PoisonError};

/// Somebody waits at the door. Freeing it lets them go.
pub type kring_knock = u64;

/// What a `kring_knock` stands for.
pub(crate) struct KnockObject(Mutex<Option<Knock>>);

impl KnockObject {
    pub(crate) fn new(knock: Knock) -> Arc<KnockObject> {
        Arc::new(KnockObject(Mutex::new(Some(knock))))
    }
}

fn take(knock: kring_knock) -> Result<Knock, Failure> {
    let object = handle::take::<KnockObject>(knock)?;
    let taken = object.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.ok_or_else(|| Failure::ended("the knock"))
}

/// Who waits, as proven by the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_knock_peer(knock: kring_knock, peer: *mut kring_peer) -> i32 {
    guard(|| {
        let object = handle::get::<KnockObject>(knock)?;
        let value = {
            let knock = object.0.lock().unwrap_or_else(PoisonError::into_inner);
            people::of_knock(knock.as_ref().ok_or_else(|| Failure::ended("the knock"))?)
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(peer, &value) }
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
