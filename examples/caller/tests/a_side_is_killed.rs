//! `kill -9` of one side at any moment: the other says so, and the identity is whole.
#![cfg(unix)]

mod common;

use common::Desk;
use std::time::Duration;

#[test]
fn the_other_side_says_that_the_call_is_interrupted() {
    let desk = Desk::new();
    let mut answer = desk.answer("--accept all --mic tone --record b --json");
    let call = desk.start("call", "call @ticket --mic tone");
    call.says("connected");
    call.signal("KILL");
    answer.says("\"interrupted\"");
    // And it goes on taking orders.
    answer.terminate();
    assert_eq!(answer.wait(), 0, "{}", answer.err());
}

#[test]
fn the_identity_is_whole_whenever_the_program_is_killed() {
    let desk = Desk::new();
    let _answer = desk.answer("--accept all --mic tone");
    let mut kept = None;
    for delay in [0, 2, 5, 10, 20, 40, 60, 80, 100, 150, 250, 400] {
        let call = desk.start("call", "call @ticket --mic tone");
        std::thread::sleep(Duration::from_millis(delay));
        call.signal("KILL");
        drop(call);
        let (code, out, err) = desk.run("call", "id");
        assert_eq!(code, 0, "killed after {delay} ms: {err}");
        let fingerprint = out.lines().find_map(|l| l.strip_prefix("fingerprint ")).unwrap().to_owned();
        // Once it was shown it stays.
        assert_eq!(*kept.get_or_insert(fingerprint.clone()), fingerprint, "killed after {delay} ms");
    }
    assert!(desk.path("home-call/identity").exists());
}
