//! Where secrets that last are kept: files by default, or what an app brings.
//!
//! Guarantee: a [`FileStore`] never replaces one whole content by anything but another whole one, and lets one process
//! change it at a time.

use super::{StoreError, file};
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a seal around a content may add, in bytes.
const SEAL: usize = 64;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Item {
    /// The device's identity.
    Identity,
    /// The tickets that were given out.
    Tickets,
    /// Contacts, and who is blocked.
    Contacts,
    /// Which tickets take a passcode, and how often somebody has guessed.
    Passcodes,
}

impl Item {
    /// A name for it, fit for a file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Item::Identity => "identity",
            Item::Tickets => "tickets",
            Item::Contacts => "contacts",
            Item::Passcodes => "passcodes",
        }
    }

    /// The most bytes that it takes.
    #[must_use]
    pub const fn max_len(self) -> usize {
        match self {
            Item::Identity => 4096,
            Item::Tickets => 128 << 10,
            Item::Contacts => 2 << 20,
            Item::Passcodes => 512 << 10,
        }
    }
}

/// Keeps secrets over the end of a process: an operating system's key store, or [`FileStore`].
///
/// Everything here may block, for a disk's time.
///
/// ```
/// use kring::store::{Item, KeyStore, StoreError};
/// use std::collections::HashMap;
/// use std::path::PathBuf;
/// use std::sync::Mutex;
/// use zeroize::Zeroizing;
///
/// /// Secrets that end with the process.
/// #[derive(Default)]
/// struct InMemory(Mutex<HashMap<Item, Zeroizing<Vec<u8>>>>);
///
/// impl KeyStore for InMemory {
///     fn load(&self, item: Item) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
///         Ok(self.0.lock().unwrap().get(&item).cloned())
///     }
///
///     fn save(&self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
///         self.0.lock().unwrap().insert(item, Zeroizing::new(bytes.to_vec()));
///         Ok(())
///     }
///
///     fn place(&self, item: Item) -> PathBuf {
///         PathBuf::from("memory").join(item.name())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = InMemory::default();
/// let (identity, new) = kring::store::load_or_create_in(&store)?;
/// assert!(new);
/// let (same, new) = kring::store::load_or_create_in(&store)?;
/// assert!(!new && same.public() == identity.public());
/// # Ok(())
/// # }
/// ```
pub trait KeyStore: Send + Sync + 'static {
    /// What was saved last; `None` if nothing ever was. To be wiped when dropped.
    ///
    /// # Errors
    /// A [`StoreError`] if it cannot be read; that is not the same as nothing.
    fn load(&self, item: Item) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;

    /// Replaces what was saved before, whole or not at all, and returns once it would survive a crash.
    ///
    /// # Errors
    /// A [`StoreError`]; what was saved before is still there then.
    fn save(&self, item: Item, bytes: &[u8]) -> Result<(), StoreError>;

    /// Where `item` is kept, for messages to people.
    fn place(&self, item: Item) -> PathBuf;

    /// Waits until no other process changes anything here, and keeps it so until the lock is dropped.
    ///
    /// # Errors
    /// A [`StoreError`].
    fn lock(&self) -> Result<StoreLock, StoreError> {
        Ok(StoreLock(None))
    }

    /// Lets this process be called through a relay for the tickets and contacts that are kept here, and no other, until the lock
    /// is dropped: a relay brings a call to one of those who listen only.
    ///
    /// # Errors
    /// [`StoreError::Listening`] while another process has it.
    fn listen(&self) -> Result<StoreLock, StoreError> {
        Ok(StoreLock(None))
    }

    /// Something that is different whenever `item` was saved, by whomever; `None` where nobody else saves anything.
    fn stamp(&self, item: Item) -> Option<StoreStamp> {
        let _ = item;
        None
    }
}

impl KeyStore for Box<dyn KeyStore> {
    fn load(&self, item: Item) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        (**self).load(item)
    }

    fn save(&self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
        (**self).save(item, bytes)
    }

    fn place(&self, item: Item) -> PathBuf {
        (**self).place(item)
    }

    fn lock(&self) -> Result<StoreLock, StoreError> {
        (**self).lock()
    }

    fn listen(&self) -> Result<StoreLock, StoreError> {
        (**self).listen()
    }

    fn stamp(&self, item: Item) -> Option<StoreStamp> {
        (**self).stamp(item)
    }
}

/// Nobody else changes a store while this is there.
#[must_use]
pub struct StoreLock(Option<File>);

impl StoreLock {
    /// By a file that is locked, or by nothing where nobody else is there.
    pub const fn new(file: Option<File>) -> StoreLock {
        StoreLock(file)
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            let _ = file.unlock();
        }
    }
}

/// Tells one saved content from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStamp(pub [u64; 4]);

impl StoreStamp {
    fn of(about: &Metadata) -> StoreStamp {
        let since = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let nanoseconds = since.unwrap_or_default().as_nanos() as u64;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(about);
        #[cfg(not(unix))]
        let inode = 0;
        StoreStamp([inode, nanoseconds, about.len(), 0])
    }
}

/// Files in a folder, for their owner only.
pub struct FileStore {
    folder: PathBuf,
}

impl FileStore {
    /// Keeps everything in `folder`, which is made when there is something to keep.
    pub fn new(folder: impl Into<PathBuf>) -> FileStore {
        FileStore { folder: folder.into() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn lock_file(&self, name: &str) -> Result<(PathBuf, File), StoreError> {
        let path = self.folder.join(name);
        let failed = |source| StoreError::Io { doing: "lock", path: path.clone(), source };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        // Nobody else is to hold it up.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        Ok((path, file))
    }
}

impl KeyStore for FileStore {
    fn load(&self, item: Item) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match file::read(&self.place(item), item.max_len() + SEAL) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn save(&self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
        file::write(bytes, &self.place(item), true)
    }

    fn place(&self, item: Item) -> PathBuf {
        self.folder.join(item.name())
    }

    fn lock(&self) -> Result<StoreLock, StoreError> {
        let (path, file) = self.lock_file("lock")?;
        file.lock().map_err(|source| StoreError::Io { doing: "lock", path, source })?;
        Ok(StoreLock(Some(file)))
    }

    fn listen(&self) -> Result<StoreLock, StoreError> {
        let (path, mut file) = self.lock_file("listening")?;
        let mut process = String::new();
        match file.try_lock() {
            Ok(()) => {
                // Only for the message below; without it that says less.
                let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                Ok(StoreLock(Some(file)))
            }
            Err(TryLockError::WouldBlock) => {
                let _ = file.take(10).read_to_string(&mut process);
                Err(StoreError::Listening { process: process.parse().ok(), folder: self.folder.clone() })
            }
            Err(TryLockError::Error(source)) => Err(StoreError::Io { doing: "lock", path, source }),
        }
    }

    fn stamp(&self, item: Item) -> Option<StoreStamp> {
        // What is not there has a stamp too, so that its appearance shows.
        Some(
            std::fs::metadata(self.place(item)).map_or(StoreStamp::default(), |about| StoreStamp::of(&about)),
        )
    }
}
