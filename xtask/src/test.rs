//! `cargo xtask test`: every test of the workspace, and the examples in its documentation.

use std::ffi::OsString;

use lexopt::prelude::*;

use crate::failure::Failure;
use crate::needs::{self, Need};
use crate::steps::Steps;
use crate::workspace::cargo;

/// The command line of this task.
#[derive(Debug, Default)]
pub(crate) struct Options {
    yes: bool,
    nextest: Vec<OsString>,
}

impl Options {
    pub(crate) fn parse(mut line: lexopt::Parser) -> Result<Self, Failure> {
        let mut options = Self::default();
        while let Some(argument) = line.next()? {
            match argument {
                Long("yes") => options.yes = true,
                // What follows `--` comes as values.
                Value(first) => {
                    options.nextest.push(first);
                    options.nextest.extend(line.raw_args()?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

/// What is off by default and tested all the same: the pure-Rust provider, the test that opens a capture's TLS, and the system's
/// key store.
const FEATURES: &str = "kring-core/pure-rust,kring/dangerous-key-log,kring/os-key-store,kring/dht";

/// Runs the tests.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let tools = &[Need::TSHARK, Need::NEXTEST];
    needs::ensure(
        &[needs::NATIVE, needs::DEVICES, needs::KEY_STORE, needs::C_LIBRARY, needs::NETWORKS, tools].concat(),
        options.yes,
    )?;
    let mut steps = Steps::new("test");
    steps.run(
        "tests",
        cargo(&["nextest", "run", "--workspace", "--features", FEATURES]).args(options.nextest),
    );
    steps.run("examples in the documentation", &mut cargo(&["test", "--doc", "--workspace", "--quiet"]));
    steps.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_two_dashes_is_for_nextest() {
        let line = lexopt::Parser::from_args(["--yes", "--", "--no-fail-fast", "-p", "xtask"]);
        let options = Options::parse(line).expect("a valid line");
        assert!(options.yes);
        assert_eq!(options.nextest, ["--no-fail-fast", "-p", "xtask"]);
    }

    #[test]
    fn an_unknown_option_is_refused() {
        let failure = Options::parse(lexopt::Parser::from_args(["--fast"])).expect_err("no such option");
        assert_eq!(failure.code(), 2);
    }
}
