//! Handles: numbers that stand for what the library keeps.
//!
//! Guarantee: a number that was never given out, or whose object was freed or used up, or that stands for something else, is an error.
//! (A number comes again only after its place was used 2^31 times.) What a function works with stays alive until it returns, whatever
//! other threads free meanwhile.

use crate::audio_source::AudioInput;
use crate::call::CallObject;
use crate::endpoint::EndpointObject;
use crate::error::{Failure, KRING_ERROR_HANDLE};
use crate::home::HomeObject;
use crate::incoming::IncomingObject;
use crate::knock::KnockObject;
use crate::list::List;
use crate::media::MediaObject;
use crate::store::StoreObject;
use crate::video_source::VideoInput;
use slotmap::{DefaultKey, Key, KeyData, SlotMap};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

static TABLE: LazyLock<RwLock<SlotMap<DefaultKey, Object>>> = LazyLock::new(RwLock::default);

/// What a handle may stand for.
pub(crate) trait Kind: Sized {
    const NAME: &'static str;
    fn wrap(object: Arc<Self>) -> Object;
    fn of(object: &Object) -> Option<&Arc<Self>>;
}

macro_rules! kinds {
    ($($variant:ident($type:ty) = $name:literal),* $(,)?) => {
        pub(crate) enum Object {
            $($variant(Arc<$type>),)*
        }

        $(impl Kind for $type {
            const NAME: &'static str = $name;

            fn wrap(object: Arc<Self>) -> Object {
                Object::$variant(object)
            }

            fn of(object: &Object) -> Option<&Arc<Self>> {
                match object {
                    Object::$variant(object) => Some(object),
                    _ => None,
                }
            }
        })*
    };
}

kinds! {
    Endpoint(EndpointObject) = "kring_endpoint",
    Call(CallObject) = "kring_call",
    Incoming(IncomingObject) = "kring_incoming",
    Knock(KnockObject) = "kring_knock",
    Media(MediaObject) = "kring_media",
    Store(StoreObject) = "kring_store",
    Home(HomeObject) = "kring_home",
    List(List) = "kring_list",
    AudioInput(AudioInput) = "kring_audio_input",
    VideoInput(VideoInput) = "kring_video_input",
}

fn key(handle: u64) -> DefaultKey {
    KeyData::from_ffi(handle).into()
}

fn invalid<T: Kind>(handle: u64) -> Failure {
    let name = T::NAME;
    Failure::new(
        KRING_ERROR_HANDLE,
        format!(
            "expected a {name}, got {handle:#x}, which is none: freed, used up, of another kind, or never given out"
        ),
    )
}

/// Gives out a handle for `object`.
pub(crate) fn put<T: Kind>(object: Arc<T>) -> u64 {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    table.insert(T::wrap(object)).data().as_ffi()
}

/// What `handle` stands for.
pub(crate) fn get<T: Kind>(handle: u64) -> Result<Arc<T>, Failure> {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    table.get(key(handle)).and_then(T::of).cloned().ok_or_else(|| invalid::<T>(handle))
}

/// What `handle` stood for: from now on it stands for nothing.
pub(crate) fn take<T: Kind>(handle: u64) -> Result<Arc<T>, Failure> {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let fits = table.get(key(handle)).and_then(T::of).is_some();
    let taken = fits.then(|| table.remove(key(handle))).flatten();
    // What is taken out is dropped, if at all, with the lock released: its end may call back.
    drop(table);
    taken.as_ref().and_then(T::of).cloned().ok_or_else(|| invalid::<T>(handle))
}

/// Takes everything out.
pub(crate) fn take_all() -> Vec<Object> {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    table.drain().map(|(_, object)| object).collect()
}

/// Writes a handle where the program wants it.
///
/// # Safety
/// `to` is NULL or may be written.
pub(crate) unsafe fn write<T: Kind>(to: *mut u64, object: Arc<T>) -> Result<(), Failure> {
    check::<T>(to)?;
    // SAFETY: the caller's promise.
    unsafe { to.write_unaligned(put(object)) };
    Ok(())
}

/// Checks where a handle is going to be written, before anything is done.
pub(crate) fn check<T: Kind>(to: *mut u64) -> Result<(), Failure> {
    if to.is_null() { Err(Failure::null(&format!("a pointer to a {}", T::NAME))) } else { Ok(()) }
}
