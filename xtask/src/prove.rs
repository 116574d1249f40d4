//! `cargo xtask prove`: runs a symbolic prover over the models in docs/proof and compares what comes out with what each model
//! says.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::steps::Steps;
use crate::workspace::{find_program, root, target_dir};

/// The prover, and how it is had.
const PROVER: &str = "verifpal";
const INSTALL: &str = "cargo install verifpal --version 1.6.7 --locked";

/// One case of a model: which of its lines are read, and what has to come out.
struct Case<'a> {
    name: &'a str,
    sessions: u32,
    expected: &'a str,
    claim: &'a str,
}

impl<'a> Case<'a> {
    /// From a line `//= NAME, N session(s): CODE: CLAIM`.
    fn read(line: &'a str) -> Option<Result<Case<'a>, String>> {
        let text = line.strip_prefix("//= ")?;
        let case = (|| {
            let (head, rest) = text.split_once(": ")?;
            let (expected, claim) = rest.split_once(": ")?;
            let (name, sessions) = head.split_once(", ")?;
            let sessions = sessions.split(' ').next()?.parse().ok()?;
            Some(Case { name, sessions, expected, claim })
        })();
        Some(case.ok_or_else(|| format!("expected `//= NAME, N sessions: CODE: CLAIM`, came `{line}`")))
    }

    /// The model with the lines of this case.
    fn of(&self, model: &str) -> String {
        let mut out = String::new();
        for line in model.lines() {
            let marked = line.trim_start().strip_prefix("//@ ").and_then(|text| text.split_once(": "));
            match marked {
                Some((cases, text)) if cases.split(", ").any(|case| case == self.name) => out.push_str(text),
                Some(_) => {}
                None => out.push_str(line),
            }
            out.push('\n');
        }
        out
    }

    /// Runs it; gives what the prover said.
    fn prove(&self, prover: &Path, model: &str, file: &Path) -> Result<String, String> {
        fs::write(file, self.of(model)).map_err(|e| format!("{}: {e}", file.display()))?;
        let sessions = self.sessions.to_string();
        let output = Command::new(prover)
            .args(["verify", "--result-code", "--sessions", &sessions])
            .arg(file)
            .output()
            .map_err(|e| format!("{} did not start: {e}", prover.display()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let came = said.lines().last().unwrap_or_default();
        if came == self.expected {
            return Ok(came.to_owned());
        }
        Err(format!("expected {}, came {came}; {PROVER} verify {} shows why", self.expected, file.display()))
    }
}

/// Runs every case of every model, and writes docs/proof/results.md if all came out as they should.
pub(crate) fn run(mut line: lexopt::Parser) -> Result<(), Failure> {
    if let Some(argument) = line.next()? {
        return Err(argument.unexpected().into());
    }
    let Some(prover) = find_program(PROVER) else {
        return Err(Failure::missing(format!(
            "nothing was proven: {PROVER} is not here. `{INSTALL}` brings it (its source asks for Rust 1.98; \
             `--ignore-rust-version` with a compiler a little older does as well)"
        )));
    };
    let folder = root().join("docs/proof");
    let scratch = target_dir().join("proof");
    let failed = |path: &Path, e: std::io::Error| Failure::failed(format!("{}: {e}", path.display()));
    fs::create_dir_all(&scratch).map_err(|e| failed(&scratch, e))?;
    let entries = fs::read_dir(&folder).map_err(|e| failed(&folder, e))?;
    let mut models: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    models.retain(|path| path.extension().is_some_and(|e| e == "vp"));
    models.sort();

    let mut steps = Steps::new("prove");
    let mut table = String::from(HEAD);
    for path in &models {
        let model = fs::read_to_string(path).map_err(|e| failed(path, e))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let cases = model.lines().filter_map(Case::read).collect::<Result<Vec<_>, _>>();
        for case in cases.map_err(|e| Failure::failed(format!("{}: {e}", path.display())))? {
            let step = format!("{name}: {}", case.name);
            let file = scratch.join(format!("{name}-{}.vp", case.name));
            steps.check(&step, || {
                let came = case.prove(&prover, &model, &file)?;
                let Case { name: case, sessions, claim, .. } = &case;
                let _ = writeln!(table, "| `{name}` | {case} | {sessions} | `{came}` | {claim} |");
                Ok(())
            });
        }
    }
    steps.finish()?;
    let results = folder.join("results.md");
    fs::write(&results, table).map_err(|e| failed(&results, e))
}

const HEAD: &str = "\
# What the prover said

Written by `cargo xtask prove`; the models stand beside this page, and [README.md](README.md) says what they can and cannot show. One digit for each query in
the model's order: 0 holds within the sessions given, 1 is broken (c secrecy, a authentication, f freshness).

| model | case | sessions | result | what it says |
|---|---|---:|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_its_lines_and_no_others() {
        let model = "//= a, 2 sessions: c0: fine\n\t//@ a, b: leaks x\n//@ b: phase[1]\nrest\n";
        let case = model.lines().find_map(Case::read).unwrap().unwrap();
        assert_eq!((case.name, case.sessions, case.expected, case.claim), ("a", 2, "c0", "fine"));
        assert_eq!(case.of(model), "//= a, 2 sessions: c0: fine\nleaks x\n\nrest\n");
        assert!(Case::read("//= a: c0: fine").unwrap().is_err());
    }

    #[test]
    fn every_model_has_cases_and_every_marked_line_belongs_to_one() {
        let folder = root().join("docs/proof");
        let mut models = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "vp") {
                continue;
            }
            models += 1;
            let model = fs::read_to_string(&path).unwrap();
            let cases: Vec<_> = model.lines().filter_map(Case::read).map(Result::unwrap).collect();
            assert!(!cases.is_empty(), "{}", path.display());
            for line in model.lines().filter_map(|l| l.trim_start().strip_prefix("//@ ")) {
                let (names, _) = line.split_once(": ").expect("cases, then the line");
                for name in names.split(", ") {
                    assert!(cases.iter().any(|c| c.name == name), "{name} in {}", path.display());
                }
            }
        }
        assert!(models >= 4);
    }
}
