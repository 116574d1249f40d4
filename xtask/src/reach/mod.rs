//! `cargo xtask reach`: who reaches whom, behind routers of every kind, directly or through a relay, and how quickly.

mod iroh;
mod lab;
mod trial;
mod wan;

use crate::failure::Failure;
use crate::workspace;
use lab::{Home, Nat};
use lexopt::prelude::*;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trial::{Outcome, Programs};

/// What the command line says.
pub(crate) struct Options {
    /// All, if empty.
    pairs: Vec<(Nat, Nat)>,
    programs: Option<PathBuf>,
    /// Whether networks change in the call.
    moves: bool,
    /// Whether calls go through the relay only.
    hidden: bool,
    /// Whether iroh is tried beside it.
    iroh: bool,
    /// What a packet takes between any two places.
    delay: Duration,
}

impl Options {
    pub(crate) fn parse(mut line: lexopt::Parser) -> Result<Options, Failure> {
        let (mut named, mut programs, mut moves, mut hidden, mut iroh) =
            (Vec::new(), None, false, false, false);
        let mut delay = Duration::from_millis(20);
        while let Some(argument) = line.next()? {
            match argument {
                Long("programs") => programs = Some(PathBuf::from(line.value()?)),
                Long("moves") => moves = true,
                Long("relay-only") => hidden = true,
                Long("iroh") => iroh = true,
                Long("delay") => delay = Duration::from_millis(line.value()?.parse()?),
                Value(name) => {
                    let name = name.string()?;
                    let nat = Nat::ALL.into_iter().chain([Nat::Open6]).find(|nat| nat.name() == name);
                    named.push(nat.ok_or_else(|| {
                        let all = Nat::ALL.map(Nat::name).join(", ");
                        Failure::usage(format!("expected one of {all}, got {name:?}"))
                    })?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        let pairs = match named[..] {
            [] => {
                let all = Nat::ALL.into_iter().flat_map(|a| Nat::ALL.map(|b| (a, b)));
                all.chain([(Nat::Open6, Nat::Open6)]).collect()
            }
            [a, b] if (a == Nat::Open6) == (b == Nat::Open6) => vec![(a, b)],
            _ => return Err(Failure::usage("expected two kinds of router, or none for all pairs")),
        };
        Ok(Options { pairs, programs, moves, hidden, iroh, delay })
    }
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    if let Some(missing) = lab::missing() {
        return Err(Failure::missing(format!("expected {missing}, found none; run it as root on Linux")));
    }
    let programs = programs(options.programs, options.delay)?;
    let folder = workspace::target_dir().join("reach");
    if options.moves {
        return changes(&programs, &folder);
    }
    if options.hidden {
        return overhear(&programs, &options.pairs, &folder);
    }
    let beside = if options.iroh {
        Some(iroh::build().ok_or_else(|| Failure::failed("benches/iroh could not be built"))?)
    } else {
        None
    };
    println!(
        "Times in ms from dialling; {} ms from any place to any other; concealed: from the change of way on\n",
        options.delay.as_millis()
    );
    print!("| caller | callee | way | connected | caller hears | callee hears | direct | concealed |");
    println!("{}", if beside.is_some() { " iroh: first byte | iroh: direct |" } else { "" });
    println!("|---|---|---|---|---|---|---|---|{}", if beside.is_some() { "---|---|" } else { "" });
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
                print!("| {} | {} | NONE: {error} | | | | | |", names.0, names.1);
                failed += 1;
            }
        }
        match beside.as_ref().map(|program| iroh::call(program, a, b, options.delay, &folder)) {
            Some(Ok(outcome)) => println!(" {:.0} | {} |", outcome.byte, ms(outcome.direct)),
            Some(Err(error)) => println!(" NONE: {error} | |"),
            None => println!(),
        }
    }
    if failed > 0 {
        return Err(Failure::failed(format!(
            "{failed} pairs had no call, or not the way that they can have"
        )));
    }
    Ok(())
}

/// Who sends to whom on the internet where all goes through the relay.
fn overhear(programs: &Programs, pairs: &[(Nat, Nat)], folder: &Path) -> Result<(), Failure> {
    for &(a, b) in pairs {
        let (from, to) = (a.name(), b.name());
        let place = folder.join(format!("hidden-{from}-{to}"));
        let _ = std::fs::remove_dir_all(&place);
        let seen = trial::overhear(programs, [a, b], true, &place);
        let seen = seen.map_err(|error| Failure::failed(format!("{from} and {to}: {error}")))?;
        println!("{from} and {to}:");
        seen.iter().for_each(|(from, to)| println!("    {from} to {to}"));
    }
    Ok(())
}

/// Either side goes from one network to another, or sleeps.
fn changes(programs: &Programs, folder: &Path) -> Result<(), Failure> {
    use Nat::{Open, PortRestricted, Symmetric};
    println!(
        "| caller | callee | who is away | for, s | comes back behind | caller hears after, ms | callee hears after, ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut failed = 0;
    let mut moves = Vec::new();
    for pair in [[PortRestricted, Open], [PortRestricted, PortRestricted], [Symmetric, Symmetric]] {
        for who in [Home::A, Home::B] {
            moves.extend([PortRestricted, Symmetric].map(|to| (pair, who, 3, to)));
            moves.push((pair, who, 10, PortRestricted));
        }
    }
    for (pair, who, away, to) in moves {
        let [a, b] = pair.map(Nat::name);
        let (who_name, to_name) = (who.name(), to.name());
        let place = folder.join(format!("move-{a}-{b}-{who_name}-{to_name}-{away}"));
        let _ = std::fs::remove_dir_all(&place);
        print!("| {a} | {b} | {who_name} | {away} | {to_name} |");
        match trial::change(programs, pair, (who, Duration::from_secs(away), to), &place) {
            Ok([caller, callee]) => println!(" {caller:.0} | {callee:.0} |"),
            Err(error) => {
                println!(" NEVER: {error} | |");
                failed += 1;
            }
        }
    }
    println!("\n| caller | callee | who sleeps for 20 s | heard again after, ms | concealed then, ms |");
    println!("|---|---|---|---|---|");
    for pair in [[PortRestricted; 2], [Symmetric; 2]] {
        for who in [Home::A, Home::B] {
            let ([a, b], who_name) = (pair.map(Nat::name), who.name());
            let place = folder.join(format!("sleep-{a}-{b}-{who_name}"));
            let _ = std::fs::remove_dir_all(&place);
            print!("| {a} | {b} | {who_name} |");
            match trial::sleep(programs, pair, (who, Duration::from_secs(20)), &place) {
                Ok((after, [caller, callee])) => println!(" {after:.0} | {:.0} |", caller + callee),
                Err(error) => {
                    println!(" NEVER: {error} | |");
                    failed += 1;
                }
            }
        }
    }
    if failed > 0 {
        return Err(Failure::failed(format!("{failed} calls did not survive")));
    }
    Ok(())
}

fn ms(time: Option<f64>) -> String {
    time.map_or(String::new(), |time| format!("{time:.0}"))
}

fn show((a, b): (&str, &str), outcome: &Outcome) {
    let way = if outcome.relayed { "relayed" } else { "direct" };
    let [caller, callee] = outcome.heard.map(ms);
    let direct = match outcome.direct.filter(|_| !outcome.relayed) {
        Some(0.0) => "at once".to_owned(),
        other => ms(other),
    };
    let concealed = outcome.concealed[0] + outcome.concealed[1];
    print!(
        "| {a} | {b} | {way} | {:.0} | {caller} | {callee} | {direct} | {concealed:.0} |",
        outcome.connected
    );
}

/// Those in a folder, or built now.
fn programs(folder: Option<PathBuf>, delay: Duration) -> Result<Programs, Failure> {
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
    Ok(Programs { kring: folder.join("kring"), relay: folder.join("kring-relay"), delay })
}
