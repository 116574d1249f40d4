//! Both ends show one code and one safety number, for two people to compare.

mod common;

use common::Desk;
use serde_json::Value;

fn line(out: &str, ev: &str) -> Value {
    let mut lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["ev"] == ev).unwrap_or_else(|| panic!("no {ev} in {out}"))
}

#[test]
fn both_ends_show_one_code_and_one_safety_number() {
    let desk = Desk::new();
    let mut answer = desk.answer("--accept all --mic tone --for 6 --json");
    let (code, out, err) = desk.run("call", "call @ticket --mic tone --for 4 --json");
    assert_eq!((code, answer.wait()), (0, 0), "{err}");
    let there = answer.out();
    let (here, other) = (line(&out, "code"), line(&there, "code"));
    assert_eq!((&here["words"], &here["emoji"]), (&other["words"], &other["emoji"]));
    assert_eq!((here["words"].as_array().unwrap().len(), here["emoji"].as_array().unwrap().len()), (4, 5));
    let (here, other) = (line(&out, "safety-number"), line(&there, "safety-number"));
    assert_eq!(here["number"], other["number"]);
    // Each scans what the other shows.
    assert_ne!(here["scan"], other["scan"]);
    assert_eq!(line(&out, "connected")["verified"], false);
}
