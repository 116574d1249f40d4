//! Loss and silence between the two: nothing broken is shown, the call says what is the matter, and goes on or ends.
mod common;
use common::*;
use kring::{End, Endpoint, Event, Timeouts};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_loss_the_voice_goes_on_and_no_picture_is_broken() {
    let (a, b) = (endpoint(), endpoint());
    let lossy = Arc::new(AtomicBool::new(false));
    let on = lossy.clone();
    let mut random = 1u32;
    let wire = Wire::to(b.local_addr().unwrap(), move |_, _| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        !on.load(Ordering::Relaxed) || random >> 24 >= 20
    });
    let ticket = b.ticket_for(&[wire.address], HOUR).unwrap();
    let (media_a, _, eye_a) = media("Anna", 440.0);
    let (media_b, ear_b, _) = media("Ben", 620.0);
    let dialled = a.dial(&ticket, media_a);
    let answered = rings(&b).await.answer(media_b);
    eventually("heard", || ear_b.share_of(440.0, 200) > 0.9).await;

    lossy.store(true, Ordering::Relaxed);
    let before = eye_a.numbers.lock().unwrap().len();
    eventually("loss is counted, and what is lost is concealed", || {
        let stats = answered.stats();
        stats.transport.packets_lost > 30 && stats.audio.concealed_samples > 0
    })
    .await;
    eventually("pictures go on", || eye_a.numbers.lock().unwrap().len() > before + 30).await;
    assert!(ear_b.share_of(440.0, 500) > 0.5, "{}", ear_b.share_of(440.0, 500));
    let numbers = eye_a.numbers.lock().unwrap().clone();
    assert!(numbers.iter().all(Option::is_some), "a broken picture was shown: {numbers:?}");
    drop(dialled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_interrupts_the_call_and_it_resumes_or_ends() {
    let timeouts = Timeouts { vanished: Duration::from_secs(4), ..Timeouts::default() };
    let make =
        || Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).timeouts(timeouts).build().unwrap();
    let (a, b) = (make(), make());
    let up = Arc::new(AtomicBool::new(true));
    let is_up = up.clone();
    let wire = Wire::to(b.local_addr().unwrap(), move |_, _| is_up.load(Ordering::Relaxed));
    let ticket = b.ticket_for(&[wire.address], HOUR).unwrap();
    let dialled = a.dial(&ticket, quiet());
    let answered = rings(&b).await.answer(quiet());
    within(10, dialled.connected()).await.unwrap();
    for call in [&dialled, &answered] {
        event(call, |e| matches!(e, Event::Connected(_))).await;
    }

    up.store(false, Ordering::Relaxed);
    for call in [&dialled, &answered] {
        event(call, |e| *e == Event::Interrupted).await;
    }
    up.store(true, Ordering::Relaxed);
    for call in [&dialled, &answered] {
        event(call, |e| *e == Event::Resumed).await;
    }
    up.store(false, Ordering::Relaxed);
    for call in [&dialled, &answered] {
        assert_eq!(end_of(call).await, End::Vanished);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_first_packet_only_delays_the_call() {
    let (a, b) = (endpoint(), endpoint());
    let mut seen = 0;
    let wire = Wire::to(b.local_addr().unwrap(), move |_, _| {
        seen += 1;
        seen > 2
    });
    let ticket = b.ticket_for(&[wire.address], HOUR).unwrap();
    let dialled = a.dial(&ticket, quiet());
    let _answered = rings(&b).await.answer(quiet());
    within(10, dialled.connected()).await.unwrap();
}
