//! What codecs of the program's own have in common: names that last, functions with their data, encoders and decoders that are
//! freed once, and what their functions said.

use crate::callback::UserData;
use crate::error::{Failure, KRING_ERROR_STATE, KRING_OK};
use crate::{runtime, text};
use kring::codec::{DecodeError, EncodeError};
use std::collections::BTreeSet;
use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};

/// A codec's functions (its struct of the header), as long as any encoder or decoder needs them.
pub(crate) struct Functions<F> {
    pub(crate) functions: F,
    pub(crate) name: &'static str,
    data: UserData,
}

// SAFETY: the header says that several threads use the functions and their data.
unsafe impl<F> Send for Functions<F> {}
// SAFETY: as above.
unsafe impl<F> Sync for Functions<F> {}

impl<F> Functions<F> {
    /// `halves` are the encoder's and the decoder's part: whether one can be made, and whether one can be worked with.
    ///
    /// # Safety
    /// `name` is NULL or points to a text that ends with NUL.
    pub(crate) unsafe fn new(
        functions: F,
        name: *const c_char,
        data: UserData,
        halves: [(bool, bool); 2],
    ) -> Result<Arc<Functions<F>>, Failure> {
        // SAFETY: the caller's promise.
        let name = lasting(unsafe { text::get(name, "a codec's name") }?)?;
        if halves.iter().any(|(made, works)| *made && !*works) {
            return Err(Failure::null(
                "functions that encode and decode, with those that make encoders and decoders",
            ));
        }
        Ok(Arc::new(Functions { functions, name, data }))
    }

    /// Has the program make an encoder or a decoder, which `free` frees; or says what code it gave instead. `new` is one of the functions that make
    /// one, and is given the program's pointer.
    pub(crate) fn make(
        &self,
        new: impl FnOnce(*mut c_void, &mut *mut c_void) -> i32,
        free: Option<unsafe extern "C" fn(*mut c_void)>,
    ) -> Result<Made, i32> {
        runtime::mark_own_thread();
        let mut pointer = std::ptr::null_mut();
        match new(self.data.pointer(), &mut pointer) {
            KRING_OK => Ok(Made { pointer, free }),
            code => Err(code),
        }
    }
}

/// An encoder or decoder of the program's own.
pub(crate) struct Made {
    pub(crate) pointer: *mut c_void,
    free: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the header says that it is used by one thread at a time, whichever.
unsafe impl Send for Made {}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the header says so of this function and this pointer; it is called here only.
            unsafe { free(self.pointer) };
        }
    }
}

/// How many names a process may bring: they last as long as it does.
const MOST: usize = 64;

static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The same name for as long as the process lasts.
fn lasting(name: &str) -> Result<&'static str, Failure> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 16 || !name.chars().all(fine) {
        return Err(Failure::argument(format!(
            "expected a codec's name of 1 to 16 of a-z, 0-9 and -, got {name:?}"
        )));
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Ok(known);
    }
    if names.len() == MOST {
        return Err(Failure::new(
            KRING_ERROR_STATE,
            format!("expected at most {MOST} names of codecs in a process"),
        ));
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    Ok(name)
}

pub(crate) fn encode_error(codec: &'static str, operation: &'static str, code: i32) -> EncodeError {
    EncodeError::Codec { codec, operation, code: code.into() }
}

pub(crate) fn decode_error(codec: &'static str, operation: &'static str, code: i32) -> DecodeError {
    DecodeError::Codec { codec, operation, code: code.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_has_to_be_one() {
        let first = lasting(&String::from("raw-1")).expect("a name");
        assert!(std::ptr::eq(first, lasting("raw-1").expect("a name")));
        for wrong in ["", "Raw", "raw 1", "a-name-that-is-too-long"] {
            assert!(lasting(wrong).is_err(), "{wrong:?}");
        }
    }
}
