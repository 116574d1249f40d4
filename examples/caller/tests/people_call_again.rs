//! Contacts by name, tickets that last, are used up or revoked, and people who are blocked.

mod common;

use common::{Desk, Program};
use std::fs;

fn ok(desk: &Desk, who: &str, arguments: &str) -> String {
    let (code, out, err) = desk.run(who, arguments);
    assert_eq!(code, 0, "{arguments}\n{out}\n{err}");
    out
}

/// Talks until something was said, and hangs up; gives all that was said.
fn talk(desk: &Desk, who: &str, arguments: &str, says: &str) -> String {
    let mut call = desk.start(who, &format!("call {arguments} --mic tone"));
    call.says(says);
    call.terminate();
    assert_eq!(call.wait(), 0, "{}", call.err());
    call.out()
}

/// Anna calls with a ticket, and each keeps the other.
fn keep_each_other(desk: &Desk, answer: &Program) {
    let mut call = desk.start("anna", "call @ticket --mic tone --keep Ben --name Annie");
    call.says("is kept as Ben");
    answer.says("is kept as Anna");
    call.terminate();
    assert_eq!(call.wait(), 0, "{}", call.err());
}

fn refused(desk: &Desk, who: &str, arguments: &str) {
    let (code, out, err) = desk.run(who, arguments);
    assert_eq!(code, 13, "{arguments}\n{out}\n{err}");
}

#[test]
fn two_who_keep_each_other_call_by_name_until_one_removes_or_blocks_the_other() {
    let desk = Desk::new();
    let answer = desk.answer("--accept all --mic tone --keep Anna");
    keep_each_other(&desk, &answer);
    let out = talk(&desk, "anna", "ben", "with Ben (contact, unverified)");
    assert!(out.contains("calling Ben"), "{out}");
    answer.says("Anna (contact)");
    assert!(ok(&desk, "anna", "contacts").contains("Ben  "));
    // What the two may compare outside of any call.
    let number = ok(&desk, "anna", "contacts number ben");
    assert_eq!(number.split_whitespace().map(str::len).collect::<Vec<_>>(), [5; 12]);
    assert_eq!(number, ok(&desk, "answer", "contacts number Anna"));
    // Out of the other process, by its folder.
    let listed = ok(&desk, "answer", "contacts --json");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["contacts"][0]["name"], "Anna");
    assert_eq!(listed["contacts"][0]["callable"], true);

    ok(&desk, "answer", "contacts rename anna Cleo");
    ok(&desk, "answer", "contacts block Cleo");
    refused(&desk, "anna", "call Ben --mic tone");
    refused(&desk, "anna", "call @ticket --mic tone");
    assert!(ok(&desk, "answer", "contacts").contains("BLOCKED"));
    ok(&desk, "answer", "contacts unblock Cleo");
    refused(&desk, "anna", "call Ben --mic tone");
    talk(&desk, "anna", "@ticket", "connected");
    ok(&desk, "answer", "contacts remove Cleo");
    refused(&desk, "anna", "call Ben --mic tone");
    assert!(ok(&desk, "answer", "contacts").contains("no contacts"));
}

#[test]
fn contacts_only_lets_contacts_through() {
    let desk = Desk::new();
    let mut answer = desk.answer("--accept all --mic tone --keep Anna");
    keep_each_other(&desk, &answer);
    let ticket = fs::read_to_string(desk.path("ticket")).unwrap();
    answer.terminate();
    answer.wait();
    let listens = answer
        .out()
        .lines()
        .find_map(|l| l.strip_prefix("waiting for calls at ").map(str::to_owned))
        .unwrap();
    let address = listens.split(';').next().unwrap();
    let again =
        desk.start("answer", &format!("answer --accept all --mic tone --contacts-only --bind {address}"));
    again.says("waiting for calls of contacts");
    refused(&desk, "eve", &format!("call {ticket} --mic tone"));
    talk(&desk, "anna", "Ben", "connected");
    assert!(!again.out().contains("kring1"));
}

#[test]
fn tickets_are_listed_last_over_a_restart_and_end_when_used_or_revoked() {
    let desk = Desk::new();
    let mut answer = desk.answer("--accept all --mic tone --one-use --expires 2h");
    assert!(ok(&desk, "answer", "tickets").contains("for one call"));
    talk(&desk, "anna", "@ticket", "connected");
    refused(&desk, "anna", "call @ticket --mic tone");
    assert!(ok(&desk, "answer", "tickets").contains("no ticket holds"));
    answer.terminate();
    answer.wait();

    let mut first = desk.answer("--mic tone");
    let listens =
        first.out().lines().find_map(|l| l.strip_prefix("waiting for calls at ").map(str::to_owned)).unwrap();
    let address = listens.split(';').next().unwrap().to_owned();
    fs::rename(desk.path("ticket"), desk.path("first")).unwrap();
    first.terminate();
    first.wait();
    let _second = desk.answer(&format!("--accept all --mic tone --bind {address}"));
    talk(&desk, "anna", "@first", "connected");
    let list = ok(&desk, "answer", "tickets");
    assert_eq!(list.lines().count(), 2, "{list}");
    let id = list.split_whitespace().next().unwrap();
    ok(&desk, "answer", &format!("tickets revoke {id}"));
    refused(&desk, "anna", "call @first --mic tone");
    ok(&desk, "answer", "tickets revoke all");
    refused(&desk, "anna", "call @ticket --mic tone");
}

#[test]
fn somebody_added_by_a_ticket_is_called_by_name() {
    let desk = Desk::new();
    let _answer = desk.answer("--accept all --mic tone");
    let out = ok(&desk, "anna", "contacts add @ticket --name Ben");
    assert!(out.contains("kring call Ben"), "{out}");
    talk(&desk, "anna", "Ben", "connected");
    assert!(ok(&desk, "anna", "contacts").contains("last call"));
}
