//! One direction of a call: everything that one end said and showed, and the other heard and saw.

use std::path::{Path, PathBuf};

use super::log::CallLog;
use super::pictures::{GlassToGlass, glass_to_glass};
use super::sound::{MouthToEar, Recording, is_silent, mouth_to_ear};
use super::wav;
use super::y4m::Y4m;

/// One end of the call.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// As people call it: "the caller", "the answerer".
    pub(crate) name: &'static str,
    /// What it said and showed.
    pub(crate) mic: PathBuf,
    pub(crate) camera: PathBuf,
    /// The folder of its recording.
    pub(crate) record: PathBuf,
    pub(crate) log: CallLog,
}

impl End {
    pub(crate) fn heard_file(&self) -> PathBuf {
        self.record.join("recv-audio.wav")
    }

    pub(crate) fn seen_file(&self) -> PathBuf {
        self.record.join("recv-video.y4m")
    }
}

/// Sound at [`wav::RATE`] and when it begins, in epoch seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    pub(crate) samples: Vec<f32>,
    pub(crate) start: f64,
}

/// What was measured in one direction.
#[derive(Clone, Debug)]
pub(crate) struct Direction {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// From dialling to the first sound heard and the first picture seen, in ms.
    pub(crate) first_sound_ms: Option<f64>,
    pub(crate) first_picture_ms: Option<f64>,
    pub(crate) said: Track,
    pub(crate) heard: Track,
    pub(crate) sound: MouthToEar,
    pub(crate) pictures: Option<GlassToGlass>,
    /// What could not be read, for people.
    pub(crate) troubles: Vec<String>,
}

impl Direction {
    /// Whether anything but silence was heard, be it for a tenth of a second.
    pub(crate) fn has_sound(&self) -> bool {
        self.heard.samples.chunks(wav::RATE as usize / 10).any(|stretch| !is_silent(stretch))
    }

    /// Whether a picture was shown.
    pub(crate) fn has_pictures(&self) -> bool {
        self.pictures.as_ref().is_some_and(|p| p.shown > 0)
    }
}

/// Measures what came from one end to the other. What can't be read becomes a trouble of the result.
pub(crate) fn measure(from: &End, to: &End, dialled: Option<f64>, ended: f64) -> Direction {
    let since_dial = |t: Option<f64>| Some((t? - dialled?) * 1000.0);
    let mut troubles = Vec::new();
    let mut track = |file: &Path, end: &End, event: &str| match (wav::read(file), end.log.first(event)) {
        (Ok(samples), Some(start)) => Track { samples, start },
        (Ok(samples), None) => {
            troubles.push(format!("expected {event:?} in the log of {}, but it is not there", end.name));
            Track { samples, start: dialled.unwrap_or_default() }
        }
        (Err(trouble), _) => {
            troubles.push(trouble);
            Track::default()
        }
    };
    let said = track(&from.mic, from, "audio-in-start");
    let mut heard = track(&to.heard_file(), to, "audio-out-start");
    // What is recorded after the end of the call is not part of it.
    let length = ((ended - heard.start) * f64::from(wav::RATE)).max(0.0) as usize;
    heard.samples.truncate(length);
    let sound = mouth_to_ear(
        Recording { samples: &said.samples, start: said.start },
        Recording { samples: &heard.samples, start: heard.start },
    );
    let pictures = pictures(from, to, ended).unwrap_or_else(|trouble| {
        troubles.push(trouble);
        None
    });
    Direction {
        from: from.name,
        to: to.name,
        first_sound_ms: since_dial(to.log.first("first-audio")),
        first_picture_ms: since_dial(to.log.first("frame-out")),
        said,
        heard,
        sound,
        pictures,
        troubles,
    }
}

fn pictures(from: &End, to: &End, ended: f64) -> Result<Option<GlassToGlass>, String> {
    let mut source = Y4m::open(&from.camera)?;
    let mut received = Y4m::open(&to.seen_file())?;
    glass_to_glass(&mut source, &from.log.captured, &mut received, &to.log.shown, ended)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::super::pictures::Known;
    use super::super::sound::tests::babble;
    use super::super::strip;
    use super::*;

    const W: usize = 160;
    const H: usize = 90;
    const SOUND_DELAY: f64 = 0.085;
    const PICTURE_DELAY: f64 = 0.061;
    const DIALLED: f64 = 1_700_000_000.0;
    const CONNECTED: f64 = DIALLED + 0.25;
    const PICTURES: u64 = 120;

    /// A folder that is gone after the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("kring-xtask-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // What is left lies in the system's folder for such things.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn write_wav(path: &Path, samples: &[f32]) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: wav::RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).expect("a file");
        samples.iter().for_each(|s| writer.write_sample((s * 20_000.0) as i16).expect("written"));
        writer.finalize().expect("written");
    }

    /// Pictures of a bright spot that goes round, with or without their number.
    fn write_y4m(path: &Path, numbers: impl Iterator<Item = u64>, numbered: bool) {
        let mut file = fs::File::create(path).expect("a file");
        writeln!(file, "YUV4MPEG2 W{W} H{H} F30:1 C420jpeg").expect("written");
        for n in numbers {
            let mut data = vec![128_u8; W * H * 3 / 2];
            let angle = n as f64 / 9.0;
            let (x, y) = (80.0 + 60.0 * angle.sin(), 50.0 + 30.0 * angle.cos());
            for (i, v) in data[..W * H].iter_mut().enumerate() {
                let far = ((i % W) as f64 - x).hypot((i / W) as f64 - y);
                *v = (200.0 - 4.0 * far).max(40.0) as u8;
            }
            if numbered {
                strip::draw(&mut data, W, n);
            }
            file.write_all(b"FRAME\n").and_then(|()| file.write_all(&data)).expect("written");
        }
    }

    /// Which pictures arrive: all but 40 to 49, which is a freeze of 11 pictures' time.
    fn arrived() -> impl Iterator<Item = u64> {
        (0..PICTURES).filter(|n| !(40..50).contains(n))
    }

    /// One end that speaks and shows, and one that hears and sees, as their recordings would have it.
    fn call(folder: &Path, numbered: bool) -> [End; 2] {
        let said = babble(6);
        let (mic, camera) = (folder.join("mic.wav"), folder.join("camera.y4m"));
        write_wav(&mic, &said);
        write_y4m(&camera, 0..PICTURES, numbered);
        let silence = ((CONNECTED - DIALLED + SOUND_DELAY) * f64::from(wav::RATE)) as usize;
        write_wav(&folder.join("recv-audio.wav"), &[vec![0.0; silence], said].concat());
        write_y4m(&folder.join("recv-video.y4m"), arrived(), numbered);

        let at = |n: u64| CONNECTED + n as f64 / 30.0;
        let mut from =
            format!("{{\"ev\":\"dial\",\"t\":{DIALLED}}}\n{{\"ev\":\"audio-in-start\",\"t\":{CONNECTED}}}\n");
        for n in 0..PICTURES {
            from += &format!("{{\"ev\":\"frame-in\",\"n\":{n},\"t\":{}}}\n", at(n));
        }
        let heard = CONNECTED + SOUND_DELAY;
        let mut to = format!(
            "{{\"ev\":\"audio-out-start\",\"t\":{DIALLED}}}\n{{\"ev\":\"first-audio\",\"t\":{heard}}}\n"
        );
        for (i, n) in arrived().enumerate() {
            to += &format!(
                "{{\"ev\":\"frame-out\",\"i\":{i},\"t\":{},\"w\":{W},\"h\":{H}}}\n",
                at(n) + PICTURE_DELAY
            );
        }
        [("caller", from), ("answerer", to)].map(|(name, log)| {
            let file = folder.join(name);
            fs::write(&file, log).expect("written");
            let log = CallLog::read(&file).expect("a valid log");
            End { name, mic: mic.clone(), camera: camera.clone(), record: folder.into(), log }
        })
    }

    fn check(numbered: bool) {
        let folder = Folder::new(if numbered { "numbered" } else { "plain" });
        let [from, to] = call(&folder.0, numbered);
        let d = measure(&from, &to, from.log.first("dial"), DIALLED + 6.4);
        assert!(d.troubles.is_empty(), "{:?}", d.troubles);
        assert!((d.first_sound_ms.expect("heard") - 335.0).abs() < 0.01);
        assert!((d.first_picture_ms.expect("seen") - 311.0).abs() < 0.01);
        assert!((d.sound.median_ms().expect("found") - 85.0).abs() < 1.0, "{:?}", d.sound);
        assert!(d.has_sound() && d.has_pictures());
        let p = d.pictures.expect("shown");
        assert_eq!(p.known, if numbered { Known::ByNumber } else { Known::ByLikeness });
        assert_eq!((p.shown, p.delays.len()), (110, 110));
        assert!(p.delays.iter().all(|d| (d.ms - 61.0).abs() < 0.01), "{:?}", p.median_ms());
        assert_eq!(p.psnr_db, Some(100.0));
        // Eleven pictures' time; that none come after the last is no freeze.
        assert_eq!(p.freezes.len(), 1, "{:?}", p.freezes);
        assert!((p.freezes[0] - 11.0 / 30.0).abs() < 0.001);
    }

    #[test]
    fn a_recorded_call_is_measured_by_the_numbers_in_its_pictures() {
        check(true);
    }

    #[test]
    fn pictures_without_numbers_are_known_by_their_looks() {
        check(false);
    }

    #[test]
    fn a_recording_that_is_not_there_is_a_trouble_and_no_sound() {
        let folder = Folder::new("silent");
        let [from, to] = call(&folder.0, true);
        for name in ["recv-audio.wav", "recv-video.y4m"] {
            fs::remove_file(folder.0.join(name)).expect("it was there");
        }
        let d = measure(&from, &to, None, DIALLED + 6.4);
        assert!(!d.has_sound() && !d.has_pictures());
        assert_eq!(d.troubles.len(), 2, "{:?}", d.troubles);
        assert!(d.troubles[0].contains("recv-audio.wav"));
    }
}
