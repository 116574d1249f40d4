//! The repository's tasks; `cargo xtask` lists them.
//!
//! A task first says what it lacks on this machine and, if allowed, installs it; then it runs, shows each step
//! with its time, and ends in a summary. Exit codes: 0 well, 1 something failed, 2 wrong command line,
//! 3 something has to be installed first.

#![allow(clippy::print_stdout, clippy::print_stderr)]
#![forbid(unsafe_code)]

mod api;
mod course;
mod demo;
mod draw;
mod failure;
mod features;
mod header;
mod lint;
mod measure;
mod needs;
mod prove;
#[cfg(target_os = "linux")]
mod reach;
mod steps;
mod test;
mod vectors;
mod workspace;

use std::process::ExitCode;

use failure::Failure;
use lexopt::prelude::*;

const HELP: &str = "\
cargo xtask demo [--yes] [--mic FILE.wav] [--camera FILE.y4m] [--seconds N] [--out DIR] [--program FILE]
    Builds the caller, lets two of them call each other on this machine, and measures what each heard and
    saw of the other. --mic and --camera are what the calling side says and shows (shipped speech and
    pictures otherwise), --seconds how long they talk (10), --out where the results go (target/demo);
    --program measures a `kring` built elsewhere.

cargo xtask test [--yes] [-- ARGUMENTS FOR NEXTEST]
    All tests: cargo nextest, then the examples in the documentation.

cargo xtask lint [--yes]
    Format, clippy, documentation, dependencies (cargo-deny), spelling (typos, if installed), the public
    API, and that the crates which promise it forbid unsafe code.

cargo xtask features
    Checks that each feature of `kring` compiles alone, and that none does.

cargo xtask api [--check]
    Writes docs/public-api anew, the listing of what is promised; with --check compares it, as lint does.

cargo xtask reach [CALLER CALLEE] [--moves] [--relay-only] [--iroh] [--delay MS] [--programs DIR]
    Has two callers behind routers of all kinds (or these two: open, full-cone, port-restricted, symmetric,
    no-udp, open-v6) call each other through network namespaces, with a relay on the server between them, and
    shows which way their packets take and after how long; with --moves, how soon they hear each other after
    one of them went to another network or slept; with --relay-only, who sends to whom then; with --iroh, besides, how iroh fares (built from benches/iroh).
    Between any two places of its internet a packet takes --delay (20 ms). Needs root, `ip`, `nft` and TAP devices.
    --programs has `kring` and `kring-relay` taken from a folder in place of building them.

cargo xtask vectors
    Writes docs/test-vectors anew from what the code does; `test` compares them.

cargo xtask course [--link NAME] [--seed N] [--out FILE.svg]
    Draws a call of the simulator over time: rate, estimate, delays, standstills (docs/img).

cargo xtask prove
    Runs the symbolic prover Verifpal over the models in docs/proof, compares, and writes docs/proof/results.md.
    Without it nothing is proven, and the exit code is 3.

cargo xtask header [--check] [--yes]
    Writes the C header crates/kring-ffi/include/kring.h anew from the source, or compares the two (as `lint` does).

--yes installs what is missing without asking; so does the environment variable CI.
Exit codes: 0 well, 1 something failed, 2 wrong command line, 3 something has to be installed first.";

fn main() -> ExitCode {
    if let Some(code) = api::stand_in() {
        return code;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut line = lexopt::Parser::from_env();
    match line.next()? {
        Some(Value(task)) if task == "demo" => demo::run(demo::Options::parse(line)?),
        Some(Value(task)) if task == "test" => test::run(test::Options::parse(line)?),
        Some(Value(task)) if task == "lint" => lint::run(lint::Options::parse(line)?),
        Some(Value(task)) if task == "features" => features::run(line),
        Some(Value(task)) if task == "api" => api::run(line),
        Some(Value(task)) if task == "course" => course::run(course::Options::parse(line)?),
        #[cfg(target_os = "linux")]
        Some(Value(task)) if task == "reach" => reach::run(reach::Options::parse(line)?),
        #[cfg(not(target_os = "linux"))]
        Some(Value(task)) if task == "reach" => {
            Err(Failure::missing("expected Linux, whose namespaces it needs"))
        }
        Some(Value(task)) if task == "vectors" => vectors::run(line),
        Some(Value(task)) if task == "prove" => prove::run(line),
        Some(Value(task)) if task == "header" => header::run(line),
        None | Some(Short('h') | Long("help")) => {
            println!("{HELP}");
            Ok(())
        }
        Some(Value(task)) if task == "help" => {
            println!("{HELP}");
            Ok(())
        }
        Some(Value(task)) => {
            Err(Failure::usage(format!("expected one of the tasks that `cargo xtask` lists, got {task:?}")))
        }
        Some(other) => Err(other.unexpected().into()),
    }
}
