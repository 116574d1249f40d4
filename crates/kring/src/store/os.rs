//! The operating system's key store: Keychain, Credential Manager, or a Secret Service on D-Bus.
//!
//! Guarantee: it holds one key for a folder, with which the folder's files are sealed; where sealed files are and their key is
//! not, nothing is made anew.

use super::sealed::is_sealed;
use super::{FileStore, Item, KeyStore, SealedStore, StoreError};
use keyring::{Entry, Error};
use kring_core::crypto::{Secret32, default_provider};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const SERVICE: &str = "kring";

/// The files of `folder`, sealed with a key in the operating system's key store; it is made there if no file needs one yet.
///
/// Asks the system, which may ask the person to unlock it. Not to be called from an async task.
///
/// # Errors
/// [`StoreError::NoKeyStore`] if there is no key store, or it does not let this program in; [`StoreError::OtherKey`] if there
/// are sealed files and no key for them.
pub fn os_store(folder: impl Into<PathBuf>) -> Result<SealedStore<FileStore>, StoreError> {
    let files = FileStore::new(folder);
    let locked = files.lock()?;
    let entry = entry(files.folder())?;
    let key = match entry.get_secret().map(Zeroizing::new) {
        Ok(bytes) => match <[u8; 32]>::try_from(&bytes[..]) {
            Ok(key) => Zeroizing::new(key),
            Err(_) => return Err(StoreError::OtherKey { path: files.folder().to_owned() }),
        },
        Err(Error::NoEntry) => match first_sealed(&files)? {
            Some(path) => return Err(StoreError::OtherKey { path }),
            None => new_key(&entry)?,
        },
        Err(error) => return Err(no_key_store(error)),
    };
    drop(locked);
    Ok(SealedStore::new(files, key))
}

/// [`os_store`] if the system has one; else plain files.
///
/// # Errors
/// A [`StoreError`]; where files are sealed and the key store is not there, they are not replaced by plain ones.
pub(super) fn best(folder: PathBuf) -> Result<Box<dyn KeyStore>, StoreError> {
    match os_store(&folder) {
        Ok(store) => Ok(Box::new(store)),
        Err(StoreError::NoKeyStore { why }) => {
            let files = FileStore::new(folder);
            match first_sealed(&files)? {
                Some(_) => Err(StoreError::NoKeyStore { why }),
                None => Ok(Box::new(files)),
            }
        }
        Err(error) => Err(error),
    }
}

fn entry(folder: &Path) -> Result<Entry, StoreError> {
    let failed = |source| StoreError::Io { doing: "find", path: folder.to_owned(), source };
    // It exists, as its lock is held. Each folder has a key of its own.
    let whole = folder.canonicalize().map_err(failed)?;
    Entry::new(SERVICE, &whole.to_string_lossy()).map_err(no_key_store)
}

fn first_sealed(files: &FileStore) -> Result<Option<PathBuf>, StoreError> {
    for item in [Item::Identity, Item::Tickets, Item::Contacts, Item::Passcodes] {
        if files.load(item)?.is_some_and(|bytes| is_sealed(&bytes)) {
            return Ok(Some(files.place(item)));
        }
    }
    Ok(None)
}

fn new_key(entry: &Entry) -> Result<Secret32, StoreError> {
    let mut key = Zeroizing::new([0; 32]);
    default_provider().random(&mut *key)?;
    entry.set_secret(&*key).map_err(no_key_store)?;
    // Some stores take a secret and forget it.
    let back = entry.get_secret().map(Zeroizing::new).map_err(no_key_store)?;
    if back[..] != key[..] {
        return Err(StoreError::NoKeyStore { why: "it does not give back what it was given".into() });
    }
    Ok(key)
}

fn no_key_store(error: Error) -> StoreError {
    StoreError::NoKeyStore { why: error.to_string() }
}
