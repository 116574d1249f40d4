//! A program in C brings its own codecs.

mod common;

use common::{Program, Watch};

fn brought(watch: Watch) {
    if let Some(program) = Program::compile("tests/c/own_codec.c", watch) {
        assert_eq!(program.run(&[]), "well\n");
    }
}

#[test]
fn encode_and_decode() {
    brought(Watch::Nothing);
}

#[test]
fn encode_and_decode_under_sanitizers() {
    brought(Watch::Sanitizers);
}
