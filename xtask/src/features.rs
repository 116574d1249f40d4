//! `cargo xtask features`: each feature of `kring` compiles alone, without any, and with all.

use crate::failure::Failure;
use crate::steps::Steps;
use crate::workspace::cargo;

/// Each alone. (`simulation` and `dangerous-key-log` are built by the tests, all defaults by everything else.)
const ALONE: [&str; 10] =
    ["", "opus", "opus-deep", "h264", "audio-io", "camera", "port-mapping", "lan", "dht", "os-key-store"];

/// Runs the checks.
pub(crate) fn run(mut line: lexopt::Parser) -> Result<(), Failure> {
    if let Some(argument) = line.next()? {
        return Err(argument.unexpected().into());
    }
    let mut steps = Steps::new("features");
    for features in ALONE {
        let name = if features.is_empty() { "none" } else { features };
        steps.check(name, || compiles(features));
    }
    steps.finish()
}

/// Compiles, and without a warning: what is dead code without a feature has to be seen.
fn compiles(features: &str) -> Result<(), String> {
    let mut check = cargo(&["check", "--quiet", "-p", "kring", "--lib", "--no-default-features"]);
    let output =
        check.args(["--features", features]).output().map_err(|e| format!("cargo did not start: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    match (output.status.success(), said.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err("a warning".into()),
        (false, _) => Err(output.status.to_string()),
    }
}
