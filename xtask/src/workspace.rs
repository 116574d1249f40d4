//! Where things are: the repository's folders, the build folder, and the cargo that started this program.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The folder that holds what the dev profile builds: this program lies in it, wherever it was configured to be.
pub(crate) fn build_dir() -> PathBuf {
    let here = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    here.unwrap_or_else(|| root().join("target/debug"))
}

/// The folder above it, `target` as a rule.
pub(crate) fn target_dir() -> PathBuf {
    build_dir().parent().map_or_else(|| root().join("target"), Path::to_path_buf)
}

/// `cargo` with these arguments, to be run at the top of the repository.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// A program of this name in PATH or among those that `cargo install` has put in place.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let home =
        env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|h| h.join(".cargo")));
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path)
        .chain(home.map(|h| h.join("bin")))
        .map(|dir| dir.join(&file))
        .find(|p| p.is_file())
}
