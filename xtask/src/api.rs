//! `cargo xtask api`: writes docs/public-api, the listing of what is promised (docs/stability.md), or compares it.
//!
//! rustdoc knows the API and says it as JSON. That form is not stable: the compiler is asked for it by the name that its own
//! developers use, and one that writes a form not known here is told apart rather than misread.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, ExitCode};

use lexopt::prelude::*;

use crate::failure::Failure;
use crate::steps::Steps;
use crate::workspace::{cargo, root, target_dir};

/// Set where this program stands in for rustdoc.
const AS_RUSTDOC: &str = "KRING_XTASK_IS_RUSTDOC";

/// The forms of rustdoc's JSON that the listing was seen to come out of alike.
const FORMS: RangeInclusive<u64> = 57..=59;

/// What is listed: whole, or as far as `kring`, the first, re-exports it.
const CRATES: [(&str, bool); 5] = [
    ("kring", true),
    ("kring-capture", true),
    ("kring-codec", true),
    ("kring-core", false),
    ("kring-net", false),
];

/// Runs the task.
pub(crate) fn run(mut line: lexopt::Parser) -> Result<(), Failure> {
    let mut compare = false;
    while let Some(argument) = line.next()? {
        match argument {
            Long("check") => compare = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let mut steps = Steps::new("api");
    steps.check("public API", || check(compare));
    steps.finish()
}

/// Compares each listing with what is committed, or writes it.
pub(crate) fn check(compare: bool) -> Result<(), String> {
    let mut re_exported = BTreeSet::new();
    let mut differing = Vec::new();
    document()?;
    for (name, whole) in CRATES {
        let json = target_dir().join("doc").join(format!("{}.json", name.replace('-', "_")));
        let text = fs::read_to_string(&json).map_err(|e| format!("{} can't be read: {e}", json.display()))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let form = value["format_version"].as_u64().unwrap_or(0);
        if !FORMS.contains(&form) {
            println!(
                "    LEFT OUT: this compiler writes form {form} of rustdoc's JSON, the listing is made from {FORMS:?}; raise \
                 public-api and FORMS in xtask"
            );
            return Ok(());
        }
        if name == "kring" {
            re_exported = uses(&value);
        }
        let listing =
            listing(&json, |line| whole || subject(line).is_some_and(|s| belongs(s, &re_exported)))?;
        let path = root().join("docs/public-api").join(format!("{name}.txt"));
        let before = fs::read_to_string(&path).unwrap_or_default();
        if before == listing {
            continue;
        }
        if compare {
            difference(&before, &listing).iter().for_each(|line| println!("    {line}"));
            differing.push(name);
        } else {
            fs::create_dir_all(root().join("docs/public-api")).map_err(|e| e.to_string())?;
            fs::write(&path, listing).map_err(|e| format!("{} can't be written: {e}", path.display()))?;
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the public API of {} is not the one in docs/public-api; if it is meant to be, `cargo xtask api` writes it anew, and \
         CHANGELOG.md tells it",
        differing.join(", ")
    ))
}

/// Has rustdoc write what it knows of each crate, beside its pages.
fn document() -> Result<(), String> {
    let own = env::current_exe().map_err(|e| e.to_string())?;
    // The whole workspace, as clippy and the pages have it, so that nothing has to be compiled for this. And only rustdoc is told
    // to know unstable options: were the compiler too, all dependencies would be built anew.
    let mut command = cargo(&["doc", "--quiet", "--workspace", "--lib", "--no-deps"]);
    match command.env("RUSTDOC", own).env(AS_RUSTDOC, "1").env_remove("RUSTDOCFLAGS").status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("rustdoc ended with {status}")),
        Err(error) => Err(format!("cargo did not start: {error}")),
    }
}

/// Stands in for rustdoc, where cargo has started this program as such.
pub(crate) fn stand_in() -> Option<ExitCode> {
    env::var_os(AS_RUSTDOC)?;
    let mut rustdoc = Command::new("rustdoc");
    rustdoc.args(env::args_os().skip(1)).env("RUSTC_BOOTSTRAP", "1");
    // Cargo also asks for the version.
    if env::args_os().any(|argument| argument == "--crate-name") {
        rustdoc.args(["-Z", "unstable-options", "--output-format", "json", "--cap-lints", "allow"]);
    }
    Some(if rustdoc.status().is_ok_and(|status| status.success()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Where the things come from that a crate re-exports one by one from Kring's other crates.
fn uses(json: &serde_json::Value) -> BTreeSet<String> {
    let items = json["index"].as_object().into_iter().flatten();
    let sources = items.filter_map(|(_, item)| item["inner"]["use"]["source"].as_str());
    sources.filter(|source| source.matches("::").count() > 0).map(str::to_owned).collect()
}

/// The lines of the listing that `wanted` lets through.
fn listing(json: &Path, wanted: impl Fn(&str) -> bool) -> Result<String, String> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .map_err(|e| format!("{}: {e}", json.display()))?;
    let lines = api.items().map(ToString::to_string).filter(|line| wanted(line));
    Ok(lines.fold(String::new(), |all, line| all + &line + "\n"))
}

/// What a line is about, by its path.
fn subject(line: &str) -> Option<&str> {
    let about = match line.strip_prefix("impl") {
        Some(of) => of.rsplit(" for ").next()?,
        None => line.split(['(', '=']).next()?,
    };
    let path = &about[about.find("kring_")?..];
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(path.len());
    Some(path[..end].trim_end_matches(':'))
}

/// Whether a path is one of these, or of something inside one.
fn belongs(path: &str, to: &BTreeSet<String>) -> bool {
    to.iter().any(|whole| {
        path.strip_prefix(whole.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn difference(before: &str, now: &str) -> Vec<String> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), now.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    gone.chain(new.difference(&old).map(|line| format!("+ {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_about_the_thing_it_defines_and_not_about_what_it_takes() {
        let of = |line| subject(line).unwrap_or_default();
        assert_eq!(of("pub struct kring_core::ticket::Ticket"), "kring_core::ticket::Ticket");
        assert_eq!(
            of("pub fn kring_core::ticket::Ticket::check(&self, kring_core::time::WallTime)"),
            "kring_core::ticket::Ticket::check"
        );
        assert_eq!(of("impl core::convert::From<kring_core::a::A> for kring_core::b::B"), "kring_core::b::B");
        assert_eq!(of("pub const kring_core::ticket::MOST: usize"), "kring_core::ticket::MOST");
        assert_eq!(subject("pub mod core"), None);
    }

    #[test]
    fn what_is_inside_belongs_and_what_begins_alike_does_not() {
        let of = BTreeSet::from(["kring_core::ticket::Ticket".to_owned()]);
        assert!(belongs("kring_core::ticket::Ticket", &of) && belongs("kring_core::ticket::Ticket::id", &of));
        assert!(!belongs("kring_core::ticket::TicketId", &of));
    }

    #[test]
    fn a_change_shows_on_both_sides() {
        assert_eq!(difference("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
    }
}
