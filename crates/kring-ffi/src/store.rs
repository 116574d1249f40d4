//! Where secrets are kept over the end of a process.

use crate::callback::{UserData, kring_drop_fn};
use crate::error::{Failure, KRING_ERROR_ARGUMENT, KRING_ERROR_NOT_FOUND, KRING_OK, guard};
use crate::{handle, sized, text};
use kring::store::{FileStore, Item, KeyStore, StoreError, StoreLock, StoreStamp};
use std::ffi::{c_char, c_void};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A place for an identity, tickets and contacts. It may be freed once it was used.
pub type kring_store = u64;

/// A store that several have a part in.
#[derive(Clone)]
pub(crate) struct SharedStore(Arc<dyn KeyStore>);

/// What a `kring_store` stands for.
pub(crate) struct StoreObject(pub(crate) SharedStore);

impl KeyStore for SharedStore {
    fn load(&self, item: Item) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.0.load(item)
    }

    fn save(&self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.save(item, bytes)
    }

    fn place(&self, item: Item) -> PathBuf {
        self.0.place(item)
    }

    fn lock(&self) -> Result<StoreLock, StoreError> {
        self.0.lock()
    }

    fn listen(&self) -> Result<StoreLock, StoreError> {
        self.0.listen()
    }

    fn stamp(&self, item: Item) -> Option<StoreStamp> {
        self.0.stamp(item)
    }
}

unsafe fn write(store: *mut kring_store, new: impl KeyStore) -> Result<(), Failure> {
    let object = StoreObject(SharedStore(Arc::new(new)));
    // SAFETY: the caller's promise.
    unsafe { handle::write(store, Arc::new(object)) }
}

/// Plain files in `folder`, for their owner only. Nothing is made or opened yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_store_files(folder: *const c_char, store: *mut kring_store) -> i32 {
    guard(|| {
        handle::check::<StoreObject>(store)?;
        // SAFETY: the caller's promise.
        unsafe { write(store, FileStore::new(text::get(folder, "a folder")?)) }
    })
}

/// The best place that this build knows for the secrets of `folder`: files that are sealed with a key in the system's key store if it was
/// built with that and there is one, else plain files. May ask the person to unlock the key store.
///
/// KRING_ERROR_STORE, say if files are sealed and the key store is not there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_store_best(folder: *const c_char, store: *mut kring_store) -> i32 {
    guard(|| {
        handle::check::<StoreObject>(store)?;
        // SAFETY: the caller's promise.
        unsafe { write(store, kring::store::best(text::get(folder, "a folder")?)?) }
    })
}

/// Files in `folder`, sealed with a key in the system's key store. May ask the person to unlock it.
///
/// KRING_ERROR_UNSUPPORTED; KRING_ERROR_STORE if there is no key store, or it does not let this program in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_store_system(folder: *const c_char, store: *mut kring_store) -> i32 {
    guard(|| {
        handle::check::<StoreObject>(store)?;
        // SAFETY: the caller's promise.
        let folder = unsafe { text::get(folder, "a folder") }?;
        #[cfg(feature = "os-key-store")]
        // SAFETY: the caller's promise.
        return unsafe { write(store, kring::store::os_store(folder)?) };
        #[cfg(not(feature = "os-key-store"))]
        Err(crate::media::unsupported(&format!("for the system's key store of {folder:?}"), "os-key-store"))
    })
}

/// The identity: a secret.
pub const KRING_ITEM_IDENTITY: u32 = 0;
/// The tickets that were given out: secrets.
pub const KRING_ITEM_TICKETS: u32 = 1;
/// The contacts: secrets.
pub const KRING_ITEM_CONTACTS: u32 = 2;
/// The passcodes of tickets: secrets.
pub const KRING_ITEM_PASSCODES: u32 = 3;

/// A store of the program's own. Its functions are called by any thread, one at a time for each item; they may block for a disk's time and
/// must not call functions of this header. Only one process may use what it keeps.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_store_callbacks {
    /// sizeof(kring_store_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Given to each function.
    pub user_data: *mut c_void,
    /// Writes what was saved last of a KRING_ITEM_ value to `buffer` and its length to `length`. KRING_OK; KRING_ERROR_NOT_FOUND if nothing
    /// ever was; anything else if it cannot be read. The buffer holds whatever may be saved; it is wiped after use.
    pub load: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            item: u32,
            buffer: *mut u8,
            capacity: usize,
            length: *mut usize,
        ) -> i32,
    >,
    /// Replaces what was saved before, whole or not at all. KRING_OK once it would survive a crash; anything else if what was before is
    /// still there.
    pub save: Option<
        unsafe extern "C" fn(user_data: *mut c_void, item: u32, bytes: *const u8, length: usize) -> i32,
    >,
    /// Frees user_data.
    pub drop_fn: kring_drop_fn,
}

sized::versioned!(kring_store_callbacks, size_of::<kring_store_callbacks>());

/// A store by functions.
struct Callbacks {
    functions: kring_store_callbacks,
    data: UserData,
}

// SAFETY: the header says that its functions and its data are used by any thread.
unsafe impl Send for Callbacks {}
// SAFETY: as above.
unsafe impl Sync for Callbacks {}

fn number(item: Item) -> Option<u32> {
    match item {
        Item::Identity => Some(KRING_ITEM_IDENTITY),
        Item::Tickets => Some(KRING_ITEM_TICKETS),
        Item::Contacts => Some(KRING_ITEM_CONTACTS),
        Item::Passcodes => Some(KRING_ITEM_PASSCODES),
        _ => None,
    }
}

impl Callbacks {
    fn refused(&self, doing: &'static str, item: Item, code: i32) -> StoreError {
        let source = io::Error::other(format!("the program's function gave {code}"));
        StoreError::Io { doing, path: self.place(item), source }
    }
}

impl KeyStore for Callbacks {
    fn load(&self, item: Item) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let (Some(load), Some(number)) = (self.functions.load, number(item)) else {
            return Err(self.refused("load", item, KRING_ERROR_ARGUMENT));
        };
        let mut bytes = Zeroizing::new(vec![0; item.max_len()]);
        let mut length = 0;
        // SAFETY: the header says so of this function; the buffer is as long as is said.
        let code = unsafe { load(self.data.pointer(), number, bytes.as_mut_ptr(), bytes.len(), &mut length) };
        match code {
            KRING_OK if length <= bytes.len() => {
                bytes.truncate(length);
                Ok(Some(bytes))
            }
            KRING_ERROR_NOT_FOUND => Ok(None),
            code => Err(self.refused("load", item, code)),
        }
    }

    fn save(&self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
        let (Some(save), Some(number)) = (self.functions.save, number(item)) else {
            return Err(self.refused("save", item, KRING_ERROR_ARGUMENT));
        };
        // SAFETY: the header says so of this function.
        match unsafe { save(self.data.pointer(), number, bytes.as_ptr(), bytes.len()) } {
            KRING_OK => Ok(()),
            code => Err(self.refused("save", item, code)),
        }
    }

    fn place(&self, item: Item) -> PathBuf {
        PathBuf::from("the program's store").join(item.name())
    }
}

/// A store of the program's own. `drop_fn` is called when neither the handle nor an endpoint or home needs it any more, and also if this
/// fails, unless `callbacks` cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_store_new(
    callbacks: *const kring_store_callbacks,
    store: *mut kring_store,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let functions = unsafe { sized::read(callbacks) }?;
        let data = UserData::new(functions.user_data, functions.drop_fn);
        handle::check::<StoreObject>(store)?;
        if functions.load.is_none() || functions.save.is_none() {
            return Err(Failure::null("both functions of a store"));
        }
        // SAFETY: the caller's promise.
        unsafe { write(store, Callbacks { functions, data }) }
    })
}

/// Lets go of the store; endpoints and homes that use it go on.
#[unsafe(no_mangle)]
pub extern "C" fn kring_store_free(store: kring_store) -> i32 {
    guard(|| handle::take::<StoreObject>(store).map(drop))
}
