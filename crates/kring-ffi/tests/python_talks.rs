//! The module for Python in real calls: with itself, with the `kring` caller, and compared with the header.
mod common;
use common::{called_from_rust, caller, has, here, left_out, library};
use std::process::Command;

const PYTHON: &str = "python3";

/// As `interpreter.version_info` has them.
const OLDEST: (u32, u32) = (3, 9);

/// Whether it is there and new enough; says so, loudly, if not.
fn python_is_there() -> bool {
    if !has(PYTHON) {
        left_out("the module for Python", "no python3");
        return false;
    }
    let asked =
        Command::new(PYTHON).args(["-c", "import sys; print(*sys.version_info[:2])"]).output().unwrap();
    let version = String::from_utf8_lossy(&asked.stdout);
    let numbers: Vec<u32> = version.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let fits = (numbers[0], numbers[1]) >= OLDEST;
    if !fits {
        left_out("the module for Python", &format!("python3 is {version}"));
    }
    fits
}

#[test]
#[allow(clippy::print_stderr)]
fn pythons_own_tests_pass() {
    let program = "python3";
    if !has(program) {
        return left_out("the module for Python", "no python3");
    }
    let asked =
        Command::new(program).args(["-c", "import sys; print(*sys.version_info[:2])"]).output().unwrap();
    let version = String::from_utf8_lossy(&asked.stdout);
    let numbers: Vec<u32> = version.split_whitespace().map(|n| n.parse().unwrap()).collect();
    if (numbers[0], numbers[1]) < OLDEST {
        return left_out("the module for Python", &format!("python3 is {version}"));
    }
    let mut tests = Command::new(program);
    tests.args(["-B", "-X", "dev", "-m", "unittest", "discover", "-v", "-s"]).arg(here("python/tests"));
    tests.env("KRING_LIBRARY", library());
    match caller() {
        Some(caller) => drop(tests.env("KRING_CALLER", caller)),
        None => {
            left_out("Python's call with the caller", "it is not built; `cargo build -p kring-caller` does")
        }
    }
    let ran = tests.output().expect("python3 starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    eprintln!("{said}");
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stdout));
    assert!(said.contains("test_two_hear_and_see_each_other"), "there were tests");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_answers_a_program_in_rust() {
    if !python_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut example = Command::new(PYTHON);
    example.arg("-B").arg(here("../../examples/python/call.py")).current_dir(folder.path());
    example.env("KRING_LIBRARY", library()).env("PYTHONPATH", here("python"));
    called_from_rust(&mut example, "Python", folder.path()).await;
}
