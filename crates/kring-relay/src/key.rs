//! The relay's key: drawn at each start, or kept in a file.
//!
//! Guarantee: the file appears whole or not at all, and is for its owner alone.

use kring_net::relay::hop::RelayKey;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file can't be read or written.
    #[error("the key file {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is something else in it.
    #[error("expected a P-256 key in PKCS #8 in {}; remove the file to have a new one made", .path.display())]
    Form {
        /// Which.
        path: PathBuf,
    },
    /// None can be drawn.
    #[error(transparent)]
    Tls(#[from] kring_net::BindError),
}

/// The longest file that can hold a key.
const MAX_LEN: u64 = 4096;

/// The key in `path`, made if there is none; without a path a new one.
pub(crate) fn load(path: Option<&Path>) -> Result<RelayKey, KeyError> {
    let Some(path) = path else { return Ok(RelayKey::generate()?) };
    let failed = |source| KeyError::File { path: path.into(), source };
    match std::fs::metadata(path) {
        Ok(about) if about.len() > MAX_LEN => return Err(KeyError::Form { path: path.into() }),
        Ok(_) => {
            let bytes = zeroize::Zeroizing::new(std::fs::read(path).map_err(failed)?);
            let key = RelayKey::from_pkcs8(&bytes);
            return key.pin().map(|_| key).map_err(|_| KeyError::Form { path: path.into() });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let key = RelayKey::generate()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // For its owner alone, as temporary files are.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&key.to_pkcs8()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_for_its_owner_and_a_damaged_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = load(Some(&path)).unwrap().pin().unwrap();
        assert_eq!(load(Some(&path)).unwrap().pin().unwrap(), first);
        assert_ne!(load(None).unwrap().pin().unwrap(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, b"no key").unwrap();
        assert!(matches!(load(Some(&path)), Err(KeyError::Form { .. })));
        assert!(matches!(load(Some(&folder.path().join("none/key"))), Err(KeyError::File { .. })));
    }
}
