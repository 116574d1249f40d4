//! Devices without hardware, and whether what they were given came through.

pub(crate) mod camera;
pub(crate) mod sound;

use std::process::Child;

/// A program that is gone when the test is.
pub(crate) struct Own(pub(crate) Child);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
