//! Files with secrets.
//!
//! Guarantee: what is written appears whole or not at all, with mode 0600; what others may read or write is not read.

use super::StoreError;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads at most `most` bytes and one more, by which a longer file shows.
pub(super) fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let failed = |source| StoreError::Io { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(StoreError::Permissions { path: path.to_owned(), mode });
        }
    }
    // Reserved in full, so that no copy of a key is left behind by growing.
    let len = usize::try_from(about.len()).unwrap_or(most).min(most);
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 1));
    file.take(len as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Writes a file, and if there is one already, replaces it or fails.
pub(super) fn write(bytes: &[u8], path: &Path, replace: bool) -> Result<(), StoreError> {
    let failed = |source| StoreError::Io { doing: "write", path: path.to_owned(), source };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    // tempfile makes it with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let kept = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map_err(|e| failed(e.error))?;
    // The name is on disk only once the folder is.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}
