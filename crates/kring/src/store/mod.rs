//! What lasts: the identity in a file, and [where](KeyStore) tickets and contacts are kept.
//!
//! Guarantee: a file appears whole or not at all, readable by its owner only; one that is there but damaged is never
//! overwritten.

mod file;
mod key_store;

pub use key_store::{FileStore, Item, KeyStore, StoreLock, StoreStamp};

use crate::clock::wall;
use kring_core::KeptError;
use kring_core::crypto::{CryptoError, default_provider};
use kring_core::identity::{Identity, IdentityError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// No identity is longer, in bytes.
const MAX_LEN: usize = 4096;

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
    let bytes = file::read(path, MAX_LEN)?;
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
