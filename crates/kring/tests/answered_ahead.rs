//! A consent to answer the next caller: it is heard at once, heard and named here once proven, and good for one call.
mod common;
use common::*;
use kring::{End, EndedBy, Event};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_caller_is_answered_and_the_one_after_rings() {
    let (a, b, c) = (endpoint(), endpoint(), endpoint());
    let (media_a, ear_a, _) = media("Anna", 440.0);
    let (media_b, ear_b, eye_b) = media("Ben", 620.0);
    let answered = b.answer_next(media_b);
    let dialled = a.dial(&ticket(&b), media_a);
    within(10, dialled.connected()).await.unwrap();
    within(10, answered.connected()).await.unwrap();
    assert_eq!((dialled.peer(), answered.peer()), (Some(b.identity()), Some(a.identity())));
    assert_eq!((dialled.peer_name(), answered.peer_name()), ("Ben".into(), "Anna".into()));
    assert_eq!(answered.peer_tracks().len(), 2);
    let first = within(10, answered.next_event()).await;
    assert_eq!(first, Some(Event::AnsweredAhead));
    event(&answered, |e| *e == Event::Answered).await;
    eventually("both hear the other", || {
        ear_a.share_of(620.0, 200) > 0.9 && ear_b.share_of(440.0, 200) > 0.9
    })
    .await;
    eventually("pictures come", || eye_b.numbers.lock().unwrap().len() > 5).await;

    let other = c.dial(&ticket(&b), quiet());
    rings(&b).await.busy();
    assert_eq!(end_of(&other).await, End::Busy);
    dialled.hang_up().await;
    assert_eq!(end_of(&answered).await, End::HungUp { by: EndedBy::Peer });
    assert_eq!(b.counters().completed, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_proves_nothing_is_neither_named_nor_heard_and_the_next_has_to_prove_itself_first() {
    let (a, b) = (endpoint(), endpoint());
    let cut = Arc::new(AtomicBool::new(false));
    let from_callee = Arc::new(AtomicU32::new(0));
    let (is_cut, seen) = (cut.clone(), from_callee.clone());
    // Once the callee has sent its second flight, nothing more gets through to it.
    let wire = Wire::to(b.local_addr().unwrap(), move |packet, back| {
        // Short packets of the callee: after the hop's handshake come message 2 and the answer.
        let long_stream = back && packet[0] & 0x80 == 0 && packet.len() > 1000;
        if long_stream {
            seen.fetch_add(1, Ordering::Relaxed);
            is_cut.store(true, Ordering::Relaxed);
        }
        back || !is_cut.load(Ordering::Relaxed)
    });
    let through_the_wire = b.ticket_for(&[wire.address], HOUR).unwrap();
    let (media_b, ear_b, eye_b) = media("Ben", 620.0);
    let (media_a, ear_a, _) = media("Anna", 440.0);
    let answered = b.answer_next(media_b);
    let dialled = a.dial(&through_the_wire, media_a);
    eventually("the caller hears the callee", || ear_a.share_of(620.0, 100) > 0.9).await;
    assert_eq!(within(10, answered.next_event()).await, Some(Event::AnsweredAhead));
    assert_eq!(answered.peer(), None);
    let end = within(10, answered.connected()).await;
    assert_eq!(end, Err(End::ProtocolError { by: EndedBy::Local }));
    assert_eq!((answered.peer(), answered.peer_name()), (None, String::new()));
    assert_eq!((*ear_b.decoded.lock().unwrap(), eye_b.numbers.lock().unwrap().len()), (0, 0));
    assert!(from_callee.load(Ordering::Relaxed) > 0);
    drop(dialled);
    assert_eq!((b.counters().completed, b.counters().invalid), (0, 1));

    // From now on a proof comes first, so there is no event before it.
    let answered = b.answer_next(quiet());
    let dialled = a.dial(&ticket(&b), quiet());
    within(10, dialled.connected()).await.unwrap();
    assert_eq!(within(10, answered.next_event()).await, Some(Event::Answered));
    assert_eq!(answered.peer(), Some(a.identity()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_taken_back_answers_nobody() {
    let (a, b) = (endpoint(), endpoint());
    drop(b.answer_next(quiet()));
    let dialled = a.dial(&ticket(&b), quiet());
    rings(&b).await.decline();
    assert_eq!(end_of(&dialled).await, End::Declined { by: EndedBy::Peer });
    let waiting = b.answer_next(quiet());
    b.close().await;
    assert_eq!(end_of(&waiting).await, End::GoingAway { by: EndedBy::Local });
}
