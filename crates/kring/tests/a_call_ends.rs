//! Every way in which a call ends or does not come about, told to both sides.
mod common;
use common::*;
use kring::{End, EndedBy, Endpoint, Event, Timeouts};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_side_hangs_up() {
    let (_a, _b, dialled, answered) = talking().await;
    dialled.hang_up().await;
    assert_eq!(end_of(&answered).await, End::HungUp { by: EndedBy::Peer });
    let (_a, _b, dialled, answered) = talking().await;
    answered.going_away().await;
    assert_eq!(end_of(&dialled).await, End::GoingAway { by: EndedBy::Peer });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_call_ends_it_at_once() {
    let (_a, _b, dialled, answered) = talking().await;
    drop(dialled);
    assert_eq!(end_of(&answered).await, End::HungUp { by: EndedBy::Peer });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_declines_is_busy_or_looks_away() {
    let (a, b) = (endpoint(), endpoint());
    let call = a.dial(&ticket(&b), quiet());
    rings(&b).await.decline();
    assert_eq!(within(10, call.connected()).await, Err(End::Declined { by: EndedBy::Peer }));
    let call = a.dial(&ticket(&b), quiet());
    rings(&b).await.busy();
    assert_eq!(end_of(&call).await, End::Busy);
    let call = a.dial(&ticket(&b), quiet());
    drop(rings(&b).await);
    assert_eq!(end_of(&call).await, End::Declined { by: EndedBy::Peer });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_gives_up_while_it_rings() {
    let (a, b) = (endpoint(), endpoint());
    let call = a.dial(&ticket(&b), quiet());
    let incoming = rings(&b).await;
    drop(call);
    assert_eq!(within(10, incoming.given_up()).await, End::HungUp { by: EndedBy::Peer });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_can_give_up_at_any_moment() {
    let (a, b) = (endpoint(), endpoint());
    let ticket = ticket(&b);
    for n in 0..150 {
        let call = a.dial(&ticket, quiet());
        tokio::time::sleep(Duration::from_micros(80 * n)).await;
        drop(call);
        // If it had begun to ring, it stops.
        if let Ok(incoming) = tokio::time::timeout(Duration::from_millis(15), b.incoming()).await {
            let end = within(10, incoming.unwrap().given_up()).await;
            assert_eq!(end, End::HungUp { by: EndedBy::Peer }, "dropped after {} µs", 80 * n);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_answers() {
    let timeouts = Timeouts { ringing: Duration::from_millis(500), ..Timeouts::default() };
    let a = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).timeouts(timeouts).build().unwrap();
    let b = endpoint();
    let call = a.dial(&ticket(&b), quiet());
    let incoming = rings(&b).await;
    assert_eq!(end_of(&call).await, End::NotAnswered);
    assert_eq!(within(10, incoming.given_up()).await, End::NotAnswered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_ticket_and_a_strangers_are_refused() {
    let (a, b) = (endpoint(), endpoint());
    let ticket = ticket(&b);
    assert!(b.revoke(ticket.id()).unwrap());
    let call = a.dial(&ticket, quiet());
    assert_eq!(end_of(&call).await, End::Refused);
    assert_eq!(b.counters().unknown_hint, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_whose_address_now_belongs_to_someone_else_is_refused() {
    let (a, b, other) = (endpoint(), endpoint(), endpoint());
    let misled = b.ticket_for(&[other.local_addr().unwrap()], HOUR).unwrap();
    let call = a.dial(&misled, quiet());
    assert_eq!(end_of(&call).await, End::Refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_else_listens_at_one_address_of_a_ticket_does_not_end_the_dial() {
    let (a, b, other) = (endpoint(), endpoint(), endpoint());
    // One that refuses, one where nothing listens; the callee last.
    let nobody = "127.0.0.1:9".parse().unwrap();
    let addresses = [other.local_addr().unwrap(), nobody, b.local_addr().unwrap()];
    let ticket = b.ticket_for(&addresses, HOUR).unwrap();
    let call = a.dial(&ticket, quiet());
    let _answered = rings(&b).await.answer(quiet());
    within(10, call.connected()).await.unwrap();
    assert_eq!(other.counters().unknown_hint, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_to_nowhere_can_be_given_up_at_once() {
    let (a, b) = (endpoint(), endpoint());
    // Bound but silent, so that nothing answers and nothing is refused either.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nowhere = b.ticket_for(&[silent.local_addr().unwrap()], HOUR).unwrap();
    let call = a.dial(&nowhere, quiet());
    tokio::time::sleep(Duration::from_millis(100)).await;
    within(3, call.hang_up()).await;
    let call = a.dial(&nowhere, quiet());
    let End::Unreachable(tried) = within(15, call.ended()).await else { panic!("reached something") };
    assert!(tried.contains("nothing answered"), "{tried}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_address_is_taken_when_the_first_is_silent() {
    let (a, b) = (endpoint(), endpoint());
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let both = b.ticket_for(&[silent.local_addr().unwrap(), b.local_addr().unwrap()], HOUR).unwrap();
    let call = a.dial(&both, quiet());
    let _answered = rings(&b).await.answer(quiet());
    within(5, call.connected()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_closes_ends_its_calls() {
    let (_a, b, dialled, _answered) = talking().await;
    let began = Instant::now();
    within(5, b.close()).await;
    assert!(matches!(end_of(&dialled).await, End::GoingAway { .. }), "{:?}", began.elapsed());
    assert!(within(5, b.incoming()).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_event_says_how_it_ended_and_nothing_follows() {
    let (_a, _b, dialled, answered) = talking().await;
    drop(answered);
    let last = event(&dialled, |e| matches!(e, Event::Ended(_))).await;
    assert_eq!(last, Event::Ended(End::HungUp { by: EndedBy::Peer }));
    assert_eq!(within(1, dialled.next_event()).await, None);
}
