//! Both people read one code; what a person has compared stays known for the call, and a changed key gets no media until
//! a person accepts it.
mod common;
use common::*;
use kring::{Endpoint, Event, Home, Pin, SafetyScan, Who};
use std::time::Duration;

fn pin_of(endpoint: &Endpoint, verified: bool) -> Pin {
    Pin { identity: endpoint.identity(), verified }
}

#[tokio::test]
async fn both_ends_have_one_code_and_one_safety_number() {
    let (a, b, dialled, answered) = talking().await;
    let code = |event: Event| if let Event::Code(code) = event { Some(code) } else { None };
    let here = code(event(&dialled, |e| matches!(e, Event::Code(_))).await).unwrap();
    let there = code(event(&answered, |e| matches!(e, Event::Code(_))).await).unwrap();
    assert_eq!(here, there);
    assert_eq!(here.to_string().split(' ').count(), 4);
    assert_eq!(dialled.safety_number(), answered.safety_number());
    let scanned: SafetyScan = dialled.safety_scan().unwrap().to_qr_text().parse().unwrap();
    assert_eq!(scanned.check(&b.identity(), &a.identity()), Ok(()));
}

#[tokio::test]
async fn a_person_who_has_compared_marks_the_other_as_verified_for_this_side() {
    let (_a, _b, dialled, answered) = talking().await;
    let Some(Who::Unverified(peer)) = dialled.who() else { panic!("nobody has compared yet") };
    let elsewhere = talking().await;
    let peer = elsewhere.2.mark_verified(peer).expect_err("that is somebody in another call");
    dialled.mark_verified(peer).unwrap();
    assert!(dialled.who().unwrap().is_verified());
    assert!(!answered.who().unwrap().is_verified());
}

#[tokio::test]
async fn who_was_verified_before_is_so_in_the_next_call() {
    let b = endpoint();
    let home = Home::in_memory();
    let a = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).home(home.clone()).build().unwrap();
    let ticket = ticket(&b);
    home.add_contact("Ben", &ticket).unwrap();
    home.set_verified("Ben", true).unwrap();
    let dialled = a.dial(&ticket, quiet());
    let incoming = rings(&b).await;
    assert!(matches!(incoming.who(), Some(Who::Unverified(peer)) if peer.identity() == a.identity()));
    let _answered = incoming.answer(quiet());
    within(10, dialled.connected()).await.unwrap();
    assert!(dialled.who().unwrap().is_verified());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_answers_with_another_key_is_not_heard_before_a_person_accepts_it() {
    let (a, b, ben) = (endpoint(), endpoint(), endpoint());
    let (media_a, ear_a, _) = media("Anna", 440.0);
    let (media_b, ear_b, _) = media("Ben?", 660.0);
    let dialled = a.dial_expecting(&ticket(&b), pin_of(&ben, true), media_a);
    let answered = rings(&b).await.answer(media_b);
    let told = event(&dialled, |e| matches!(e, Event::KeyChanged(_))).await;
    let Event::KeyChanged(peer) = told else { unreachable!() };
    assert_eq!((peer.identity(), peer.pinned()), (b.identity(), ben.identity()));
    assert!(peer.was_verified());
    within(10, answered.connected()).await.unwrap();
    // The other side speaks; nothing of it is played, and nothing goes back.
    eventually("b sends", || answered.stats().transport.packets_sent > 60).await;
    assert_eq!((*ear_a.decoded.lock().unwrap(), *ear_b.decoded.lock().unwrap()), (0, 0));

    dialled.accept_changed_key(&peer);
    within(10, dialled.connected()).await.unwrap();
    assert!(matches!(dialled.who(), Some(Who::Unverified(_))));
    eventually("a hears b", || *ear_a.decoded.lock().unwrap() > 9600).await;
    eventually("b hears a", || *ear_b.decoded.lock().unwrap() > 9600).await;
}

#[tokio::test]
async fn a_caller_with_another_key_is_not_answered_before_a_person_accepts_it() {
    let (a, b, anna) = (endpoint(), endpoint(), endpoint());
    let dialled = a.dial(&ticket(&b), quiet());
    let incoming = rings(&b).await;
    incoming.expect(pin_of(&anna, false));
    let Some(Who::KeyChanged(peer)) = incoming.who() else { panic!("it is not Anna") };
    let answered = incoming.answer(quiet());
    event(&answered, |e| matches!(e, Event::KeyChanged(_))).await;
    let waited = tokio::time::timeout(Duration::from_millis(300), dialled.connected()).await;
    assert!(waited.is_err(), "it still rings");
    answered.accept_changed_key(&peer);
    within(10, dialled.connected()).await.unwrap();
    within(10, answered.connected()).await.unwrap();
}
