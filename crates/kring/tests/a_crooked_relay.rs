//! A relay that lies, drops, delays, swaps and damages: a call fails with a reason, or comes about all the same, and nobody hears
//! what is not for them.

mod common;
#[path = "common/crooked.rs"]
mod crooked;

use common::{HOUR, end_of, eventually, media, quiet, rings, within};
use crooked::{Crooked, Mischief};
use kring::{End, Endpoint};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_put_through_to_somebody_else_tells_them_nothing_and_the_dial_fails() {
    let relay = Crooked::start(Mischief::Misconnects).await;
    let (ben, mallory) = (relay.hidden().await, relay.hidden().await);
    let (ticket, _hers) = (ben.ticket(HOUR).unwrap(), mallory.ticket(HOUR).unwrap());
    eventually("both listen", || relay.state.lock().unwrap().listening.len() >= 2).await;
    let ann = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap();
    let call = ann.dial(&ticket, quiet());
    assert_eq!(within(30, call.ended()).await, End::Refused);
    assert_eq!((mallory.counters().unknown_hint, mallory.counters().completed), (1, 0));
    for endpoint in [&ben, &mallory] {
        let rings = tokio::time::timeout(Duration::from_millis(100), endpoint.incoming()).await;
        assert!(rings.is_err(), "nothing rings");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_relay_that_drops_or_damages_all_nothing_comes_about_and_the_caller_learns_it() {
    for mischief in [Mischief::Drops, Mischief::Damages] {
        let relay = Crooked::start(mischief).await;
        let ben = relay.hidden().await;
        let ann = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap();
        let call = ann.dial(&ben.ticket(HOUR).unwrap(), quiet());
        let end = within(60, call.ended()).await;
        assert!(relay.packets() > 0, "it was tried");
        assert!(matches!(end, End::Unreachable(_)), "{end:?}: {end}");
        assert_eq!(ben.counters().completed, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_another_way_needs_no_relay_that_drops_all() {
    let relay = Crooked::start(Mischief::Drops).await;
    let ben = relay.endpoint().build().unwrap();
    within(20, ben.relay_reached()).await.unwrap();
    let ann = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap();
    let call = ann.dial(&ben.ticket(HOUR).unwrap(), quiet());
    let answered = rings(&ben).await.answer(quiet());
    within(20, call.connected()).await.unwrap();
    within(20, answered.connected()).await.unwrap();
    call.hang_up().await;
    end_of(&answered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_lives_with_packets_that_come_late_twice_or_never() {
    let relay = Crooked::start(Mischief::Shuffles).await;
    let ben = relay.hidden().await;
    let ann = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap();
    let (theirs, ear, _) = media("Ben", 620.0);
    let call = ann.dial(&ben.ticket(HOUR).unwrap(), media("Ann", 440.0).0);
    let incoming = within(20, ben.incoming()).await.unwrap();
    let _answered = incoming.answer(theirs);
    within(20, call.connected()).await.unwrap();
    eventually("Ann is heard", || ear.share_of(440.0, 200) > 0.9).await;
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_of_another_call_are_heard_by_nobody() {
    let relay = Crooked::start(Mischief::Swaps).await;
    let mut calls = Vec::new();
    for hertz in [440.0, 930.0] {
        let ben = relay.hidden().await;
        let ann = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap();
        let (theirs, ear, _) = media("Ben", 620.0);
        let call = ann.dial(&ben.ticket(HOUR).unwrap(), media("Ann", hertz).0);
        let answered = within(20, ben.incoming()).await.unwrap().answer(theirs);
        within(20, call.connected()).await.unwrap();
        calls.push((ann, ben, call, answered, ear));
    }
    let heard = |n: usize, hertz| calls[n].4.share_of(hertz, 500);
    let own = || heard(0, 440.0) > 0.9 && heard(1, 930.0) > 0.9;
    eventually("each hears their own", own).await;
    relay.state.lock().unwrap().swapping = true;
    let before = relay.packets();
    eventually("packets are swapped", || relay.packets() > before + 100).await;
    eventually("each still hears their own", own).await;
    assert!(heard(0, 930.0) < 0.01 && heard(1, 440.0) < 0.01);
}
