//! `cargo xtask lint`: all that is checked about the code without running it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lexopt::prelude::*;

use crate::failure::Failure;
use crate::header;
use crate::needs::{self, Need};
use crate::steps::Steps;
use crate::workspace::{cargo, find_program, root, target_dir};

/// The crates that promise to contain no unsafe code.
const SAFE: [&str; 6] = ["kring-conform", "kring-core", "kring-fuzz", "kring-net", "kring-sim", "kring"];

/// The command line of this task.
#[derive(Debug, Default)]
pub(crate) struct Options {
    yes: bool,
}

impl Options {
    pub(crate) fn parse(mut line: lexopt::Parser) -> Result<Self, Failure> {
        let mut options = Self::default();
        while let Some(argument) = line.next()? {
            match argument {
                Long("yes") => options.yes = true,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

/// Runs the checks, the quick ones first.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    needs::ensure(&[needs::NATIVE, &[Need::LINTERS, Need::DENY, Need::CBINDGEN]].concat(), options.yes)?;
    let mut steps = Steps::new("lint");
    steps.run("format", &mut cargo(&["fmt", "--all", "--check"]));
    steps.check("no unsafe code", forbids_unsafe);
    steps.check("C header", header::check);
    match typos() {
        Some(program) => steps.run("spelling", Command::new(program).current_dir(root())),
        None => println!("==> spelling: left out, `typos` is not installed (`pip install typos`)"),
    }
    steps.run("dependencies", &mut cargo(&["deny", "check", "bans", "licenses", "sources"]));
    steps.run("clippy", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    steps
        .run("documentation", cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"));
    steps.finish()
}

fn typos() -> Option<PathBuf> {
    let own = target_dir().join("tools/venv/bin/typos");
    find_program("typos").or_else(|| own.is_file().then_some(own))
}

fn forbids_unsafe() -> Result<(), String> {
    for name in SAFE {
        let path = root().join("crates").join(name).join("src/lib.rs");
        let text = fs::read_to_string(&path).map_err(|e| format!("{} can't be read: {e}", path.display()))?;
        if !has_forbid(&text) {
            return Err(format!("{} lacks `#![forbid(unsafe_code)]`; add it", path.display()));
        }
    }
    Ok(())
}

fn has_forbid(source: &str) -> bool {
    source.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_about_unsafe_code_is_no_promise() {
        assert!(has_forbid("//! A crate.\n#![forbid(unsafe_code)]\n"));
        assert!(!has_forbid("// #![forbid(unsafe_code)]\n"));
        assert!(!has_forbid("#![deny(unsafe_code)]\n"));
    }
}
