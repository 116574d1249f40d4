//! Kring with one thing wrong in it: the walk names the section that it is about.

mod common;

use common::{NOTHING, PATIENCE, Person, Sabotage, damaged, failed, kind_of, log, right_offer, wall};
use kring_conform::{Invitation, Options, answer, dial};
use kring_core::crypto::default_provider;
use kring_core::fuzzing::{certificate_of, raw};
use kring_core::identity::Identity;
use kring_core::media::parse;
use kring_core::offer::Offer;
use std::sync::Arc;
use std::time::Duration;

/// What fails at a sabotaged callee; `only` says which refusals are tried.
async fn callee(sabotage: Sabotage, only: &str) -> Vec<(&'static str, &'static str)> {
    callee_within(PATIENCE, sabotage, only).await
}

async fn callee_within(
    patience: Duration,
    sabotage: Sabotage,
    only: &str,
) -> Vec<(&'static str, &'static str)> {
    let person = Arc::new(Person::new(sabotage));
    let ticket = person.ticket();
    let task = tokio::spawn(person.clone().answer(ticket.clone()));
    let mut log = log();
    let options = Options { patience, only: Some(only.into()), ..Options::default() };
    dial(&ticket, &options, &mut log).await.unwrap();
    task.abort();
    failed(&log)
}

/// What fails at a sabotaged caller.
async fn caller(sabotage: Sabotage, only: &str) -> Vec<(&'static str, &'static str)> {
    caller_within(PATIENCE, sabotage, only).await
}

async fn caller_within(
    patience: Duration,
    sabotage: Sabotage,
    only: &str,
) -> Vec<(&'static str, &'static str)> {
    let person = Arc::new(Person::new(sabotage));
    let options = Options { patience, only: Some(only.into()), ..Options::default() };
    let invitation = Invitation::new("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let ticket = invitation.ticket().clone();
    let mut log = log();
    answer(&invitation, &options, &mut log, |_, _, _| {
        drop(tokio::spawn(person.clone().dial(ticket.clone())));
    })
    .await;
    failed(&log)
}

/// The one section of all that failed, and that something did.
#[track_caller]
fn is_about(failed: &[(&'static str, &'static str)], section: &str) {
    assert!(!failed.is_empty(), "nothing failed");
    assert!(
        failed.iter().all(|(s, _)| *s == section),
        "expected failures of {section} only, came {failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_wrong() {
    let patience = Duration::from_secs(15);
    assert_eq!(callee_within(patience, NOTHING, "").await, []);
    assert_eq!(caller_within(patience, NOTHING, "").await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_code_for_a_strangers_hint() {
    let failed = callee(Sabotage { refuses: |_| 0x43, ..NOTHING }, "a hint that fits nothing").await;
    assert_eq!(failed, [("5", "is refused")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_was_not_offered() {
    fn payload() -> Vec<u8> {
        let mut out = Vec::new();
        raw::put_number(3, 2, &mut out);
        out
    }
    is_about(&callee(Sabotage { payload: Some(payload), ..NOTHING }, "none").await[..1], "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_certificate() {
    fn payload() -> Vec<u8> {
        let provider = default_provider();
        let other = Identity::generate(&*provider, wall()).unwrap();
        let mut out = Vec::new();
        raw::put(4, &certificate_of(&other), &mut out);
        raw::put_number(3, 1, &mut out);
        out
    }
    is_about(&callee(Sabotage { payload: Some(payload), ..NOTHING }, "none").await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_message_without_a_call_id() {
    fn payload() -> Vec<u8> {
        let mut out = Vec::new();
        raw::put_number(2, wall().0, &mut out);
        raw::put_number(3, 1, &mut out);
        out
    }
    is_about(&caller(Sabotage { payload: Some(payload), ..NOTHING }, "none").await, "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_key_with_a_signature_that_does_not_hold() {
    let says = |plaintext: &[u8], secret| match kind_of(plaintext) {
        5 => Some((damaged(plaintext), secret)),
        _ => Some((plaintext.to_vec(), secret)),
    };
    let sabotage = Sabotage { says, ..NOTHING };
    is_about(&callee(sabotage, "none").await, "8");
    is_about(&caller(sabotage, "none").await, "8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rekey_after_a_secret() {
    let sabotage = Sabotage { says: |plaintext, _| Some((plaintext.to_vec(), false)), ..NOTHING };
    is_about(&callee(sabotage, "none").await, "6");
    is_about(&caller(sabotage, "none").await, "6");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_messages_in_one() {
    let says = |plaintext: &[u8], secret| {
        let mut out = plaintext.to_vec();
        raw::put_number(7, 1, &mut out);
        Some((out, secret))
    };
    is_about(&callee(Sabotage { says, ..NOTHING }, "none").await, "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_did_not_ring() {
    let says = |plaintext: &[u8], secret| (kind_of(plaintext) != 1).then(|| (plaintext.to_vec(), secret));
    is_about(&callee(Sabotage { says, ..NOTHING }, "none").await, "7.2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_does_not_receive_h264() {
    let offer = || Offer { receive: vec!["opus".into()], ..right_offer() };
    is_about(&callee(Sabotage { offer, ..NOTHING }, "none").await, "7.1");
    is_about(&caller(Sabotage { offer, ..NOTHING }, "none").await, "7.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reveal_that_does_not_fit() {
    let says = |plaintext: &[u8], secret| match kind_of(plaintext) {
        11 | 12 => Some((damaged(plaintext), secret)),
        _ => Some((plaintext.to_vec(), secret)),
    };
    is_about(&caller(Sabotage { says, ..NOTHING }, "none").await, "7.3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_is_answered_with_another_counter() {
    let says = |plaintext: &[u8], secret| match kind_of(plaintext) {
        31 => {
            let fields = raw::fields(plaintext).unwrap();
            let second = raw::fields(fields[0].1).unwrap()[1].1;
            let (mut value, mut out) = (Vec::new(), Vec::new());
            raw::put_number(1, 7, &mut value);
            raw::put(5, second, &mut value);
            raw::put(31, &value, &mut out);
            Some((out, secret))
        }
        _ => Some((plaintext.to_vec(), secret)),
    };
    is_about(&callee(Sabotage { says, ..NOTHING }, "none").await, "6.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_key_that_is_not_taken() {
    let says = |plaintext: &[u8], secret| (kind_of(plaintext) != 34).then(|| (plaintext.to_vec(), secret));
    is_about(&callee(Sabotage { says, ..NOTHING }, "none").await, "8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_do_not_open() {
    let sends = |datagram: &mut Vec<u8>| {
        if parse(datagram).is_ok() {
            *datagram.last_mut().unwrap() ^= 1;
        }
    };
    // None of its reports opens either.
    is_about(&callee(Sabotage { sends, ..NOTHING }, "none").await, "9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transport_sequence_that_stands_still() {
    let sends = |datagram: &mut Vec<u8>| datagram[1..3].fill(9);
    is_about(&callee(Sabotage { sends, ..NOTHING }, "none").await, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_says_nothing_but_one_count() {
    let failed = callee(Sabotage { report: Some(&[1, 1, 5]), ..NOTHING }, "none").await;
    assert!(
        failed.iter().any(|(section, what)| *section == "9" && what.starts_with("reports")),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_should_end_a_call_and_does_not() {
    let says = |plaintext: &[u8], secret| (kind_of(plaintext) != 4).then(|| (plaintext.to_vec(), secret));
    let sabotage = Sabotage { says, puts_up_with_everything: true, ..NOTHING };
    assert_eq!(callee(sabotage, "a second handshake within a second").await, [("6.1", "is refused")]);
    assert_eq!(caller(sabotage, "a second answer").await, [("7.2", "is refused")]);
}
