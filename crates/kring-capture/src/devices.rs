//! Microphones, speakers and cameras of this machine: which there are, and which one is meant by a name.
//!
//! Listing opens nothing: no device begins to capture by it.

#[cfg(feature = "camera")]
pub(crate) mod camera;
#[cfg(feature = "camera")]
mod convert;
#[cfg(feature = "audio-io")]
mod intake;
#[cfg(feature = "audio-io")]
pub(crate) mod microphone;
#[cfg(feature = "audio-io")]
mod outlet;
#[cfg(feature = "audio-io")]
mod sound;
#[cfg(feature = "audio-io")]
pub(crate) mod speaker;

use std::fmt;

/// What a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Use {
    /// Takes in sound.
    Microphone,
    /// Plays sound.
    Speaker,
    /// Takes in pictures.
    Camera,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
            Self::Camera => "camera",
        })
    }
}

/// A device of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// As people know it; two devices may have the same.
    pub name: String,
    /// As the system knows it; of one kind, no two have the same. A camera's is its number.
    pub id: String,
    /// The one that is used when none is named.
    pub default: bool,
}

/// All devices that this build can use; without the feature `audio-io` there are neither microphones nor speakers,
/// without `camera` no cameras.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Devices {
    /// What takes in sound. What a speaker plays can be taken in too, on some systems, by naming that source's id.
    pub microphones: Vec<Device>,
    /// What plays sound.
    pub speakers: Vec<Device>,
    /// What takes in pictures.
    pub cameras: Vec<Device>,
}

/// Why a device cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// There is none of this kind.
    #[error(
        "expected a {0}, this machine has none: plug one in, or see whether its sound or video service runs"
    )]
    None(Use),
    /// No device has this name.
    #[error("no {kind} is called {wanted:?}; there are: {there}")]
    Unknown {
        /// The kind that was looked for.
        kind: Use,
        /// The name or id that was given.
        wanted: String,
        /// The names of those there are.
        there: String,
    },
    /// More than one device fits the name.
    #[error("{wanted:?} fits more than one {kind}: {fitting}; give more of the name, or the id")]
    Ambiguous {
        /// The kind that was looked for.
        kind: Use,
        /// The name that was given.
        wanted: String,
        /// The names and ids of those that fit.
        fitting: String,
    },
    /// No picture can have the size that was asked for.
    #[error(transparent)]
    Size(kring_codec::PictureError),
    /// The system does not tell.
    #[error(
        "the system does not list its {kind}s ({cause}): check its sound or video service, and the rights to use it"
    )]
    System {
        /// The kind that was looked for.
        kind: Use,
        /// What the system said.
        cause: String,
    },
}

/// Lists all devices. Takes some milliseconds, and up to 2 s when a sound server does not answer.
///
/// # Errors
/// [`DeviceError::System`] when the system does not tell.
pub fn list() -> Result<Devices, DeviceError> {
    let mut devices = Devices::default();
    #[cfg(feature = "audio-io")]
    {
        devices.microphones = sound::list(Use::Microphone)?;
        devices.speakers = sound::list(Use::Speaker)?;
    }
    #[cfg(feature = "camera")]
    {
        devices.cameras = camera::list()?;
    }
    Ok(devices)
}

/// Finds the device that is meant: by its id, its whole name, or a part of its name that no other has.
fn choose<'a>(devices: &'a [Device], kind: Use, wanted: &str) -> Result<&'a Device, DeviceError> {
    if devices.is_empty() {
        return Err(DeviceError::None(kind));
    }
    if let Some(device) = devices.iter().find(|device| device.id == wanted) {
        return Ok(device);
    }
    let low = wanted.to_lowercase();
    let whole = devices.iter().filter(|device| device.name.to_lowercase() == low);
    let part = devices.iter().filter(|device| device.name.to_lowercase().contains(&low));
    let mut fitting: Vec<_> = whole.collect();
    if fitting.is_empty() && !low.is_empty() {
        fitting = part.collect();
    }
    let wanted = wanted.to_owned();
    match fitting[..] {
        [device] => Ok(device),
        [] => {
            let there = join(devices.iter().map(|device| format!("{:?}", device.name)));
            Err(DeviceError::Unknown { kind, wanted, there })
        }
        _ => {
            let fitting = join(fitting.iter().map(|device| format!("{:?} (id {})", device.name, device.id)));
            Err(DeviceError::Ambiguous { kind, wanted, fitting })
        }
    }
}

fn join(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, id: &str) -> Device {
        Device { name: name.into(), id: id.into(), default: false }
    }

    #[test]
    fn a_device_is_found_by_id_by_name_and_by_a_part_of_its_name() {
        let devices =
            [device("Headset", "a"), device("Headset Pro", "b"), device("Built-in", "c"), device("a", "d")];
        let id = |wanted| choose(&devices, Use::Microphone, wanted).map(|device| device.id.as_str());
        assert_eq!(id("b"), Ok("b"));
        assert_eq!(id("a"), Ok("a"), "an id goes before a name");
        assert_eq!(id("headset"), Ok("a"), "a whole name goes before a part");
        assert_eq!(id("PRO"), Ok("b"));
    }

    #[test]
    fn a_name_that_fits_none_or_several_is_refused_with_those_there_are() {
        let devices = [device("USB one", "1"), device("USB two", "2")];
        let refused = |wanted| choose(&devices, Use::Speaker, wanted).unwrap_err().to_string();
        assert_eq!(refused("x"), "no speaker is called \"x\"; there are: \"USB one\", \"USB two\"",);
        assert!(refused("usb").contains("\"USB one\" (id 1), \"USB two\" (id 2)"), "{}", refused("usb"));
        assert!(refused("").contains("no speaker is called \"\""));
        let none = choose(&[], Use::Camera, "x").unwrap_err().to_string();
        assert!(none.starts_with("expected a camera, this machine has none"), "{none}");
    }
}
