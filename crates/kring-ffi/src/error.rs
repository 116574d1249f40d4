//! What every function of the header gives back.
//!
//! Guarantee: no panic crosses into C, and each failure leaves a sentence in [`kring_last_error`] of its thread. Codes are
//! frozen: a new one may come, none changes.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// It is done.
pub const KRING_OK: i32 = 0;
/// A pointer that has to point somewhere is NULL.
pub const KRING_ERROR_NULL: i32 = -1;
/// The handle is none: never given out, freed, used up, or of another kind.
pub const KRING_ERROR_HANDLE: i32 = -2;
/// A struct's struct_size is smaller than any version of it, or it holds something that this version does not know.
pub const KRING_ERROR_STRUCT_SIZE: i32 = -3;
/// A value is out of its range, or a text is not what it should be.
pub const KRING_ERROR_ARGUMENT: i32 = -4;
/// A text is no UTF-8.
pub const KRING_ERROR_UTF8: i32 = -5;
/// The buffer is too small; the length that is needed was written.
pub const KRING_ERROR_BUFFER: i32 = -6;
/// What was waited for did not come in time.
pub const KRING_ERROR_TIMEOUT: i32 = -7;
/// It is over: the call has ended, or the endpoint is closed. Nothing more comes.
pub const KRING_ERROR_ENDED: i32 = -8;
/// Not in this state, or not from this thread.
pub const KRING_ERROR_STATE: i32 = -9;
/// A fault of this library. The call that it happened in may be broken; report it.
pub const KRING_ERROR_INTERNAL: i32 = -10;
/// This build of the library was made without it.
pub const KRING_ERROR_UNSUPPORTED: i32 = -11;
/// There is nothing of that name, number or identity.
pub const KRING_ERROR_NOT_FOUND: i32 = -12;
/// The address cannot be had, or there is no randomness.
pub const KRING_ERROR_BIND: i32 = -13;
/// It could not be loaded or saved.
pub const KRING_ERROR_STORE: i32 = -14;
/// The ticket is damaged, has ended, or cannot be made.
pub const KRING_ERROR_TICKET: i32 = -15;
/// The contact's name cannot be had, or they are blocked.
pub const KRING_ERROR_CONTACT: i32 = -16;
/// There is no secret to call that contact with.
pub const KRING_ERROR_NO_SECRET: i32 = -17;
/// A device, file or other source cannot be had.
pub const KRING_ERROR_SOURCE: i32 = -18;
/// A device, file or other sink cannot be had.
pub const KRING_ERROR_SINK: i32 = -19;
/// The passcode is too short or too long.
pub const KRING_ERROR_PASSCODE: i32 = -20;
/// What was compared is not the same: somebody else is there.
pub const KRING_ERROR_MISMATCH: i32 = -21;
/// The relay is not reached.
pub const KRING_ERROR_RELAY: i32 = -22;

/// Why a function of the header did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: i32, message: impl ToString) -> Failure {
        Failure { code, message: message.to_string() }
    }

    pub(crate) fn null(what: &str) -> Failure {
        Failure::new(KRING_ERROR_NULL, format!("expected {what}, got NULL"))
    }

    pub(crate) fn argument(message: impl ToString) -> Failure {
        Failure::new(KRING_ERROR_ARGUMENT, message)
    }

    pub(crate) fn timeout() -> Failure {
        Failure::new(KRING_ERROR_TIMEOUT, "nothing came in the time that was given")
    }

    pub(crate) fn ended(what: &str) -> Failure {
        Failure::new(KRING_ERROR_ENDED, format!("{what} is over, nothing more comes"))
    }
}

/// What an operation of the facade refuses, as a code with its sentence.
macro_rules! failures {
    ($($error:ty => $code:expr),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::new($code, error)
            }
        })*
    };
}

failures! {
    kring::BindError => KRING_ERROR_BIND,
    kring::store::StoreError => KRING_ERROR_STORE,
    kring::TicketError => KRING_ERROR_TICKET,
    kring::TicketIdError => KRING_ERROR_ARGUMENT,
    kring::FingerprintError => KRING_ERROR_ARGUMENT,
    kring::RelayAddressError => KRING_ERROR_ARGUMENT,
    kring::PasscodeError => KRING_ERROR_PASSCODE,
    kring::ScanError => KRING_ERROR_ARGUMENT,
    kring::SafetyMismatch => KRING_ERROR_MISMATCH,
    kring::capture::SourceError => KRING_ERROR_SOURCE,
    kring::capture::SinkError => KRING_ERROR_SINK,
    kring::codec::PictureError => KRING_ERROR_ARGUMENT,
}

#[cfg(any(feature = "audio-io", feature = "camera"))]
failures!(kring::capture::devices::DeviceError => KRING_ERROR_SOURCE);

impl From<kring::ContactError> for Failure {
    fn from(error: kring::ContactError) -> Failure {
        let code = match error {
            kring::ContactError::Unknown { .. } => KRING_ERROR_NOT_FOUND,
            _ => KRING_ERROR_CONTACT,
        };
        Failure::new(code, error)
    }
}

impl From<kring::HomeError> for Failure {
    fn from(error: kring::HomeError) -> Failure {
        use kring::HomeError;
        match error {
            HomeError::Store(error) => error.into(),
            HomeError::Contact(error) => error.into(),
            HomeError::Ticket(error) => error.into(),
            HomeError::NoTicket { .. } => Failure::new(KRING_ERROR_NOT_FOUND, error),
            HomeError::NoSecret { .. } => Failure::new(KRING_ERROR_NO_SECRET, error),
            error => Failure::new(KRING_ERROR_INTERNAL, error),
        }
    }
}

thread_local! {
    static LAST: RefCell<Option<CString>> = const { RefCell::new(None) };
}

fn remember(message: &str) {
    // A NUL would hide the rest of the sentence.
    let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
    // While a thread ends there is nobody left to read it.
    let _ = LAST.try_with(|last| *last.borrow_mut() = Some(message));
}

/// Runs the body of a function of the header: errors become codes, and panics do not get out.
pub(crate) fn guard(body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => KRING_OK,
        Ok(Err(failure)) => {
            remember(&failure.message);
            failure.code
        }
        Err(panic) => {
            let what = panic.downcast_ref::<&str>().copied();
            let what = what.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            remember(&format!("a fault of this library: {}", what.unwrap_or("it panicked")));
            // Its destructor may panic as well.
            std::mem::forget(panic);
            KRING_ERROR_INTERNAL
        }
    }
}

/// What went wrong in the last call on this thread that failed: a sentence that says what was expected, what came and what to do.
/// "" before the first. Good until the next call on this thread; later successes leave it as it is.
#[unsafe(no_mangle)]
pub extern "C" fn kring_last_error() -> *const c_char {
    let text = LAST.try_with(|last| last.borrow().as_ref().map(|text| text.as_ptr()));
    text.ok().flatten().unwrap_or(c"".as_ptr())
}

/// The name of a result, such as "KRING_ERROR_TIMEOUT". Never NULL, good for ever.
#[unsafe(no_mangle)]
pub extern "C" fn kring_error_name(code: i32) -> *const c_char {
    name(code).as_ptr()
}

macro_rules! names {
    ($code:expr, $($name:ident),* $(,)?) => {
        match $code {
            $($name => match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            },)*
            _ => c"unknown",
        }
    };
}

fn name(code: i32) -> &'static CStr {
    names!(
        code,
        KRING_OK,
        KRING_ERROR_NULL,
        KRING_ERROR_HANDLE,
        KRING_ERROR_STRUCT_SIZE,
        KRING_ERROR_ARGUMENT,
        KRING_ERROR_UTF8,
        KRING_ERROR_BUFFER,
        KRING_ERROR_TIMEOUT,
        KRING_ERROR_ENDED,
        KRING_ERROR_STATE,
        KRING_ERROR_INTERNAL,
        KRING_ERROR_UNSUPPORTED,
        KRING_ERROR_NOT_FOUND,
        KRING_ERROR_BIND,
        KRING_ERROR_STORE,
        KRING_ERROR_TICKET,
        KRING_ERROR_CONTACT,
        KRING_ERROR_NO_SECRET,
        KRING_ERROR_SOURCE,
        KRING_ERROR_SINK,
        KRING_ERROR_PASSCODE,
        KRING_ERROR_MISMATCH,
        KRING_ERROR_RELAY,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        // SAFETY: the text is good until the next call on this thread.
        unsafe { CStr::from_ptr(kring_last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn a_panic_becomes_a_code_and_a_sentence() {
        assert_eq!(guard(|| panic!("at the disco")), KRING_ERROR_INTERNAL);
        assert!(last().ends_with("at the disco"), "{}", last());
        assert_eq!(guard(|| std::panic::panic_any(7)), KRING_ERROR_INTERNAL);
    }

    #[test]
    fn each_thread_has_its_own_last_error() {
        assert_eq!(guard(|| Err(Failure::null("a call"))), KRING_ERROR_NULL);
        std::thread::spawn(|| assert_eq!(last(), "")).join().expect("no panic");
        assert_eq!(last(), "expected a call, got NULL");
        assert_eq!(guard(|| Err(Failure::argument("one\0two"))), KRING_ERROR_ARGUMENT);
        assert_eq!(last(), "one two");
    }

    /// They are in programs that were built long ago.
    #[test]
    fn codes_are_frozen() {
        let all = [
            "KRING_OK",
            "KRING_ERROR_NULL",
            "KRING_ERROR_HANDLE",
            "KRING_ERROR_STRUCT_SIZE",
            "KRING_ERROR_ARGUMENT",
            "KRING_ERROR_UTF8",
            "KRING_ERROR_BUFFER",
            "KRING_ERROR_TIMEOUT",
            "KRING_ERROR_ENDED",
            "KRING_ERROR_STATE",
            "KRING_ERROR_INTERNAL",
            "KRING_ERROR_UNSUPPORTED",
            "KRING_ERROR_NOT_FOUND",
            "KRING_ERROR_BIND",
            "KRING_ERROR_STORE",
            "KRING_ERROR_TICKET",
            "KRING_ERROR_CONTACT",
            "KRING_ERROR_NO_SECRET",
            "KRING_ERROR_SOURCE",
            "KRING_ERROR_SINK",
            "KRING_ERROR_PASSCODE",
            "KRING_ERROR_MISMATCH",
            "KRING_ERROR_RELAY",
        ];
        for (code, expected) in all.into_iter().enumerate() {
            assert_eq!(name(-(code as i32)).to_str(), Ok(expected));
        }
        assert_eq!(name(-(all.len() as i32)), c"unknown");
    }
}
