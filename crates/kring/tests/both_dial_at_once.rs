//! Two people who dial each other at the same moment get one call.
mod common;
use common::*;
use kring::{End, EndedBy};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_dialling_becomes_one_call() {
    // Either identity may be the smaller one, so that a few rounds see both.
    for round in 0..6 {
        let (a, b) = (endpoint(), endpoint());
        let (for_a, for_b) = (ticket(&b), ticket(&a));
        let (from_a, from_b) = (a.dial(&for_a, quiet().name("Anna")), b.dial(&for_b, quiet().name("Ben")));
        let (at_a, at_b) = within(15, async { tokio::join!(from_a.connected(), from_b.connected()) }).await;
        assert!(at_a.is_ok() && at_b.is_ok(), "round {round}: {at_a:?}, {at_b:?}");
        assert_eq!(from_a.peer(), Some(b.identity()));
        assert_eq!(from_b.peer(), Some(a.identity()));
        assert_eq!((&*from_a.peer_name(), &*from_b.peer_name()), ("Ben", "Anna"));
        // It is one call: ending it at one side ends it at the other, and nothing rings besides.
        from_a.hang_up().await;
        assert_eq!(end_of(&from_b).await, End::HungUp { by: EndedBy::Peer });
        let rings = tokio::time::timeout(std::time::Duration::from_millis(100), a.incoming()).await;
        assert!(rings.is_err(), "nothing else rings");
    }
}
