//! Two who keep each other call each other again without a ticket, whatever crashes; others do not get through.
mod common;
use common::person::{Person, become_contacts, call_again};
use common::*;
use kring::{End, EndedBy, HomeError};
use std::fs;
use std::time::Duration;

async fn two() -> (Person, Person) {
    let (a, b) = (Person::new("Anna"), Person::new("Ben"));
    become_contacts(&a, &b).await;
    (a, b)
}

/// Nothing rings at `callee`, and the caller hears that it is refused.
async fn refused(call: kring::Call, callee: &Person) {
    assert_eq!(end_of(&call).await, End::Refused);
    let rings = tokio::time::timeout(Duration::from_millis(50), callee.endpoint.incoming()).await;
    assert!(rings.is_err(), "nothing rings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_call_again_in_both_directions_and_each_call_renews_the_secret() {
    let (a, b) = two().await;
    let mut seen = vec![fs::read(a.file("contacts")).unwrap()];
    for n in 0..4 {
        let (from, to) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        call_again(from, to).await;
        let now = fs::read(a.file("contacts")).unwrap();
        assert!(!seen.contains(&now));
        seen.push(now);
    }
    assert_eq!(a.endpoint.counters().unknown_hint + b.endpoint.counters().unknown_hint, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_find_each_other_after_both_have_started_again() {
    let (mut a, mut b) = two().await;
    a.restart(false, |_| {}).await;
    b.restart(false, |_| {}).await;
    call_again(&b, &a).await;
    call_again(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_has_lost_what_it_wrote_last_is_still_reached_and_still_gets_through() {
    let (mut a, mut b) = two().await;
    for n in 0..4 {
        let before = [fs::read(a.file("contacts")).unwrap(), fs::read(b.file("contacts")).unwrap()];
        call_again(&a, &b).await;
        // As if the last write had not reached the disk: at one side, at the other, at both.
        let restore = |person: &Person, old: &[u8]| {
            let path = person.file("contacts");
            fs::write(&path, old).unwrap();
        };
        if n % 2 == 0 {
            a.restart(false, |a| restore(a, &before[0])).await;
        }
        if n != 2 {
            b.restart(false, |b| restore(b, &before[1])).await;
        }
        call_again(&b, &a).await;
        call_again(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_removed_is_dropped_like_a_stranger() {
    let (a, b) = two().await;
    // In another process, while this one waits for calls.
    b.elsewhere().remove_contact("anna").unwrap();
    refused(a.endpoint.dial_contact("Ben", a.media()).unwrap(), &b).await;
    assert_eq!(b.endpoint.counters().unknown_hint, 1);
    assert!(matches!(b.endpoint.dial_contact("Anna", b.media()), Err(HomeError::Contact(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_blocked_rings_neither_as_a_contact_nor_with_a_ticket() {
    let (a, b) = two().await;
    let ticket = ticket(&b.endpoint);
    let anna = a.endpoint.identity().fingerprint();
    b.endpoint.home().block(anna).unwrap();
    refused(a.endpoint.dial_contact("Ben", a.media()).unwrap(), &b).await;
    assert_eq!((b.endpoint.counters().unknown_hint, b.endpoint.counters().blocked), (1, 0));
    refused(a.endpoint.dial(&ticket, a.media()), &b).await;
    assert_eq!(b.endpoint.counters().blocked, 1);
    // Not even where everybody is answered at once.
    let answering = b.endpoint.answer_next(b.media());
    refused(a.endpoint.dial(&ticket, a.media()), &b).await;
    assert_eq!(answering.peer(), None);
    assert!(b.endpoint.dial_contact("Anna", b.media()).is_err());
    drop(answering);

    assert!(b.endpoint.home().unblock(&anna).unwrap());
    let call = a.endpoint.dial(&ticket, a.media());
    rings(&b.endpoint).await.decline();
    assert_eq!(end_of(&call).await, End::Declined { by: EndedBy::Peer });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_only_means_that_no_ticket_is_good() {
    let (a, mut b) = two().await;
    let stranger = Person::new("Eve");
    let ticket = ticket(&b.endpoint);
    b.restart(true, |_| {}).await;
    refused(stranger.endpoint.dial(&ticket, quiet()), &b).await;
    refused(a.endpoint.dial(&ticket, quiet()), &b).await;
    assert_eq!(b.endpoint.counters().unknown_hint, 2);
    call_again(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_who_dial_each_other_at_once_get_one_call() {
    let (a, b) = two().await;
    for _ in 0..4 {
        let from_a = a.endpoint.dial_contact("Ben", a.media()).unwrap();
        let from_b = b.endpoint.dial_contact("Anna", b.media()).unwrap();
        let (at_a, at_b) = within(15, async { tokio::join!(from_a.connected(), from_b.connected()) }).await;
        assert!(at_a.is_ok() && at_b.is_ok(), "{at_a:?}, {at_b:?}");
        from_a.hang_up().await;
        assert_eq!(end_of(&from_b).await, End::HungUp { by: EndedBy::Peer });
    }
    call_again(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_is_found_though_somebody_else_listens_where_it_was_last() {
    let (a, mut b) = two().await;
    let before = b.endpoint.local_addr().unwrap();
    let elsewhere = Person::new("Eve");
    let there = elsewhere.endpoint.local_addr().unwrap();
    elsewhere.endpoint.close().await;
    drop(elsewhere);
    b.move_to(there).await;
    call_again(&b, &a).await;
    assert_eq!(a.endpoint.home().contact("Ben").unwrap().addresses, [there, before]);
    b.move_to(before).await;
    let mut stranger = Person::new("Eve");
    stranger.move_to(there).await;
    call_again(&a, &b).await;
    assert_eq!(stranger.endpoint.counters().unknown_hint, 2, "both secrets were tried there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sided_keeping_lets_nobody_through() {
    let (a, b) = (Person::new("Anna"), Person::new("Ben"));
    let call = a.endpoint.dial(&ticket(&b.endpoint), a.media());
    let answered = rings(&b.endpoint).await.answer(b.media());
    event(&call, |e| matches!(e, kring::Event::Acquainted { .. })).await;
    a.endpoint.keep(&b.endpoint.identity(), "Ben").unwrap();
    call.hang_up().await;
    end_of(&answered).await;
    refused(a.endpoint.dial_contact("Ben", a.media()).unwrap(), &b).await;
    // Keeping them later, but in the same run, is in time.
    b.endpoint.keep(&a.endpoint.identity(), "Anna").unwrap();
    call_again(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_added_by_a_ticket_is_called_by_name_and_then_without_it() {
    let (a, b) = (Person::new("Anna"), Person::new("Ben"));
    let once = b.endpoint.ticket_for_one_call(HOUR).unwrap();
    a.endpoint.home().add_contact("Ben", &once).unwrap();
    let call = a.endpoint.dial_contact("ben", a.media()).unwrap();
    let answered = rings(&b.endpoint).await.answer(b.media());
    within(10, call.connected()).await.unwrap();
    b.endpoint.keep(&a.endpoint.identity(), "Anna").unwrap();
    event(&call, |e| matches!(e, kring::Event::Acquainted { contact: Some(_) })).await;
    event(&answered, |e| matches!(e, kring::Event::Acquainted { .. })).await;
    call.hang_up().await;
    end_of(&answered).await;
    assert_eq!(a.endpoint.home().contact("Ben").unwrap().identity, Some(b.endpoint.identity()));
    call_again(&a, &b).await;
    call_again(&b, &a).await;
}
