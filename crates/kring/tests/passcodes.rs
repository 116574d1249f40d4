//! A ticket with a passcode rings for those who know it; who guesses has three tries, everybody together ten, and then a
//! person lets in.
mod common;
use common::person::Person;
use common::*;
use kring::{Call, End, Endpoint, Event, Passcode, Ticket};
use std::time::Duration;

fn passcode(text: &str) -> Passcode {
    Passcode::new(text).unwrap()
}

fn guarded(endpoint: &Endpoint) -> Ticket {
    let ticket = ticket(endpoint);
    endpoint.home().set_passcode(ticket.id(), &passcode("tulips")).unwrap();
    ticket
}

fn dial(from: &Endpoint, ticket: &Ticket, text: &str) -> Call {
    let call = from.dial(ticket, quiet().name("Anna"));
    call.enter_passcode(passcode(text));
    call
}

/// A wrong guess, to its end.
async fn guess(from: &Endpoint, ticket: &Ticket) {
    assert_eq!(end_of(&dial(from, ticket, "roses")).await, End::NotAdmitted);
}

/// Whether that one would have to wait for a person.
async fn has_to_wait(from: &Endpoint, ticket: &Ticket) -> bool {
    let call = dial(from, ticket, "tulips");
    let first = event(&call, |e| matches!(e, Event::Waiting | Event::Ringing)).await;
    first == Event::Waiting
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knows_the_passcode_rings_and_who_does_not_is_told_nothing_more() {
    let (a, b) = (endpoint(), endpoint());
    let ticket = guarded(&b);
    guess(&a, &ticket).await;
    let call = dial(&a, &ticket, "tulips");
    let incoming = rings(&b).await;
    assert_eq!((incoming.name(), incoming.peer()), ("Anna", a.identity()));
    let answered = incoming.answer(quiet());
    within(10, call.connected()).await.unwrap();
    within(10, answered.connected()).await.unwrap();
    assert_eq!(call.who().map(|who| who.identity()), Some(b.identity()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passcode_that_is_asked_for_can_be_typed_then() {
    let (a, b) = (endpoint(), endpoint());
    let call = a.dial(&guarded(&b), quiet());
    event(&call, |e| *e == Event::PasscodeWanted).await;
    let nobody = tokio::time::timeout(Duration::from_millis(300), b.incoming()).await;
    assert!(nobody.is_err(), "it does not ring yet");
    call.enter_passcode(passcode("tulips"));
    let _answered = rings(&b).await.answer(quiet());
    within(10, call.connected()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_to_answer_anyone_waits_for_the_passcode() {
    let (a, b) = (endpoint(), endpoint());
    let ticket = guarded(&b);
    let consent = b.answer_next(quiet());
    guess(&a, &ticket).await;
    let waited = tokio::time::timeout(Duration::from_millis(300), consent.begun()).await;
    assert!(waited.is_err(), "nobody was answered");
    let call = dial(&a, &ticket, "tulips");
    within(10, call.connected()).await.unwrap();
    within(10, consent.connected()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_count_over_connections_and_restarts_and_then_a_person_lets_in() {
    let (mut b, stubborn) = (Person::new("Ben"), endpoint());
    let ticket = guarded(&b.endpoint);
    for _ in 0..2 {
        guess(&stubborn, &ticket).await;
    }
    b.restart(false, |_| {}).await;
    guess(&stubborn, &ticket).await;
    assert!(has_to_wait(&stubborn, &ticket).await, "three wrong ones of one identity");
    // Others have tries of their own, until it is ten.
    for _ in 0..7 {
        guess(&endpoint(), &ticket).await;
    }
    b.restart(false, |_| {}).await;
    let anna = endpoint();
    let call = dial(&anna, &ticket, "tulips");
    event(&call, |e| *e == Event::Waiting).await;
    let knock = loop {
        let knock = within(10, b.endpoint.knock()).await.unwrap();
        if knock.peer() == anna.identity() {
            break knock;
        }
    };
    assert_eq!(knock.name(), "Anna");
    knock.admit();
    let _answered = rings(&b.endpoint).await.answer(quiet());
    within(10, call.connected()).await.unwrap();
    // A new passcode opens it again.
    b.endpoint.home().set_passcode(ticket.id(), &passcode("tulips")).unwrap();
    assert!(!has_to_wait(&stubborn, &ticket).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_list_of_passcodes_lets_nobody_in_unasked() {
    let (mut b, a) = (Person::new("Ben"), endpoint());
    let ticket = guarded(&b.endpoint);
    b.restart(false, |b| std::fs::remove_file(b.file("passcodes")).unwrap()).await;
    assert!(has_to_wait(&a, &ticket).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_lobby_one_waits_once_until_admitted_or_refused() {
    let a = endpoint();
    let b = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).lobby(true).build().unwrap();
    let ticket = ticket(&b);
    let consent = b.answer_next(quiet());
    let call = a.dial(&ticket, quiet().name("Anna"));
    event(&call, |e| *e == Event::Waiting).await;
    let knock = within(10, b.knock()).await.unwrap();
    assert_eq!((knock.peer(), knock.name()), (a.identity(), "Anna"));
    assert_eq!(end_of(&a.dial(&ticket, quiet())).await, End::Busy, "one place for each");
    assert_eq!((call.peer_name(), call.peer_tracks().len()), (String::new(), 0));
    knock.refuse();
    assert!(matches!(end_of(&call).await, End::Declined { .. }));
    // Who gives up is not asked about.
    let call = a.dial(&ticket, quiet());
    let mut knock = within(10, b.knock()).await.unwrap();
    drop(call);
    within(10, knock.given_up()).await;
    drop(consent);
    let call = a.dial(&ticket, quiet());
    within(10, b.knock()).await.unwrap().admit();
    let _answered = rings(&b).await.answer(quiet());
    within(10, call.connected()).await.unwrap();
}
