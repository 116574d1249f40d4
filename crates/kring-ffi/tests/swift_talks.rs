//! The package for Swift in real calls: with itself, and with the `kring` caller. Only with KRING_SWIFT=1, for few have Swift.
mod common;
use common::{called_from_rust, caller, has, here, left_out, library};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Header and library as an installation lays them out, with what pkg-config wants to know.
fn install(to: &Path) {
    let (include, lib) = (here("include"), to.join("lib"));
    fs::create_dir_all(lib.join("pkgconfig")).unwrap();
    let name = format!("{}kring{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    fs::copy(library(), lib.join(name)).unwrap();
    let about = format!(
        "Name: kring\nDescription: for tests\nVersion: 0\nLibs: -L{} -lkring\nCflags: -I{}\n",
        lib.display(),
        include.display()
    );
    fs::write(lib.join("pkgconfig/kring.pc"), about).unwrap();
}

/// Swift's package manager, which finds what is installed there, and builds there.
fn swift(what: &str, package: &str, installed: &Path) -> Command {
    let mut command = Command::new("swift");
    command.arg(what).arg("--package-path").arg(here(package));
    command.arg("--scratch-path").arg(installed.join(what));
    command.env("PKG_CONFIG_PATH", installed.join("lib/pkgconfig"));
    let loaded = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let paths = [installed.join("lib")].into_iter().chain(std::env::split_paths(&loaded));
    command.env("LD_LIBRARY_PATH", std::env::join_paths(paths).unwrap());
    command
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stderr)]
async fn the_example_and_swifts_own_tests_pass() {
    if std::env::var_os("KRING_SWIFT").is_none_or(|on| on != "1") {
        eprintln!("LEFT OUT: the package for Swift: KRING_SWIFT=1 is not set");
        return;
    }
    assert!(has("swift"), "expected swift in PATH, since KRING_SWIFT=1 is set");
    let folder = tempfile::tempdir().unwrap();
    install(folder.path());
    let mut example = swift("run", "../../examples/swift/call", folder.path());
    called_from_rust(example.arg("call").current_dir(folder.path()), "Swift", folder.path()).await;
    let mut tests = swift("test", "swift", folder.path());
    match caller() {
        Some(caller) => drop(tests.env("KRING_CALLER", caller)),
        None => {
            left_out("Swift's call with the caller", "it is not built; `cargo build -p kring-caller` does")
        }
    }
    let ran = tests.output().expect("swift starts");
    let said = String::from_utf8_lossy(&ran.stdout);
    eprintln!("{said}");
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("testTwoEndpointsHearAndSeeEachOther"), "there were tests");
}
