//! Microphones, speakers and cameras of this machine. Listing opens nothing.

use crate::error::{Failure, guard};
use crate::handle;
use crate::list::{List, kring_device, kring_list};
use std::sync::Arc;

/// What takes in sound.
pub const KRING_DEVICE_MICROPHONE: u32 = 0;
/// What plays sound.
pub const KRING_DEVICE_SPEAKER: u32 = 1;
/// What takes in pictures.
pub const KRING_DEVICE_CAMERA: u32 = 2;

#[cfg(any(feature = "audio-io", feature = "camera"))]
fn list(kind: u32) -> Result<Vec<kring_device>, Failure> {
    use crate::text::fixed;
    let all = kring::capture::devices::list()?;
    let devices = match kind {
        KRING_DEVICE_MICROPHONE => all.microphones,
        KRING_DEVICE_SPEAKER => all.speakers,
        _ => all.cameras,
    };
    let device = |device: kring::capture::devices::Device| kring_device {
        struct_size: size_of::<kring_device>() as u32,
        is_default: device.default.into(),
        name: fixed(&device.name),
        id: fixed(&device.id),
    };
    Ok(devices.into_iter().map(device).collect())
}

#[cfg(not(any(feature = "audio-io", feature = "camera")))]
fn list(_kind: u32) -> Result<Vec<kring_device>, Failure> {
    Ok(Vec::new())
}

/// The devices of that kind, a KRING_DEVICE_ value: a list for kring_list_device, empty where the library was built without. Takes some
/// milliseconds, and up to 2 s when a sound server does not answer.
///
/// KRING_ERROR_SOURCE when the system does not tell.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_devices(kind: u32, devices: *mut kring_list) -> i32 {
    guard(|| {
        handle::check::<List>(devices)?;
        if kind > KRING_DEVICE_CAMERA {
            return Err(Failure::argument(format!("expected a KRING_DEVICE_ value, got {kind}")));
        }
        let found = list(kind)?;
        // SAFETY: the caller's promise.
        unsafe { handle::write(devices, Arc::new(List::Devices(found))) }
    })
}
