//! `cargo xtask course`: draws a call of the simulator over time, as docs/benchmarks.md shows one.

use std::fs;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::draw::course::{Course, Known, Shown};
use crate::failure::Failure;
use crate::workspace::{cargo, root};

/// What is drawn where.
pub(crate) struct Options {
    link: String,
    seed: u64,
    out: PathBuf,
}

impl Options {
    pub(crate) fn parse(mut line: lexopt::Parser) -> Result<Self, Failure> {
        let mut options = Self {
            link: "rtt50-2000-300-2000".into(),
            seed: 0,
            out: root().join("docs/img/a-call-over-time.svg"),
        };
        while let Some(argument) = line.next()? {
            match argument {
                Long("link") => options.link = line.value()?.string()?,
                Long("seed") => options.seed = line.value()?.parse()?,
                Long("out") => options.out = line.value()?.into(),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

/// Runs the call and writes the drawing.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let Options { link, seed, out } = options;
    let mut command = cargo(&["run", "--quiet", "--release", "-p", "kring-sim", "--example", "course", "--"]);
    let output = command.arg(&link).arg(seed.to_string()).output();
    let output = output.map_err(|e| Failure::failed(format!("cargo could not be started: {e}")))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::failed(format!("the simulator ended with {}:\n{told}", output.status)));
    }
    let course = read(&String::from_utf8_lossy(&output.stdout))?;
    let text = course.svg(&format!("{link}, seed {seed}, in virtual time: what the caller sent"));
    out.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&out, text)).map_err(|e| {
        Failure::failed(format!("{} could not be written: {e}; --out FILE writes elsewhere", out.display()))
    })?;
    println!("{}", out.display());
    Ok(())
}

/// What the caller knew and the callee saw.
fn read(lines: &str) -> Result<Course, Failure> {
    let mut course = Course::default();
    for line in lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line)
            .map_err(|e| Failure::failed(format!("expected a JSON object a line, got {line:?}: {e}")))?;
        let number = |name: &str| event[name].as_f64().unwrap_or(0.0);
        let at = number("ms") / 1000.0;
        match (event["who"].as_str(), event["ev"].as_str()) {
            (Some("Caller"), Some("knows")) => course.known.push(Known {
                at,
                estimate: number("estimate") / 1000.0,
                target: number("target") / 1000.0,
                sent: number("bytes") * 8e-3,
            }),
            (Some("Caller"), Some("picture")) => {
                course.shown.push(Shown { at: at + number("took") / 1000.0, took: number("took") });
            }
            _ => {}
        }
    }
    course.shown.sort_by(|a, b| a.at.total_cmp(&b.at));
    if course.known.is_empty() || course.shown.is_empty() {
        return Err(Failure::failed("the call came to nothing: no picture was shown"));
    }
    Ok(course)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_simulator_tells_of_the_caller_is_read() {
        let lines = r#"{"ev":"knows","who":"Caller","ms":500,"estimate":300000,"target":200000,"video":1,"waiting":0,"bytes":1000}
{"ev":"knows","who":"Callee","ms":500,"estimate":1,"target":1,"video":1,"waiting":0,"bytes":1}
{"ev":"picture","who":"Caller","ms":900,"took":100.0}
{"ev":"picture","who":"Caller","ms":950,"took":40.0}"#;
        let course = read(lines).unwrap();
        assert_eq!((course.known.len(), course.known[0].estimate, course.known[0].sent), (1, 300.0, 8.0));
        assert_eq!(course.shown.iter().map(|shown| shown.took).collect::<Vec<_>>(), [40.0, 100.0]);
        assert!(read("").is_err() && read("no JSON").is_err());
    }
}
