//! Tickets, contacts, codes, safety numbers, passcodes, the lobby and stores, from C: tests/c/people.c has the list.

mod common;

use common::{Program, Watch};

fn known(watch: Watch) {
    if let Some(program) = Program::compile("tests/c/people.c", watch) {
        assert_eq!(program.run(&[]), "well\n");
    }
}

#[test]
fn as_a_program_in_c_does() {
    known(Watch::Nothing);
}

#[test]
fn as_a_program_in_c_does_under_valgrind() {
    known(Watch::Valgrind);
}

#[test]
fn as_a_program_in_c_does_under_sanitizers() {
    known(Watch::Sanitizers);
}
