//! The same between two programs over iroh (benches/iroh), with iroh's own relay on the server.
//!
//! Guarantee: nothing but the lab is reached; no program outlives its trial.

use super::lab::{Home, Lab, Nat};
use super::trial::{Running, is, time};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the two send to each other.
const TALK: Duration = Duration::from_secs(5);

/// What came of a connection, in ms from before its program had a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// The first byte is back from the other side.
    pub(crate) byte: f64,
    /// Packets go directly.
    pub(crate) direct: Option<f64>,
}

/// Has A connect to B.
pub(crate) fn call(
    program: &Path,
    a: Nat,
    b: Nat,
    delay: Duration,
    folder: &Path,
) -> Result<Outcome, String> {
    let lab = Lab::new(a, b, delay)?;
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let (program, file) = (program.to_string_lossy(), folder.join("iroh-address"));
    let file = file.to_string_lossy();
    let mut command = lab.at_server(&program);
    command.args(["relay", lab.server_ip()]);
    let mut relay = Running::start(command)?;
    relay.wait("a relay", |line| is(line, "listening"))?;
    let mut command = lab.at_home(Home::B, &program);
    command.args(["answer", lab.server_ip(), &file]);
    let mut callee = Running::start(command)?;
    callee.wait("an address", |line| is(line, "waiting"))?;
    let mut command = lab.at_home(Home::A, &program);
    command.args(["call", lab.server_ip(), &file]);
    let mut caller = Running::start(command)?;
    let dialled = time(&caller.wait("dialling", |line| is(line, "dial"))?);
    let byte = time(&caller.wait("the first byte", |line| is(line, "first-byte"))?) - dialled;
    std::thread::sleep(TALK);
    let lines = caller.lines();
    let way = lines.iter().rfind(|line| is(line, "path"));
    let direct = way.filter(|line| line["path"] == "direct").map(|line| time(line) - dialled);
    Ok(Outcome { byte, direct })
}

/// Builds it; it is not part of the workspace.
pub(crate) fn build() -> Option<PathBuf> {
    use crate::workspace;
    let target = workspace::target_dir().join("iroh");
    let manifest = workspace::root().join("benches/iroh/Cargo.toml");
    let mut cargo = workspace::cargo(&["build", "--release", "--locked", "--manifest-path"]);
    let built = cargo.arg(manifest).env("CARGO_TARGET_DIR", &target).status();
    built.is_ok_and(|status| status.success()).then(|| target.join("release/iroh-reach"))
}
