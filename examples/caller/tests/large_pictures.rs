//! Pictures of 1280x720 and 1920x1080 reach the other side at their full size once the way is known to carry them.

mod common;

use common::{Desk, until};
use std::fs;

/// Calls with a test card of that size and waits until a picture is shown as large as it was sent.
fn full_size_is_shown(width: u32, height: u32) {
    let desk = Desk::new();
    let card = format!("--mic none --speaker none --camera testcard:{width}x{height} --max-rate 8000");
    let mut answer = desk.answer("--accept all --mic none --speaker none --max-rate 8000 --record seen");
    let ticket = fs::read_to_string(desk.path("ticket")).unwrap();
    let mut call = desk.start("caller", &format!("call {} {card}", ticket.trim()));
    let log = desk.path("seen/log.jsonl");
    let (w, h) = (format!("\"w\":{width}"), format!("\"h\":{height}"));
    let full = |line: &str| line.contains("frame-out") && line.contains(&w) && line.contains(&h);
    until("a picture of full size", || fs::read_to_string(&log).is_ok_and(|log| log.lines().any(full)));
    call.terminate();
    call.wait();
    answer.terminate();
    answer.wait();
    let header = fs::read(desk.path("seen/recv-video.y4m")).unwrap();
    let size = format!("W{width} H{height} ");
    assert!(header[..64].windows(size.len()).any(|at| at == size.as_bytes()));
}

#[test]
fn a_call_of_1280x720() {
    full_size_is_shown(1280, 720);
}

#[test]
fn a_call_of_1920x1080() {
    full_size_is_shown(1920, 1080);
}
