//! A program in C brings its own microphones, speakers, cameras and views.

mod common;

use common::{Program, Watch};

fn brought(watch: Watch) {
    if let Some(program) = Program::compile("tests/c/own_media.c", watch) {
        let speed = if watch == Watch::Valgrind { "slow" } else { "as it is" };
        assert_eq!(program.run(&[speed]), "well\n");
    }
}

#[test]
fn is_sent_and_played() {
    brought(Watch::Nothing);
}

#[test]
fn is_sent_and_played_under_valgrind() {
    brought(Watch::Valgrind);
}

#[test]
fn is_sent_and_played_under_sanitizers() {
    brought(Watch::Sanitizers);
}
