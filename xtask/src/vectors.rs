//! `cargo xtask vectors`: writes docs/test-vectors anew.

use crate::failure::Failure;
use crate::steps::Steps;
use crate::workspace::cargo;

/// Runs the tests that compare the vectors, and lets them write instead.
pub(crate) fn run(mut line: lexopt::Parser) -> Result<(), Failure> {
    if let Some(argument) = line.next()? {
        return Err(argument.unexpected().into());
    }
    let mut steps = Steps::new("vectors");
    steps.run(
        "docs/test-vectors",
        cargo(&["test", "--quiet", "-p", "kring-core", "--features", "pure-rust", "--lib", "vectors::"])
            .env("KRING_WRITE_VECTORS", "1"),
    );
    steps.run(
        "docs/test-vectors/relay.json",
        cargo(&["test", "--quiet", "-p", "kring-net", "--lib", "vectors::"]).env("KRING_WRITE_VECTORS", "1"),
    );
    steps.finish()
}
