//! What a program hands over to be called back with.
//!
//! Guarantee: its drop function is called exactly once, after the last callback has returned, whatever comes of the call that it was
//! handed over in; nothing is called after it.

use std::ffi::c_void;

/// Frees what user_data points to. Called exactly once, last of all, by whichever thread was the last to use it, which may be the one
/// that frees a handle. NULL if there is nothing to free.
pub type kring_drop_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A pointer of the program's, and how it is let go of.
pub(crate) struct UserData {
    pointer: *mut c_void,
    drop: kring_drop_fn,
}

// SAFETY: the header says that threads of the library use it, one at a time.
unsafe impl Send for UserData {}
// SAFETY: as above; it is only read here.
unsafe impl Sync for UserData {}

impl UserData {
    pub(crate) fn new(pointer: *mut c_void, drop: kring_drop_fn) -> UserData {
        UserData { pointer, drop }
    }

    pub(crate) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: the header says so of this function and this pointer; it is called here only.
            unsafe { drop(self.pointer) };
        }
    }
}
