//! Voice and pictures go both ways, sealed, and what is heard and seen is what was said and shown.
mod common;
use common::*;
use kring::Event;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_hear_and_see_each_other() {
    let (a, b) = (endpoint(), endpoint());
    let (media_a, ear_a, eye_a) = media("Anna", 440.0);
    let (media_b, ear_b, eye_b) = media("Ben", 620.0);
    let dialled = a.dial(&ticket(&b), media_a);
    let incoming = rings(&b).await;
    assert_eq!((incoming.name(), incoming.peer()), ("Anna", a.identity()));
    assert_eq!(incoming.tracks().len(), 2);
    event(&dialled, |e| *e == Event::Ringing).await;
    let answered = incoming.answer(media_b);
    let safety = within(10, dialled.connected()).await.unwrap();
    assert_eq!(safety.noise, "Noise_IKhfs+psk0_25519+MLKEM768_ChaChaPoly_SHA256");
    assert_eq!(safety.tls_group, "X25519MLKEM768");
    assert_eq!((dialled.peer(), answered.peer()), (Some(b.identity()), Some(a.identity())));
    assert_eq!(dialled.peer_name(), "Ben");

    eventually("both hear the other's tone", || {
        ear_a.share_of(620.0, 500) > 0.9 && ear_b.share_of(440.0, 500) > 0.9
    })
    .await;
    for eye in [&eye_a, &eye_b] {
        eventually("pictures come", || eye.numbers.lock().unwrap().len() > 30).await;
        let numbers = eye.numbers.lock().unwrap().clone();
        assert_eq!(*eye.size.lock().unwrap(), (320, 180));
        let read: Vec<u16> = numbers.iter().flatten().copied().collect();
        assert_eq!(read.len(), numbers.len(), "every picture is whole enough for its number to be read");
        assert!(read.windows(2).all(|w| w[0] < w[1]), "pictures come in order: {read:?}");
    }
    eventually("each knows what the other really plays", || {
        [&dialled, &answered].iter().all(|call| {
            let stats = call.stats();
            let known = stats.transport.current_round_trip_time.is_some();
            let heard = |r: kring::RemoteStats| r.total_samples_duration > 0.5 && r.playout_delay > 0.0;
            known && stats.remote.is_some_and(|r| heard(r) && r.frames_rendered > 10)
        })
    })
    .await;
    dialled.hang_up().await;
    end_of(&answered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_without_devices_can_listen_and_watch() {
    let (a, b) = (endpoint(), endpoint());
    let (full, ..) = media("Anna", 440.0);
    let (only, ear, eye) = media("Ben", 440.0);
    let _dialled = a.dial(&ticket(&b), full);
    let incoming = rings(&b).await;
    drop(only);
    let _answered = incoming.answer(quiet().speaker(ear.clone()).view(eye.clone()));
    eventually("heard and seen", || ear.share_of(440.0, 300) > 0.9 && eye.numbers.lock().unwrap().len() > 10)
        .await;
}
