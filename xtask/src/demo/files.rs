//! The shipped speech and pictures, the latter unpacked by Kring's own decoder into files a caller can show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::steps::Steps;
use crate::workspace::{build_dir, root};

/// What one side says and shows.
#[derive(Clone, Debug)]
pub(crate) struct Media {
    pub(crate) mic: PathBuf,
    pub(crate) camera: PathBuf,
}

/// What the shipped pictures were made with.
const PICTURES_PER_SECOND: &str = "30";

/// The files of the calling and of the answering side. `mic` and `camera` tell whether the calling side needs them.
pub(crate) fn media(out: &Path, mic: bool, camera: bool) -> Result<[Media; 2], Failure> {
    let shipped = root().join("media");
    let side = |letter: char| Media {
        mic: shipped.join(format!("speech-{letter}.wav")),
        camera: out.join(format!("picture-{letter}.y4m")),
    };
    let sides = [side('a'), side('b')];
    let mut steps = Steps::new("media");
    for (letter, media, mic, camera) in [('a', &sides[0], mic, camera), ('b', &sides[1], true, true)] {
        if mic && !media.mic.is_file() {
            return Err(Failure::failed(format!(
                "expected speech at {}, but it is not there; is the clone complete?",
                media.mic.display()
            )));
        }
        let packed = shipped.join(format!("picture-{letter}.h264"));
        if camera && !is_newer(&media.camera, &packed) {
            unpack(&mut steps, &packed, &media.camera);
        }
    }
    steps.finish()?;
    Ok(sides)
}

fn unpack(steps: &mut Steps, packed: &Path, unpacked: &Path) {
    let name = format!("unpacking {}", packed.file_name().unwrap_or_default().display());
    // Under another name until it is whole, so that an interrupted run leaves no half file to be taken for one.
    let partial = unpacked.with_extension("partial");
    let program = build_dir().join("examples").join(format!("h264_to_y4m{}", std::env::consts::EXE_SUFFIX));
    steps.check(&name, || {
        let status = Command::new(&program).args([packed, &partial]).arg(PICTURES_PER_SECOND).status();
        let status = status.map_err(|e| format!("{} did not start: {e}", program.display()))?;
        if !status.success() {
            return Err(status.to_string());
        }
        fs::rename(&partial, unpacked).map_err(|e| format!("could not write {}: {e}", unpacked.display()))
    });
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let time = |p: &Path| fs::metadata(p).and_then(|m| m.modified());
    matches!((time(file), time(than)), (Ok(a), Ok(b)) if a >= b)
}
