//! The caller in C holds calls: with another one, and with a program in Rust.

mod common;

use common::{Program, Watch, file, has_tone, here, sound};
use kring::capture::{Consent, Tone};
use kring::{Endpoint, Event, Media};
use std::time::Duration;

const CALLER: &str = "../../examples/c/caller.c";

#[test]
fn with_each_other() {
    let Some(callee) = Program::compile(CALLER, Watch::Nothing) else { return };
    let Some(caller) = Program::compile(CALLER, Watch::Nothing) else { return };
    let answering = callee.start(&[
        "answer",
        "--accept",
        "all",
        "--bind",
        "127.0.0.1:0",
        "--ticket-file",
        "ticket",
        "--name",
        "Ben",
        "--speaker",
        "heard.wav",
        "--view",
        "seen.y4m",
    ]);
    let ticket = file(&callee.path("ticket"));
    let speech = here("../../media/speech-a.wav").display().to_string();
    let said = caller.run(&[
        "call",
        ticket.trim(),
        "--name",
        "Anna",
        "--mic",
        &speech,
        "--speaker",
        "heard.wav",
        "--camera",
        "testcard",
        "--bind",
        "127.0.0.1:0",
        "--for",
        "5",
    ]);
    let answered = answering.well();
    let code = |text: &str| text.lines().find(|line| line.starts_with("read this")).map(str::to_owned);
    assert!(code(&said).is_some(), "{said}");
    assert_eq!(code(&said), code(&answered), "{said}\n{answered}");
    assert!(said.contains("the other side records this call"), "{said}");
    assert!(said.contains("ended: this side hung up"), "{said}");
    assert!(answered.contains("calls: \"Anna\""), "{answered}");
    assert!(answered.contains("ended: the other side hung up"), "{answered}");
    assert!(!answered.contains("saw 0 pictures"), "{answered}");
    assert!(has_tone(440.0, &sound(&caller.path("heard.wav"))), "the tone came through");
    let speech = sound(&callee.path("heard.wav"));
    assert!(!has_tone(440.0, &speech) && speech.iter().any(|x| x.abs() > 0.05), "speech came through");
    let seen = std::fs::read(callee.path("seen.y4m")).expect("a file");
    assert!(seen.starts_with(b"YUV4MPEG2 ") && seen.len() > 640 * 360 * 3 / 2 * 10, "{} bytes", seen.len());
}

/// Slow, so that voice may have gaps; what matters is that memory is handled well.
#[test]
fn with_each_other_under_sanitizers() {
    let Some(callee) = Program::compile(CALLER, Watch::Sanitizers) else { return };
    let Some(caller) = Program::compile(CALLER, Watch::Sanitizers) else { return };
    let answering = callee.start(&[
        "answer",
        "--accept",
        "all",
        "--bind",
        "127.0.0.1:0",
        "--ticket-file",
        "ticket",
        "--home",
        "home",
    ]);
    let ticket = file(&callee.path("ticket"));
    caller.run(&["call", ticket.trim(), "--bind", "127.0.0.1:0", "--for", "3", "--camera", "testcard"]);
    answering.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_program_in_rust() {
    let Some(caller) = Program::compile(CALLER, Watch::Nothing) else { return };
    let endpoint =
        Endpoint::builder().bind("127.0.0.1:0".parse().expect("an address")).build().expect("an endpoint");
    let ticket = endpoint.ticket(Duration::from_secs(600)).expect("a ticket").to_string();
    let running = caller.start(&[
        "call",
        &ticket,
        "--name",
        "Anna",
        "--speaker",
        "heard.wav",
        "--bind",
        "127.0.0.1:0",
        "--for",
        "4",
    ]);
    let incoming = tokio::time::timeout(Duration::from_secs(60), endpoint.incoming());
    let incoming = incoming.await.expect("in time").expect("a caller");
    assert_eq!(incoming.name(), "Anna");
    let call = incoming.answer(Media::new(Consent::to_nothing()).microphone(Tone::new().frequency(1000.0)));
    let mut code = None;
    while let Some(event) = call.next_event().await {
        if let Event::Code(words) = event {
            code = Some(words.to_string());
        }
    }
    let said = tokio::task::spawn_blocking(|| running.well()).await.expect("no panic");
    assert!(said.contains(&code.expect("a code")), "{said}");
    assert!(has_tone(1000.0, &sound(&caller.path("heard.wav"))), "the tone came through");
}
