//! What an operator is given holds: systemd accepts the unit, and the program the settings beside it.
#![allow(clippy::print_stderr)] // a skipped test has to say so

use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kring-relay");

fn packaged(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

#[test]
fn systemd_accepts_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(packaged("kring-relay.service")).unwrap();
    let installed = "/usr/local/bin/kring-relay";
    assert!(unit.contains(installed));
    let path = folder.path().join("kring-relay.service");
    std::fs::write(&path, unit.replace(installed, PROGRAM)).unwrap();
    let verified = match Command::new("systemd-analyze").arg("verify").arg(&path).output() {
        Ok(verified) => verified,
        Err(error) => return eprintln!("SKIPPED: no systemd-analyze here ({error})"),
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // It also looks at the machine's own units, and says what it finds about them.
    let about_it: Vec<_> = said.lines().filter(|line| line.contains("kring-relay")).collect();
    assert!(about_it.is_empty(), "{said}");
}

#[cfg(unix)]
#[test]
fn the_program_starts_with_the_packaged_settings_and_ends_when_told() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let settings = std::fs::read_to_string(packaged("kring-relay.toml")).unwrap();
    let key = folder.path().join("key");
    let moved = settings
        .replace("[::]:443", "127.0.0.1:0")
        .replace("/var/lib/kring-relay/key", key.to_str().unwrap());
    let path = folder.path().join("kring-relay.toml");
    std::fs::write(&path, moved).unwrap();
    let mut child = Command::new(PROGRAM)
        .arg("--config")
        .arg(&path)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first.split("listening at ").nth(1).and_then(|rest| rest.split(',').next());
    let pin = first.split("pin ").nth(1).unwrap();
    let relay = format!("{}#{pin}", address.unwrap());
    let doctor = Command::new(PROGRAM).args(["doctor", &relay]).output().unwrap();
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success() && found.contains("UDP to") && found.contains("TCP:"), "{found}");
    assert!(key.exists(), "the pin stays");
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success() && child.wait().unwrap().success());
}
