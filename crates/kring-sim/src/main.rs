//! `kring-sim`: runs simulated calls by seed and says which failed and how to see that again.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use kring_sim::facade;
use kring_sim::link::Spec;
use kring_sim::scenario::Scenario;
use kring_sim::sweep::Sweep;
use kring_sim::world;
use std::ops::Range;
use std::process::ExitCode;

/// Whole calls in virtual time over a simulated network.
#[derive(Parser)]
#[command(name = "kring-sim")]
struct Options {
    /// Which seeds to run: FIRST..END, END not included.
    #[arg(long, value_name = "FIRST..END", default_value = "0..1000", value_parser = seeds)]
    seeds: Range<u64>,
    /// Runs this one and tells what happened.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// The network both ways, like delay=25,jitter=10,loss=5; drawn from each seed if not given.
    #[arg(long, value_name = "SPEC")]
    link: Option<Spec>,
    /// The whole facade with real QUIC, instead of the core alone.
    #[arg(long, conflicts_with = "trace")]
    facade: bool,
    /// How many calls at once; as many as there are cores if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Prints the hash of each seed's trace, one after the other.
    #[arg(long)]
    trace: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    range
        .filter(|range| !range.is_empty())
        .ok_or_else(|| format!("{text:?} is no range; expected one like 0..1000"))
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(seed) = options.seed {
        return one(&Scenario::new(seed, options.link.as_ref()), options.facade);
    }
    if options.trace {
        for seed in options.seeds {
            println!("{seed} {}", world::run(&Scenario::new(seed, options.link.as_ref()), false).hash);
        }
        return ExitCode::SUCCESS;
    }
    let jobs =
        options.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let report = Sweep { seeds: options.seeds, link: options.link, facade: options.facade, jobs }
        .run(|done| eprintln!("{done} seeds"));
    println!("{report}");
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(scenario: &Scenario, whole: bool) -> ExitCode {
    println!("{scenario}");
    let outcome = if whole { facade::run(scenario, true) } else { world::run(scenario, true) };
    outcome.lines.iter().for_each(|line| println!("{line}"));
    println!("\ntrace {}, {:.3} s", outcome.hash, outcome.lasted.as_secs_f64());
    for what in &outcome.failures {
        println!("FAILED: {what}");
    }
    if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
