//! What the tests share: files that vanish.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A file name of its own, whose file is removed in the end.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kring-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn holding(content: &[u8]) -> Self {
        let file = Self::new();
        std::fs::write(&file, content).unwrap();
        file
    }
}

impl AsRef<Path> for Temporary {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Long enough ago that everything in a test's file is due and nothing waits.
pub(crate) fn long_ago() -> Instant {
    Instant::now().checked_sub(Duration::from_secs(60)).unwrap()
}
