//! `cargo xtask header`: the C header of kring-ffi, made from its source.

use std::fs;
use std::process::Command;

use lexopt::prelude::*;

use crate::failure::Failure;
use crate::needs::{self, Need};
use crate::workspace::{find_program, root};

const HEADER: &str = "crates/kring-ffi/include/kring.h";

/// Writes the header, or with `--check` compares it.
pub(crate) fn run(mut line: lexopt::Parser) -> Result<(), Failure> {
    let (mut check_only, mut yes) = (false, false);
    while let Some(argument) = line.next()? {
        match argument {
            Long("check") => check_only = true,
            Long("yes") => yes = true,
            other => return Err(other.unexpected().into()),
        }
    }
    needs::ensure(&[Need::CBINDGEN], yes)?;
    if check_only {
        return check().map_err(Failure::failed);
    }
    let header = make().map_err(Failure::failed)?;
    fs::write(root().join(HEADER), header)
        .map_err(|e| Failure::failed(format!("{HEADER} can't be written: {e}")))
}

/// Compares the committed header with what the source says.
pub(crate) fn check() -> Result<(), String> {
    let committed =
        fs::read_to_string(root().join(HEADER)).map_err(|e| format!("{HEADER} can't be read: {e}"))?;
    if committed == make()? {
        Ok(())
    } else {
        Err(format!("{HEADER} is not what crates/kring-ffi/src says; run `cargo xtask header` and commit it"))
    }
}

fn make() -> Result<String, String> {
    let program = find_program("cbindgen").ok_or("cbindgen is not in PATH")?;
    let made = Command::new(program)
        .args(["--quiet", "--config", "cbindgen.toml", "--crate", "kring-ffi", "."])
        .current_dir(root().join("crates/kring-ffi"))
        .output()
        .map_err(|e| format!("cbindgen did not start: {e}"))?;
    if made.status.success() {
        String::from_utf8(made.stdout).map_err(|e| format!("cbindgen wrote no UTF-8: {e}"))
    } else {
        Err(format!("cbindgen ended with {}: {}", made.status, String::from_utf8_lossy(&made.stderr).trim()))
    }
}
