//! Which library this is, and whether a program fits it.

use std::ffi::{CStr, c_char};

/// The ABI that this header describes: 65536 × major + minor. Of one major version, functions, constants and fields at the end of
/// structs are only ever added, each with a higher minor version.
pub const KRING_ABI_VERSION: u32 = (1 << 16) + 1;

/// The ABI that the library has. A program fits it if the major versions are the same and the library's minor version is not lower:
/// `kring_abi_version() >> 16 == KRING_ABI_VERSION >> 16 && kring_abi_version() >= KRING_ABI_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn kring_abi_version() -> u32 {
    KRING_ABI_VERSION
}

/// The library's version, such as "0.1.0". Good for ever.
#[unsafe(no_mangle)]
pub extern "C" fn kring_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version holds no NUL"),
        };
    VERSION.as_ptr()
}

/// The library has Opus, for sound.
pub const KRING_FEATURE_OPUS: u32 = 1;
/// The library has H.264, for pictures.
pub const KRING_FEATURE_H264: u32 = 2;
/// The library has the machine's microphones and speakers.
pub const KRING_FEATURE_AUDIO_IO: u32 = 4;
/// The library has the machine's cameras.
pub const KRING_FEATURE_CAMERA: u32 = 8;
/// The library can seal secrets with a key of the system's key store.
pub const KRING_FEATURE_OS_KEY_STORE: u32 = 16;

/// What this build of the library has: a sum of KRING_FEATURE_ values.
#[unsafe(no_mangle)]
pub extern "C" fn kring_features() -> u32 {
    let has = |there: bool, feature: u32| if there { feature } else { 0 };
    has(cfg!(feature = "opus"), KRING_FEATURE_OPUS)
        | has(cfg!(feature = "h264"), KRING_FEATURE_H264)
        | has(cfg!(feature = "audio-io"), KRING_FEATURE_AUDIO_IO)
        | has(cfg!(feature = "camera"), KRING_FEATURE_CAMERA)
        | has(cfg!(feature = "os-key-store"), KRING_FEATURE_OS_KEY_STORE)
}
