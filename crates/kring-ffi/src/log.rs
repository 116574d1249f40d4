//! What the library logs, to a function of the program's.
//!
//! Guarantee: only Kring's own lines go out, which hold no secret, whatever the level; those of the libraries beneath, for which Kring does
//! not vouch, never do. Nothing is called once it is switched off, but for what is under way then.

use crate::callback::{UserData, kring_drop_fn};
use crate::error::{Failure, KRING_ERROR_STATE, guard};
use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Level, Metadata, Subscriber};

/// Nothing is logged.
pub const KRING_LOG_OFF: u32 = 0;
/// Something is broken.
pub const KRING_LOG_ERROR: u32 = 1;
/// Something was not done that somebody will miss.
pub const KRING_LOG_WARN: u32 = 2;
/// What happens, rarely more than a line a minute.
pub const KRING_LOG_INFO: u32 = 3;
/// What helps to find a mistake, such as why a stranger's packet was dropped.
pub const KRING_LOG_DEBUG: u32 = 4;

/// Takes a line of the log: its level, the part of the library that it comes from, such as "kring_net::path", and a sentence. The texts are the
/// library's and good until it returns.
///
/// Called on any thread, also on yours while they are in a function of this header, and on several at once. It must not call functions
/// of this header, and must not wait.
pub type kring_log_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, level: u32, target: *const c_char, message: *const c_char),
>;

struct Sink {
    callback: unsafe extern "C" fn(*mut c_void, u32, *const c_char, *const c_char),
    data: UserData,
}

static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);
/// A KRING_LOG_ value.
static LEVEL: AtomicU32 = AtomicU32::new(KRING_LOG_OFF);
/// Whether this library's is the process's subscriber.
static INSTALLED: OnceLock<bool> = OnceLock::new();

thread_local! {
    /// A callback runs on this thread; what is logged meanwhile has nowhere to go.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => KRING_LOG_ERROR,
        Level::WARN => KRING_LOG_WARN,
        Level::INFO => KRING_LOG_INFO,
        Level::DEBUG => KRING_LOG_DEBUG,
        _ => u32::MAX,
    }
}

/// Those of Kring's crates, whose names begin alike.
fn is_own(metadata: &Metadata<'_>) -> bool {
    let name = metadata.target().split("::").next().unwrap_or_default();
    metadata.is_event() && (name == "kring" || name.starts_with("kring_"))
}

/// Hands lines on; knows no spans.
struct Lines;

impl Subscriber for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_own(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_own(metadata) && number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed)
    }

    /// The highest: which level it is now is asked with each line.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(sink) = sink else { return };
        if WITHIN.replace(true) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let line = |text: String| CString::new(text.replace('\0', " ")).unwrap_or_default();
        let (target, message) = (line(event.metadata().target().into()), line(text.message + &text.fields));
        let level = number(*event.metadata().level());
        // SAFETY: the header says so of this function and this pointer.
        unsafe { (sink.callback)(sink.data.pointer(), level, target.as_ptr(), message.as_ptr()) };
        // What was switched off meanwhile is dropped here, which is still within.
        drop(sink);
        WITHIN.set(false);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A sentence, and what belongs to it as name=value.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// Switches off.
pub(crate) fn off() {
    LEVEL.store(KRING_LOG_OFF, Ordering::Relaxed);
    let before = SINK.write().unwrap_or_else(PoisonError::into_inner).take();
    drop(before);
}

/// Has what the library logs, up to `level` (a KRING_LOG_ value), go to `callback` instead of to the one before, whose data is dropped.
/// KRING_LOG_OFF ends that, `callback` may be NULL then; kring_shutdown does as well. Lines hold no secrets: no keys, no tickets, nothing that
/// is said or shown; but addresses, and names of files.
///
/// KRING_ERROR_STATE if a Rust part of this process takes the log already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_log(
    level: u32,
    callback: kring_log_fn,
    user_data: *mut c_void,
    drop_fn: kring_drop_fn,
) -> i32 {
    let data = UserData::new(user_data, drop_fn);
    guard(move || {
        if level > KRING_LOG_DEBUG {
            return Err(Failure::argument(format!("expected a KRING_LOG_ value, got {level}")));
        }
        if level == KRING_LOG_OFF {
            off();
            return Ok(());
        }
        let callback = callback.ok_or_else(|| Failure::null("a callback"))?;
        if !*INSTALLED.get_or_init(|| set_global_default(Lines).is_ok()) {
            return Err(Failure::new(KRING_ERROR_STATE, "the log of this process goes elsewhere already"));
        }
        let sink = Arc::new(Sink { callback, data });
        let before = SINK.write().unwrap_or_else(PoisonError::into_inner).replace(sink);
        drop(before);
        LEVEL.store(level, Ordering::Relaxed);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{KRING_ERROR_ARGUMENT, KRING_ERROR_NULL, KRING_OK};
    use std::ffi::CStr;
    use std::sync::Mutex;

    static TAKEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

    unsafe extern "C" fn take(_: *mut c_void, level: u32, target: *const c_char, message: *const c_char) {
        // SAFETY: the library's own texts.
        let (target, message) = unsafe { (CStr::from_ptr(target), CStr::from_ptr(message)) };
        let line = format!("{level} {} {}", target.to_string_lossy(), message.to_string_lossy());
        // It has nowhere to go.
        tracing::error!(target: "kring_test", "from within");
        TAKEN.lock().expect("no panic").push(line);
    }

    unsafe extern "C" fn dropped(_: *mut c_void) {
        TAKEN.lock().expect("no panic").push("dropped".into());
    }

    /// One test, for the log is the process's.
    #[test]
    fn only_lines_of_kring_go_out_up_to_the_level_and_none_once_it_is_off() {
        let to = |level| {
            // SAFETY: the functions use no data.
            unsafe { kring_log(level, Some(take), std::ptr::null_mut(), Some(dropped)) }
        };
        let taken = || std::mem::take(&mut *TAKEN.lock().expect("no panic"));
        let say = || {
            tracing::warn!(target: "kring_test::part", why = "so", count = 3, "a line");
            tracing::debug!(target: "kring_test::part", "more");
            tracing::error!(target: "quinn", "what Kring does not vouch for");
            tracing::error!(target: "kringel", "a stranger");
            tracing::error_span!(target: "kring_test", "a span").in_scope(|| ());
        };
        say();
        assert_eq!(to(KRING_LOG_INFO), KRING_OK);
        say();
        assert_eq!(taken(), ["2 kring_test::part a line why=\"so\" count=3"]);
        assert_eq!(to(KRING_LOG_DEBUG), KRING_OK);
        say();
        assert_eq!(
            taken(),
            ["dropped", "2 kring_test::part a line why=\"so\" count=3", "4 kring_test::part more"]
        );
        assert_eq!(to(9), KRING_ERROR_ARGUMENT);
        assert_eq!(to(KRING_LOG_OFF), KRING_OK);
        assert_eq!(
            taken(),
            ["dropped", "dropped", "dropped"],
            "both that were handed over in vain, and the one before"
        );
        say();
        assert!(taken().is_empty());
        // SAFETY: it is seen that there is no function.
        assert_eq!(unsafe { kring_log(1, None, std::ptr::null_mut(), None) }, KRING_ERROR_NULL);
    }
}
