//! What goes wrong ends with a sentence and a code of its own, and with nothing half-done.

mod common;

use common::Desk;
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

#[track_caller]
fn fails(desk: &Desk, arguments: &str, code: i32, with: &str) {
    let (came, out, err) = desk.run("failing", arguments);
    assert_eq!(came, code, "{arguments}\n{out}\n{err}");
    assert!(err.lines().any(|line| line.starts_with("kring: ")), "{err}");
    assert!(err.contains(with), "{arguments}: expected {with:?} in {err:?}");
}

/// A ticket that is whole, though nobody listens there.
fn ticket(desk: &Desk, arguments: &str) -> String {
    let program = desk.answer(arguments);
    drop(program);
    fs::read_to_string(desk.path("ticket")).unwrap().trim().to_owned()
}

#[test]
fn a_wrong_ticket_is_found_before_anything_is_made() {
    let desk = Desk::new();
    let good = ticket(&desk, "--expires 1s");
    let mut damaged = good.clone().into_bytes();
    damaged[60] = if damaged[60] == b'a' { b'b' } else { b'a' };
    let damaged = String::from_utf8(damaged).unwrap();
    fails(&desk, &format!("call {damaged} --record r"), 10, "checksum");
    fails(&desk, &format!("call {}", &good[..80]), 10, "too early");
    fails(&desk, "call hello", 10, "kring1");
    fails(&desk, "call -", 10, "came nothing");
    fails(&desk, "call @missing", 10, "missing");
    fails(&desk, "call", 2, "KRING_TICKET");
    std::thread::sleep(Duration::from_millis(1200));
    fails(&desk, &format!("call {good} --record r"), 11, "expired");
    assert!(!desk.path("r").exists() && !desk.path("home-failing").exists());
}

#[test]
fn nobody_there_is_unreachable() {
    let desk = Desk::new();
    let ticket = ticket(&desk, "");
    fails(&desk, &format!("call {ticket} --mic tone"), 12, "no address in the ticket answered");
    fails(&desk, &format!("call {ticket} --for 1"), 16, "--for");
}

#[test]
fn a_ticket_that_somebody_else_gave_out_is_refused() {
    let desk = Desk::new();
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bind = format!("--bind 127.0.0.1:{port}");
    let old = ticket(&desk, &bind);
    let mut other = desk.start("other", &format!("answer {bind} --for 20"));
    other.says("waiting for calls");
    fails(&desk, &format!("call {old}"), 13, "ask for a new one");
    other.terminate();
    other.wait();
}

#[cfg(unix)]
#[test]
fn damaged_lists_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    for (list, command) in
        [("contacts", "contacts"), ("tickets", "tickets"), ("contacts", "answer"), ("tickets", "call x")]
    {
        let path = desk.path(&format!("home-failing/{list}"));
        let _ = fs::create_dir(path.parent().unwrap());
        fs::write(&path, "no list").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fails(&desk, command, 21, "left as it is");
        assert_eq!(fs::read_to_string(&path).unwrap(), "no list");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn contacts_that_are_not_there_or_cannot_be_named_so() {
    let desk = Desk::new();
    fails(&desk, "contacts remove Anna", 17, "no contact is called \"Anna\"");
    fails(&desk, "contacts rename Anna Ben", 17, "kring contacts");
    fails(&desk, "contacts block Anna", 17, "no contact");
    fails(&desk, "contacts unblock Anna", 17, "no contact");
    fails(&desk, "contacts number Anna", 17, "no contact");
    fails(&desk, "contacts rename Anna -x", 2, "-x");
    fails(&desk, "contacts add hello --name Anna", 10, "kring1");
    fails(&desk, "call Anna", 10, "no contact is called \"Anna\"");
    fails(&desk, "tickets revoke 12", 2, "16 hexadecimal digits");
    fails(&desk, "tickets revoke 0123456789abcdef", 10, "no ticket 0123456789abcdef holds");
    fails(&desk, "answer --contacts-only --one-use", 2, "--one-use");
    fails(&desk, "answer --keep @x", 2, "begins with @");
}

#[test]
fn without_a_terminal_calls_are_declined() {
    let desk = Desk::new();
    let mut answer = desk.answer("--mic tone");
    fails(&desk, "call @ticket --mic tone", 14, "declined");
    answer.says("declined, as there is no terminal");
    answer.terminate();
    assert_eq!(answer.wait(), 143);
    assert!(answer.err().contains("every call is declined; use --accept all"), "{}", answer.err());
}

#[test]
fn in_a_call_all_others_hear_that_it_is_busy() {
    let desk = Desk::new();
    let answer = desk.answer("--accept all --mic tone");
    let mut first = desk.start("first", "call @ticket --mic tone");
    first.says("connected");
    fails(&desk, "call @ticket", 15, "in another call");
    fails(&desk, "call @ticket", 15, "in another call");
    answer.says("is told that you are in a call");
    first.terminate();
    assert_eq!(first.wait(), 0);
    // And then the line is free again.
    answer.says("waiting for the next call");
    assert_eq!(desk.run("failing", "call @ticket --mic tone --for 2").0, 0);
}

#[test]
fn wrong_media_files_are_found_first() {
    let desk = Desk::new();
    let y4m = |name: &str, header: &str, bytes: usize| {
        let picture = [header.as_bytes(), b"\nFRAME\n", &vec![128; bytes]].concat();
        fs::write(desk.path(name), picture).unwrap();
    };
    y4m("cut.y4m", "YUV4MPEG2 W160 H90 F30:1 C420", 160 * 90 * 3 / 2 - 1);
    y4m("odd.y4m", "YUV4MPEG2 W161 H90 F30:1 C420", 161 * 90 * 3 / 2);
    fs::write(desk.path("text.y4m"), "hello").unwrap();
    let mut law =
        b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x07\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x08\0\0\0"
            .to_vec();
    law.extend([0; 8]);
    fs::write(desk.path("law.wav"), law).unwrap();
    let all = [
        ("--camera missing.y4m", "missing.y4m"),
        ("--camera cut.y4m", "cut off"),
        ("--camera odd.y4m", "even width"),
        ("--camera text.y4m", "expected a Y4M file"),
        ("--mic missing.wav", "missing.wav"),
        ("--mic law.wav", "format tag 7"),
        ("--mic text.y4m", "expected a WAV file"),
    ];
    for (media, with) in all {
        fails(&desk, &format!("answer --ticket-file t --record r {media}"), 20, with);
    }
    let made = |name| desk.path(name).exists();
    assert!(!made("t") && !made("r") && !made("home-failing"));
}

#[test]
fn a_port_in_use_is_named() {
    let desk = Desk::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    fails(&desk, &format!("answer --ticket-file t --bind {address}"), 22, &address.to_string());
    assert!(!desk.path("t").exists());
}

#[cfg(unix)]
#[test]
fn a_damaged_identity_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let path = desk.path("home-failing/identity");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "no identity").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for arguments in ["answer", "id"] {
        fails(&desk, arguments, 21, "left as it is");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "no identity");
}

#[test]
fn files_that_cannot_be_written_are_found_first() {
    let desk = Desk::new();
    fs::write(desk.path("file"), "mine").unwrap();
    for option in ["--record file", "--stats no/such/folder", "--ticket-file no/such/folder"] {
        fails(&desk, &format!("answer {option}"), 25, "expected to write");
    }
    assert_eq!(fs::read_to_string(desk.path("file")).unwrap(), "mine");
    assert!(!desk.path("home-failing").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_the_call_goes_on() {
    let desk = Desk::new();
    let _answer = desk.answer("--accept all --mic tone");
    let (code, out, err) = desk.run("call", "call @ticket --mic tone --stats /dev/full --for 3");
    assert_eq!(code, 25, "{err}");
    assert!(out.contains("connected") && err.contains("no statistics from here on"), "{out}{err}");
}

#[test]
fn what_is_not_there_yet_is_refused_with_what_is() {
    let desk = Desk::new();
    fails(
        &desk,
        "answer --camera screen:1",
        2,
        "cannot send a screen yet; use device, FILE.y4m, testcard or none",
    );
    fails(&desk, "answer --view terminal", 2, "expected a terminal for people");
    fails(&desk, "answer --processing on", 2, "no sound processing yet");
    fails(&desk, "answer --relay x", 2, "--relay");
}
