//! From options to sources and sinks. Every file is checked before anything is dialled or bound.

use crate::args::{Camera, Common, Microphone, Speaker, View};
use crate::devices;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::record::Tape;
use crate::tap::{Meter, TapCamera, TapMicrophone, TapSpeaker, TapView};
use crate::terminal::TerminalView;
use crate::window::Pane;
use kring::Media;
use kring::capture::{
    AudioSink, AudioSource, Consent, NullSpeaker, NullView, SourceError, TestCard, Tone, VideoSink,
    VideoSource, WavSource, Y4mSource, y4m,
};
use kring::codec::PaddedH264;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Seek};
use std::path::Path;
use std::sync::Arc;

/// How loud the two sides are, and what is shown of the other.
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) own: Arc<Meter>,
    pub(crate) peer: Arc<Meter>,
    pub(crate) pane: Pane,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        Meters { own: Meter::new(), peer: Meter::new(), pane: Pane::default() }
    }
}

/// Opens the files that are to be sent and finds the devices, so that a wrong one is found now.
///
/// # Errors
/// Says which file, what was expected and what came.
pub(crate) fn check(common: &Common) -> Result<(), Failure> {
    microphone(&common.mic)?;
    camera(&common.camera)?;
    speaker(&common.speaker)?;
    #[cfg(feature = "window")]
    if common.view == View::Window {
        crate::window::check().map_err(|error| {
            Failure::new(Exit::Device, format!("--view window: {error}; use terminal or none"))
        })?;
    }
    if common.view == View::Terminal && (common.json || !std::io::stdout().is_terminal()) {
        let why = "--view terminal: expected a terminal for people, came --json or another output; use window or none";
        return Err(Failure::new(Exit::Usage, why));
    }
    if let Camera::File(path) = &common.camera {
        whole(path)
            .map_err(|text| Failure::new(Exit::MediaFile, format!("--camera {}: {text}", path.display())))?;
    }
    Ok(())
}

/// What this side brings to one call, each file opened afresh. Devices open when it is answered.
///
/// # Errors
/// As [`check`].
pub(crate) fn open(
    common: &Common,
    meters: &Meters,
    output: &Arc<Output>,
    tape: Option<&Tape>,
) -> Result<Media, Failure> {
    let (microphone, camera) = (microphone(&common.mic)?, camera(&common.camera)?);
    // The person named them on the command line, or typed it with a terminal's microphone in mind, or has just
    // taken the call; files and synthetic sources need none.
    let kinds = [microphone.as_ref().and_then(|m| m.kind()), camera.as_ref().and_then(|c| c.kind())];
    let consent = Consent::to(kinds.into_iter().flatten());
    let mut media = Media::new(consent)
        .name(&common.name)
        .max_rate(common.max_rate * 1000)
        .content(common.content.into());
    if common.pad_video {
        media = media.video_codec(PaddedH264);
    }
    if let Some(source) = microphone {
        media = media.microphone(TapMicrophone::new(source, meters.own.clone(), tape.cloned()));
    }
    if let Some(source) = camera {
        media = media.camera(TapCamera::new(source, tape.cloned()));
    }
    media = media.speaker(TapSpeaker::new(speaker(&common.speaker)?, meters.peer.clone(), tape.cloned()));
    if let Some(view) = view(common.view, &meters.pane, output).or(tape.map(|_| Box::new(NullView) as _)) {
        media = media.view(TapView::new(view, tape.cloned())).recording(tape.is_some());
    }
    Ok(media)
}

#[cfg_attr(not(feature = "window"), expect(unused_variables, reason = "there is no window"))]
fn view(named: View, pane: &Pane, output: &Arc<Output>) -> Option<Box<dyn VideoSink>> {
    match named {
        View::None => None,
        View::Terminal => Some(Box::new(TerminalView::new(output.clone()))),
        #[cfg(feature = "window")]
        View::Window => Some(Box::new(crate::window::WindowView(pane.clone()))),
        #[cfg(not(feature = "window"))]
        View::Window => None,
    }
}

fn wrong(error: SourceError) -> Failure {
    Failure::new(Exit::MediaFile, error)
}

fn microphone(named: &Microphone) -> Result<Option<Box<dyn AudioSource>>, Failure> {
    Ok(match named {
        Microphone::None | Microphone::Auto => None,
        Microphone::Device(name) => Some(devices::microphone(name.as_deref())?),
        Microphone::Tone => Some(Box::new(Tone::new())),
        Microphone::File(path) => Some(Box::new(WavSource::open(path).map_err(wrong)?)),
    })
}

fn speaker(named: &Speaker) -> Result<Box<dyn AudioSink>, Failure> {
    match named {
        Speaker::None | Speaker::Auto => Ok(Box::new(NullSpeaker::new())),
        Speaker::Device(name) => devices::speaker(name.as_deref()),
    }
}

fn camera(named: &Camera) -> Result<Option<Box<dyn VideoSource>>, Failure> {
    Ok(match named {
        Camera::None => None,
        Camera::Device(name) => Some(devices::camera(name.as_deref())?),
        &Camera::TestCard(width, height) => {
            Some(Box::new(TestCard::new(width, height, 30.0).map_err(wrong)?))
        }
        Camera::File(path) => Some(Box::new(Y4mSource::open(path).map_err(wrong)?)),
    })
}

/// Checks that every picture of a Y4M file is there in full, by its headers alone.
fn whole(path: &Path) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("cannot be read ({error}); check the file and its disk");
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Ok(());
    }
    // A small buffer: it is filled anew for each picture.
    let mut input = BufReader::with_capacity(64, file);
    let header = y4m::parse_header(&mut input).map_err(|e| e.to_string())?;
    let mut at = input.stream_position().map_err(unreadable)?;
    let mut index = 0;
    while at < about.len() {
        let mut line = Vec::new();
        input.by_ref().take(1024).read_until(b'\n', &mut line).map_err(unreadable)?;
        if !line.starts_with(b"FRAME") || !line.ends_with(b"\n") {
            return Err(format!(
                "expected FRAME before picture {index}, came something else; the file is damaged, copy it anew"
            ));
        }
        let length = header.picture_length() as u64;
        let begin = at + line.len() as u64;
        if begin + length > about.len() {
            let got = about.len() - begin;
            return Err(format!(
                "expected {length} bytes of picture {index}, the file holds {got}: it is cut off, copy it anew"
            ));
        }
        input.seek_relative(length as i64).map_err(unreadable)?;
        at = begin + length;
        index += 1;
    }
    Ok(())
}
