//! This machine's microphones, speakers and cameras: which there are, and which are used when none is named. Without
//! the features `audio-io` and `camera` there are none.

use crate::args::{Common, Microphone, Speaker};
use crate::exit::{Exit, Failure};
use crate::output::printable;
use kring::capture::{AudioSink, AudioSource, VideoSource};
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{self, IsTerminal};

/// Decides what `auto` means: a person at a terminal talks and listens, as far as there are devices. The microphone
/// only if `may_speak`.
pub(crate) fn settle(common: &mut Common, may_speak: bool) {
    let person = !common.json && io::stdin().is_terminal() && io::stdout().is_terminal();
    let lacking =
        |what, failure: Failure| eprintln!("kring: no {what} is used: {}", printable(&failure.message));
    if common.mic == Microphone::Auto {
        common.mic = Microphone::None;
        if person && may_speak && cfg!(feature = "audio-io") {
            match microphone(None) {
                Ok(_) => common.mic = Microphone::Device(None),
                Err(failure) => lacking("microphone", failure),
            }
        }
    }
    if common.speaker == Speaker::Auto {
        common.speaker = Speaker::None;
        if person && cfg!(feature = "audio-io") {
            match speaker(None) {
                Ok(_) => common.speaker = Speaker::Device(None),
                Err(failure) => lacking("speaker", failure),
            }
        }
    }
}

fn failed(option: &str, error: impl Display) -> Failure {
    Failure::new(Exit::Device, format!("{option}: {error}"))
}

#[cfg(feature = "audio-io")]
pub(crate) fn microphone(name: Option<&str>) -> Result<Box<dyn AudioSource>, Failure> {
    let found = kring::capture::Microphone::find(name).map_err(|error| failed("--mic", error))?;
    Ok(Box::new(found))
}

#[cfg(feature = "audio-io")]
pub(crate) fn speaker(name: Option<&str>) -> Result<Box<dyn AudioSink>, Failure> {
    let found = kring::capture::Speaker::find(name).map_err(|error| failed("--speaker", error))?;
    Ok(Box::new(found))
}

#[cfg(feature = "camera")]
pub(crate) fn camera(name: Option<&str>) -> Result<Box<dyn VideoSource>, Failure> {
    let format = kring::capture::VideoFormat::new(640, 360, 30.0);
    let found = kring::capture::Camera::find(name, format).map_err(|error| failed("--camera", error))?;
    Ok(Box::new(found))
}

#[cfg(not(feature = "audio-io"))]
pub(crate) fn microphone(_name: Option<&str>) -> Result<Box<dyn AudioSource>, Failure> {
    Err(failed("--mic", WITHOUT))
}

#[cfg(not(feature = "audio-io"))]
pub(crate) fn speaker(_name: Option<&str>) -> Result<Box<dyn AudioSink>, Failure> {
    Err(failed("--speaker", WITHOUT))
}

#[cfg(not(feature = "camera"))]
pub(crate) fn camera(_name: Option<&str>) -> Result<Box<dyn VideoSource>, Failure> {
    Err(failed("--camera", WITHOUT))
}

#[cfg(not(all(feature = "audio-io", feature = "camera")))]
const WITHOUT: &str = "this build is without such devices; build it with the features audio-io and camera";

/// `kring devices`.
#[cfg(any(feature = "audio-io", feature = "camera"))]
pub(crate) fn show(as_json: bool) -> Result<Exit, Failure> {
    let devices = kring::capture::devices::list().map_err(|error| Failure::new(Exit::Device, error))?;
    let kinds = [
        ("microphones", &devices.microphones),
        ("speakers", &devices.speakers),
        ("cameras", &devices.cameras),
    ];
    if as_json {
        let one = |device: &kring::capture::devices::Device| json!({"name": device.name, "id": device.id, "default": device.default});
        let all = kinds.map(|(kind, devices)| (kind.to_owned(), devices.iter().map(one).collect::<Value>()));
        println!("{}", Value::Object(all.into_iter().collect()));
        return Ok(Exit::Done);
    }
    for (kind, devices) in kinds {
        println!("{kind}:{}", if devices.is_empty() { " none" } else { "" });
        for device in devices {
            let mark = if device.default { '*' } else { ' ' };
            println!("{}", printable(&format!("  {mark} {}  (id {})", device.name, device.id)));
        }
    }
    println!("* is used when none is named; name another as device:NAME, by its id or a part of its name");
    Ok(Exit::Done)
}

/// `kring devices`.
#[cfg(not(any(feature = "audio-io", feature = "camera")))]
pub(crate) fn show(_as_json: bool) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Device, WITHOUT))
}
