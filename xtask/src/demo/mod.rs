//! `cargo xtask demo`: two callers on this machine, and what each really heard and saw of the other.
//!
//! Everything it says about the call is taken from the two recordings, not from the callers' own statistics. It
//! fails if in either direction there was no sound or no picture.

mod call;
mod files;
mod report;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lexopt::prelude::*;

use crate::draw::plot::{self, Span};
use crate::draw::rgb;
use crate::failure::Failure;
use crate::measure::direction::{self, Direction, End};
use crate::measure::log::CallLog;
use crate::measure::y4m::Y4m;
use crate::needs;
use crate::steps::{Steps, clock};
use crate::workspace::{build_dir, cargo, target_dir};

const CALLER: &str = "caller";
const ANSWERER: &str = "answerer";
const PLOT: &str = "plot.png";

/// The command line of this task.
#[derive(Debug)]
pub(crate) struct Options {
    yes: bool,
    mic: Option<PathBuf>,
    camera: Option<PathBuf>,
    seconds: u32,
    out: PathBuf,
    program: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut line: lexopt::Parser) -> Result<Self, Failure> {
        let mut options = Self {
            yes: false,
            mic: None,
            camera: None,
            seconds: 10,
            out: target_dir().join("demo"),
            program: None,
        };
        while let Some(argument) = line.next()? {
            match argument {
                Long("yes") => options.yes = true,
                Long("mic") => options.mic = Some(existing(line.value()?.into())?),
                Long("camera") => options.camera = Some(existing(line.value()?.into())?),
                Long("program") => options.program = Some(existing(line.value()?.into())?),
                Long("out") => options.out = absolute(Path::new(&line.value()?))?,
                Long("seconds") => options.seconds = line.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        if !(4..=600).contains(&options.seconds) {
            let got = options.seconds;
            return Err(Failure::usage(format!(
                "--seconds: expected 4 to 600, got {got}; 10 is a good length"
            )));
        }
        Ok(options)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))
}

fn existing(path: PathBuf) -> Result<PathBuf, Failure> {
    if path.is_file() {
        return absolute(&path);
    }
    Err(Failure::usage(format!("expected a file at {}, but there is none", path.display())))
}

/// Runs the demo.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    needs::ensure(needs::NATIVE, options.yes)?;
    let kring = build(&options)?;
    let out = options.out.as_path();
    fs::create_dir_all(out).map_err(|e| Failure::failed(format!("could not make {}: {e}", out.display())))?;
    forget_last_run(out)?;
    let [ours, theirs] = files::media(out, options.mic.is_none(), options.camera.is_none())?;
    let sides = call::Sides {
        answer: call::Side { mic: theirs.mic, camera: theirs.camera },
        call: call::Side {
            mic: options.mic.clone().unwrap_or(ours.mic),
            camera: options.camera.clone().unwrap_or(ours.camera),
        },
    };
    call::hold(&kring, out, &sides, options.seconds)?;

    println!("==> measuring what each end recorded");
    let began = Instant::now();
    let caller = end(CALLER, &sides.call, call::recording(out, "call"))?;
    let answerer = end(ANSWERER, &sides.answer, call::recording(out, "answer"))?;
    let dialled = caller.log.first("dial");
    let ended = ended(&caller, &answerer)?;
    let directions = [
        direction::measure(&caller, &answerer, dialled, ended),
        direction::measure(&answerer, &caller, dialled, ended),
    ];
    println!("    measured: {}", clock(began.elapsed()));
    report::print(&directions, [&caller, &answerer]);
    let from = dialled.unwrap_or(ended - f64::from(options.seconds));
    let written = keep(out, &directions, [&answerer, &caller], Span { from, to: ended })?;
    println!("\nTo listen to and look at:");
    for path in &written {
        println!("  {}", shortened(path).display());
    }
    verdict(&directions)
}

/// Builds the caller and the program that unpacks the pictures, with the features that the tests are built with,
/// so that each is built once.
fn build(options: &Options) -> Result<PathBuf, Failure> {
    let mut wanted = vec!["build", "--workspace", "--example", "h264_to_y4m"];
    if options.program.is_none() {
        wanted.extend(["--bin", "kring"]);
    }
    let mut steps = Steps::new("build");
    steps.run("build of the caller", &mut cargo(&wanted));
    steps.finish()?;
    Ok(options
        .program
        .clone()
        .unwrap_or_else(|| build_dir().join(format!("kring{}", env::consts::EXE_SUFFIX))))
}

fn end(name: &'static str, side: &call::Side, record: PathBuf) -> Result<End, Failure> {
    let log = CallLog::read(&record.join("log.jsonl")).map_err(Failure::Failed)?;
    Ok(End { name, mic: side.mic.clone(), camera: side.camera.clone(), record, log })
}

/// When the call was over: the first end that says so; else when the last picture or sound came.
fn ended(caller: &End, answerer: &End) -> Result<f64, Failure> {
    let ends = [caller, answerer];
    let said = ends.iter().filter_map(|e| e.log.first("ended")).reduce(f64::min);
    let last = || ends.iter().filter_map(|e| e.log.shown.last().map(|s| s.t)).reduce(f64::max);
    said.or_else(last).ok_or_else(|| {
        Failure::failed("expected the end of the call, or a picture, in either log; neither has one, so no call came about")
    })
}

/// Results of an earlier run must not be taken for this one's, should this one fail.
fn forget_last_run(out: &Path) -> Result<(), Failure> {
    let mut names = vec![String::from(PLOT)];
    for name in [CALLER, ANSWERER] {
        names.push(heard_by(name));
        names.extend((1..=3).map(|part| seen_by(name, part)));
    }
    for path in names.iter().map(|name| out.join(name)).filter(|path| path.exists()) {
        fs::remove_file(&path)
            .map_err(|e| Failure::failed(format!("could not remove {}: {e}", path.display())))?;
    }
    Ok(())
}

fn heard_by(name: &str) -> String {
    format!("heard-by-{name}.wav")
}

fn seen_by(name: &str, part: u64) -> String {
    format!("seen-by-{name}-{part}.png")
}

/// Puts what people want to hear and see where they find it.
fn keep(
    out: &Path,
    directions: &[Direction],
    receivers: [&End; 2],
    span: Span,
) -> Result<Vec<PathBuf>, Failure> {
    let mut written = Vec::new();
    for end in receivers {
        if end.heard_file().is_file() {
            let path = out.join(heard_by(end.name));
            fs::copy(end.heard_file(), &path)
                .map_err(|e| Failure::failed(format!("could not write {}: {e}", path.display())))?;
            written.push(path);
        }
        // A call without pictures has been reported already.
        let Ok(mut pictures) = Y4m::open(&end.seen_file()) else { continue };
        let Some(last) = pictures.count.checked_sub(1) else { continue };
        for part in 1..=3 {
            let picture = pictures.picture(last * part / 4).map_err(Failure::Failed)?;
            let path = out.join(seen_by(end.name, part));
            rgb::write_png(&path, picture.width, picture.height, &rgb::from_i420(&picture))
                .map_err(Failure::Failed)?;
            written.push(path);
        }
    }
    let path = out.join(PLOT);
    plot::draw(directions, span).save(&path).map_err(Failure::Failed)?;
    written.push(path);
    Ok(written)
}

/// A path as seen from the folder the user is in, if it lies below.
fn shortened(path: &Path) -> PathBuf {
    let here = env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).to_path_buf()
}

fn verdict(directions: &[Direction]) -> Result<(), Failure> {
    let mut lacking = Vec::new();
    for d in directions {
        if !d.has_sound() {
            lacking.push(format!("the {} heard nothing of the {}", d.to, d.from));
        }
        if !d.has_pictures() {
            lacking.push(format!("the {} saw nothing of the {}", d.to, d.from));
        }
    }
    if lacking.is_empty() {
        println!("\ndemo: both ends heard and saw each other");
        return Ok(());
    }
    Err(Failure::failed(format!("expected sound and pictures both ways, but {}", lacking.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, Failure> {
        Options::parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn without_options_the_shipped_media_are_used_for_ten_seconds() {
        let options = parse(&[]).expect("nothing is needed");
        assert_eq!((options.seconds, options.yes), (10, false));
        assert!(options.mic.is_none() && options.camera.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_was_expected() {
        for (words, expected) in [
            (&["--seconds", "1"][..], "4 to 600"),
            (&["--mic", "/no/such/file.wav"], "expected a file"),
            (&["--seconds", "many"], "many"),
            (&["stray"], "stray"),
        ] {
            let failure = parse(words).expect_err("refused");
            assert_eq!(failure.code(), 2);
            assert!(failure.to_string().contains(expected), "{failure}");
        }
    }
}
