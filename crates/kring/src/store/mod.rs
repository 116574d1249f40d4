//! What lasts: the identity in a file, and [where](KeyStore) tickets and contacts are kept.
//!
//! Guarantee: a file appears whole or not at all, readable by its owner only; one that is there but damaged is never
//! overwritten.

mod file;
mod key_store;
#[cfg(feature = "os-key-store")]
mod os;
mod sealed;

pub use key_store::{FileStore, Item, KeyStore, StoreLock, StoreStamp};
#[cfg(feature = "os-key-store")]
pub use os::os_store;
pub use sealed::SealedStore;

use crate::clock::wall;
use kring_core::KeptError;
use kring_core::crypto::{CryptoError, default_provider};
use kring_core::identity::{Identity, IdentityError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Why something could not be loaded or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is damaged; it was left as it is.
    #[error("{}: {source}. It was left as it is; move it away to begin with a new identity", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How.
        source: IdentityError,
    },
    /// A list of tickets or contacts is damaged; it was left as it is.
    #[error("{}: {source}. It was left as it is; move it away to begin with none", path.display())]
    DamagedList {
        /// Which file.
        path: PathBuf,
        /// How.
        source: KeptError,
    },
    /// Others may read or write the file.
    #[error(
        "{} can be read or written by others (mode {mode:o}, expected 600); `chmod 600` it if nobody else has read it",
        path.display()
    )]
    Permissions {
        /// Which file.
        path: PathBuf,
        /// The mode found.
        mode: u32,
    },
    /// Something is sealed with a key that is not the one at hand.
    #[error("{} is sealed with another key than the one in the key store. It was left as it is; restore the key, or move the file away to begin anew", path.display())]
    OtherKey {
        /// Which file.
        path: PathBuf,
    },
    /// Another process listens at a relay for the same tickets and contacts.
    #[error(
        "{} is called through the relay for {}; here that begins once it has ended",
        process.map_or("another process".into(), |id| format!("process {id}")), folder.display()
    )]
    Listening {
        /// Its id, if it is known.
        process: Option<u32>,
        /// Where they are kept.
        folder: PathBuf,
    },
    /// The operating system has no key store, or does not let this program in.
    #[error("the system's key store cannot be used: {why}; unlock it, or start it")]
    NoKeyStore {
        /// What the system says.
        why: String,
    },
    /// No randomness to make a new one.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Loads the identity at `path`, or makes one there if there is none. Says whether it is new.
///
/// Renews its Noise key when the certificate is about to end; keys of tickets given out before stay valid.
///
/// # Errors
/// A [`StoreError`]; an existing file is never replaced by a new identity.
pub fn load_or_create(path: &Path) -> Result<(Identity, bool), StoreError> {
    let (identity, saving) = open(path)?;
    let Some(saving) = saving else { return Ok((identity, false)) };
    match saving.wait() {
        Ok(()) => Ok((identity, true)),
        // Another process was quicker: its identity is the one.
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            Ok((load(path)?, false))
        }
        Err(error) => Err(error),
    }
}

/// Like [`load_or_create`], but does not wait until a new identity is safe on the disk, which can take 0.1 s: an app
/// that is about to dial can do that meanwhile. The identity is not the one to keep before [`Saving::wait`] says so.
///
/// # Errors
/// A [`StoreError`]; an existing file is never replaced by a new identity.
pub fn open(path: &Path) -> Result<(Identity, Option<Saving>), StoreError> {
    match load(path) {
        Ok(mut identity) => {
            if identity.renewal_due(wall()) {
                identity.renew(&*default_provider(), wall())?;
                file::write(&identity.encode(), path, true)?;
            }
            Ok((identity, None))
        }
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let identity = Identity::generate(&*default_provider(), wall())?;
            let (bytes, to) = (identity.encode(), path.to_owned());
            let failed = |source| StoreError::Io { doing: "write", path: path.to_owned(), source };
            let thread = std::thread::Builder::new().name("kring-store".into());
            let thread = thread.spawn(move || file::write(&bytes, &to, false)).map_err(failed)?;
            Ok((identity, Some(Saving(thread))))
        }
        Err(error) => Err(error),
    }
}

/// The best place that this build knows for the secrets of `folder`: with the feature `os-key-store`, files that are sealed with
/// a key in the operating system's key store, if it has one; else plain files for their owner only.
///
/// May ask the person to unlock the key store. Not to be called from an async task.
///
/// # Errors
/// A [`StoreError`], say if files are sealed and the key store is not there.
pub fn best(folder: impl Into<PathBuf>) -> Result<Box<dyn KeyStore>, StoreError> {
    #[cfg(feature = "os-key-store")]
    return os::best(folder.into());
    #[cfg(not(feature = "os-key-store"))]
    Ok(Box::new(FileStore::new(folder)))
}

/// Loads the identity from `store`, or makes one there if there is none. Says whether it is new. Otherwise like
/// [`load_or_create`], which does this for a file.
///
/// # Errors
/// A [`StoreError`]; an existing identity is never replaced by a new one.
pub fn load_or_create_in(store: &dyn KeyStore) -> Result<(Identity, bool), StoreError> {
    // Two processes that begin at once get one identity.
    let _locked = store.lock()?;
    let Some(bytes) = store.load(Item::Identity)? else {
        let identity = Identity::generate(&*default_provider(), wall())?;
        store.save(Item::Identity, &identity.encode())?;
        return Ok((identity, true));
    };
    let damaged = |source| StoreError::Damaged { path: store.place(Item::Identity), source };
    let mut identity = Identity::decode(&bytes).map_err(damaged)?;
    if identity.renewal_due(wall()) {
        identity.renew(&*default_provider(), wall())?;
        store.save(Item::Identity, &identity.encode())?;
    }
    Ok((identity, false))
}

/// A new identity on its way to the disk.
#[must_use = "a new identity is lost unless its saving is waited for"]
pub struct Saving(JoinHandle<Result<(), StoreError>>);

impl Saving {
    /// Waits until the file is whole and safe.
    ///
    /// # Errors
    /// A [`StoreError`], say if another process has made an identity there meanwhile: that one is kept.
    pub fn wait(self) -> Result<(), StoreError> {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Loads the identity at `path`.
///
/// # Errors
/// A [`StoreError`].
pub fn load(path: &Path) -> Result<Identity, StoreError> {
    let bytes = file::read(path, Item::Identity.max_len())?;
    Identity::decode(&bytes).map_err(|source| StoreError::Damaged { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_identity_is_kept_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/identity");
        let (first, new) = load_or_create(&path).unwrap();
        assert!(new);
        let (again, new) = load_or_create(&path).unwrap();
        assert!(!new);
        assert_eq!(first.public(), again.public());
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone_and_another_mode_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load_or_create(&path), Err(StoreError::Permissions { mode: 0o644, .. })));
    }

    #[test]
    fn a_damaged_file_is_a_clear_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        load_or_create(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = load_or_create(&path).err().unwrap();
        assert!(error.to_string().contains("left as it is"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(load_or_create(&path), Err(StoreError::Damaged { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_store_gives_the_same_identity_as_its_file_and_a_sealed_one_takes_it_over() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = load_or_create(&dir.path().join("identity")).unwrap();
        let (again, new) = load_or_create_in(&FileStore::new(dir.path())).unwrap();
        assert!(!new && again.public() == first.public());
        let sealed = || SealedStore::new(FileStore::new(dir.path()), zeroize::Zeroizing::new([1; 32]));
        let (same, new) = load_or_create_in(&sealed()).unwrap();
        assert!(!new && same.public() == first.public());
        std::fs::remove_file(dir.path().join("identity")).unwrap();
        let (other, new) = load_or_create_in(&sealed()).unwrap();
        assert!(new && other.public() != first.public());
        assert!(load_or_create_in(&sealed()).unwrap().0.public() == other.public());
        assert!(matches!(load(&dir.path().join("identity")), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn two_processes_that_begin_at_once_get_one_identity() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        let keys: Vec<_> = std::thread::scope(|s| {
            let threads: Vec<_> =
                (0..8).map(|_| s.spawn(|| load_or_create(&path).unwrap().0.public())).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|k| *k == keys[0]));
    }
}
