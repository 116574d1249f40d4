//! What a program does wrong gives an error code, and neither a crash nor a leak: tests/c/misuse.c has the list.

mod common;

use common::{Program, Watch};

fn misused(watch: Watch) {
    if let Some(program) = Program::compile("tests/c/misuse.c", watch) {
        assert_eq!(program.run(&[]), "well\n");
    }
}

#[test]
fn and_not_a_crash() {
    misused(Watch::Nothing);
}

#[test]
fn and_not_a_leak_under_valgrind() {
    misused(Watch::Valgrind);
}

#[test]
fn and_not_a_leak_under_sanitizers() {
    misused(Watch::Sanitizers);
}
