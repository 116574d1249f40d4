//! A passcode from a file or the environment, and callers who wait to be let in.

mod common;

use common::Desk;
use std::fs;

#[test]
fn the_right_passcode_gets_through_a_wrong_one_and_none_do_not() {
    let desk = Desk::new();
    fs::write(desk.path("right"), "tulips\n").unwrap();
    fs::write(desk.path("wrong"), "roses\n").unwrap();
    let answer = desk.answer("--accept all --mic tone --passcode-file right");
    let (code, out, err) = desk.run("none", "call @ticket --mic tone");
    assert_eq!(code, 18, "{err}");
    assert!(out.contains("--passcode-file"), "{out}");
    let (code, out, err) = desk.run("wrong", "call @ticket --mic tone --passcode-file wrong");
    assert_eq!(code, 18, "{err}");
    let (code, _, err) = desk.run("right", "call @ticket --mic tone --passcode-file right --for 4");
    assert_eq!(code, 0, "{err}");
    for text in [out, err, answer.out(), answer.err()] {
        assert!(!text.contains("tulips") && !text.contains("roses"), "{text}");
    }
}

#[test]
fn a_passcode_is_taken_from_the_environment_and_too_short_a_one_refused() {
    let desk = Desk::new();
    desk.set("KRING_PASSCODE", "tulips");
    let _answer = desk.answer("--accept all --mic tone");
    let (code, _, err) = desk.run("call", "call @ticket --mic tone --for 4");
    assert_eq!(code, 0, "{err}");
    fs::write(desk.path("short"), "123\n").unwrap();
    let (code, _, err) = desk.run("call", "call @ticket --passcode-file short");
    assert_eq!(code, 2);
    assert!(err.contains("at least 4"), "{err}");
}

#[test]
fn in_the_lobby_nobody_is_let_in_without_a_terminal_but_by_accept_all() {
    let desk = Desk::new();
    let answer = desk.answer("--lobby");
    let (code, out, err) = desk.run("call", "call @ticket --mic tone");
    assert_eq!(code, 14, "{err}");
    assert!(out.contains("lets you in"), "{out}");
    answer.says("waits to be let in");
    drop(answer);
    let _answer = desk.answer("--lobby --accept all --mic tone");
    let (code, _, err) = desk.run("call", "call @ticket --mic tone --for 3");
    assert_eq!(code, 0, "{err}");
}
