//! Tickets and text: secrets for their owner only, and nothing that steers a terminal where there is none.

mod common;

use common::Desk;
use std::fs;

#[cfg(unix)]
#[test]
fn the_ticket_file_is_its_owners_alone_and_holds_what_was_printed() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    fs::write(desk.path("ticket"), "an old one").unwrap();
    let answer = desk.answer("");
    let mode = fs::metadata(desk.path("ticket")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    answer.says("waiting for calls");
    let ticket = fs::read_to_string(desk.path("ticket")).unwrap();
    assert!(answer.out().lines().any(|line| line == ticket.trim()), "{}", answer.out());
    assert!(ticket.parse::<kring::Ticket>().is_ok());
}

#[test]
fn without_a_terminal_there_are_plain_lines_only() {
    let desk = Desk::new();
    let mut answer = desk.answer("--accept all --mic tone --for 4");
    let (code, out, err) = desk.run("call", "call @ticket --camera testcard");
    assert_eq!((code, answer.wait()), (0, 0), "{err}");
    for text in [out, err, answer.out(), answer.err()] {
        assert!(!text.contains(['\u{1b}', '\r', '█']), "{text:?}");
    }
}

#[test]
fn a_ticket_is_taken_from_the_environment_too() {
    let desk = Desk::new();
    let _answer = desk.answer("--accept all --mic tone");
    let call = std::process::Command::new(env!("CARGO_BIN_EXE_kring"))
        .args(["call", "--mic", "tone", "--for", "2", "--bind", "127.0.0.1:0", "--home"])
        .arg(desk.path("home-call"))
        .env("KRING_TICKET", fs::read_to_string(desk.path("ticket")).unwrap())
        .output()
        .unwrap();
    assert_eq!(call.status.code(), Some(0), "{call:?}");
}

#[test]
fn the_identity_is_made_once_and_shown() {
    let desk = Desk::new();
    let (code, first, _) = desk.run("me", "id");
    assert_eq!(code, 0);
    assert!(first.contains("just now") && first.contains("home-me"), "{first}");
    let (_, again, _) = desk.run("me", "id");
    let fingerprint = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    assert_eq!(fingerprint(&first), fingerprint(&again));
    assert!(!again.contains("just now"));
}

#[test]
fn help_lists_the_exit_codes() {
    let desk = Desk::new();
    let (code, out, err) = desk.run("me", "id --help");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_kring")).args(["answer", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    assert!(help.contains("143") && help.contains("--record"), "{help}");
}
