//! `cargo xtask reach`: who reaches whom, behind routers of every kind, directly or through a relay, and how quickly.

mod lab;
mod trial;

use crate::failure::Failure;
use crate::workspace;
use lab::{Home, Nat};
use lexopt::prelude::*;
use std::path::{Path, PathBuf};
use trial::{Outcome, Programs};

/// What the command line says.
pub(crate) struct Options {
    /// All, if empty.
    pairs: Vec<(Nat, Nat)>,
    programs: Option<PathBuf>,
    /// Whether networks change in the call.
    moves: bool,
}

impl Options {
    pub(crate) fn parse(mut line: lexopt::Parser) -> Result<Options, Failure> {
        let (mut named, mut programs, mut moves) = (Vec::new(), None, false);
        while let Some(argument) = line.next()? {
            match argument {
                Long("programs") => programs = Some(PathBuf::from(line.value()?)),
                Long("moves") => moves = true,
                Value(name) => {
                    let name = name.string()?;
                    let nat = Nat::ALL.into_iter().find(|nat| nat.name() == name);
                    named.push(nat.ok_or_else(|| {
                        let all = Nat::ALL.map(Nat::name).join(", ");
                        Failure::usage(format!("expected one of {all}, got {name:?}"))
                    })?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        let pairs = match named[..] {
            [] => Nat::ALL.into_iter().flat_map(|a| Nat::ALL.map(|b| (a, b))).collect(),
            [a, b] => vec![(a, b)],
            _ => return Err(Failure::usage("expected two kinds of router, or none for all pairs")),
        };
        Ok(Options { pairs, programs, moves })
    }
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    if let Some(missing) = lab::missing() {
        return Err(Failure::missing(format!("expected {missing}, found none; run it as root on Linux")));
    }
    let programs = programs(options.programs)?;
    let folder = workspace::target_dir().join("reach");
    if options.moves {
        return changes(&programs, &folder);
    }
    println!("| caller | callee | way | connected, ms | direct, ms | concealed, ms |");
    println!("|---|---|---|---|---|---|");
    let mut failed = 0;
    for (a, b) in options.pairs {
        let folder = folder.join(format!("{}-{}", a.name(), b.name()));
        let _ = std::fs::remove_dir_all(&folder);
        let (names, should) = ((a.name(), b.name()), a.can_meet(b));
        match trial::call(&programs, a, b, &folder) {
            Ok(outcome) => {
                show(names, &outcome);
                failed += u32::from(should && outcome.relayed);
            }
            Err(error) => {
                println!("| {} | {} | NONE: {error} | | | |", names.0, names.1);
                failed += 1;
            }
        }
    }
    if failed > 0 {
        return Err(Failure::failed(format!(
            "{failed} pairs had no call, or not the way that they can have"
        )));
    }
    Ok(())
}

/// Either side goes from one network to another.
fn changes(programs: &Programs, folder: &Path) -> Result<(), Failure> {
    use Nat::{Open, PortRestricted, Symmetric};
    println!("| caller | callee | who moves | to | caller hears after, ms | callee hears after, ms |");
    println!("|---|---|---|---|---|---|");
    let mut failed = 0;
    for pair in [[PortRestricted, Open], [PortRestricted, PortRestricted], [Symmetric, Symmetric]] {
        for who in [Home::A, Home::B] {
            for to in [PortRestricted, Symmetric] {
                let names =
                    format!("| {} | {} | {} | {} |", pair[0].name(), pair[1].name(), who.name(), to.name());
                let place = folder.join(format!(
                    "move-{}-{}-{}-{}",
                    pair[0].name(),
                    pair[1].name(),
                    who.name(),
                    to.name()
                ));
                let _ = std::fs::remove_dir_all(&place);
                match trial::change(programs, pair, who, to, &place) {
                    Ok([caller, callee]) => println!("{names} {caller:.0} | {callee:.0} |"),
                    Err(error) => {
                        println!("{names} NEVER: {error} | |");
                        failed += 1;
                    }
                }
            }
        }
    }
    if failed > 0 {
        return Err(Failure::failed(format!("{failed} calls did not survive that a network changed")));
    }
    Ok(())
}

fn show((a, b): (&str, &str), outcome: &Outcome) {
    let way = if outcome.relayed { "relayed" } else { "direct" };
    let ms = |time: Option<f64>| time.map_or(String::new(), |time| format!("{time:.0}"));
    let (connected, direct) = (ms(outcome.connected), ms(outcome.direct.filter(|_| !outcome.relayed)));
    println!("| {a} | {b} | {way} | {connected} | {direct} | {:.0} |", outcome.concealed);
}

/// Those in a folder, or built now.
fn programs(folder: Option<PathBuf>) -> Result<Programs, Failure> {
    let folder = match folder {
        Some(folder) => folder,
        None => {
            let built = workspace::cargo(&["build", "-p", "kring-caller", "-p", "kring-relay"]).status();
            if !built.is_ok_and(|status| status.success()) {
                return Err(Failure::failed("the caller and the relay could not be built"));
            }
            workspace::build_dir()
        }
    };
    Ok(Programs { kring: folder.join("kring"), relay: folder.join("kring-relay") })
}
