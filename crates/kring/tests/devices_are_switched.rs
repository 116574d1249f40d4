//! Another microphone, camera, speaker or view in a call that is under way.
mod common;
use common::*;
use kring::capture::{
    AudioSink, AudioSource, Captured, Consent, Kind, Played, SinkError, SourceError, TestCard, Tone,
};
use kring::{CAMERA, Event, MICROPHONE, Media, SwitchError, TrackState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A tone behind a device of this kind, which can be unplugged.
#[derive(Clone)]
struct Headset {
    kind: Option<Kind>,
    tone: Tone,
    open: Arc<AtomicBool>,
    unplugged: Arc<AtomicBool>,
}

fn headset(hertz: f64) -> Headset {
    let (open, unplugged) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
    Headset { kind: Some(Kind::Microphone), tone: Tone::new().frequency(hertz), open, unplugged }
}

impl AudioSource for Headset {
    fn kind(&self) -> Option<Kind> {
        self.kind
    }
    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        let denied = self.kind.filter(|kind| !consent.covers(*kind));
        denied.map_or(Ok(()), |kind| Err(SourceError::NoConsent(kind)))?;
        self.open.store(true, Ordering::Relaxed);
        self.tone.start(consent, at)
    }
    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        if self.unplugged.load(Ordering::Relaxed) {
            return Err(SourceError::Device { kind: Kind::Microphone, cause: "unplugged".into() });
        }
        self.tone.read(block)
    }
    fn stop(&mut self) {
        self.open.store(false, Ordering::Relaxed);
    }
}

/// A speaker that fails at once.
struct Broken;

impl AudioSink for Broken {
    fn start(&mut self) -> Result<(), SinkError> {
        Err(SinkError::Device { cause: "no such speaker".into() })
    }
    fn play(&mut self, _: &[f32], _: Played) -> Result<Instant, SinkError> {
        Err(SinkError::NotStarted)
    }
    fn stop(&mut self) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_microphone_is_heard_and_the_one_before_is_closed() {
    let (a, b) = (endpoint(), endpoint());
    let (first, second) = (headset(440.0), headset(880.0));
    let dialled = a.dial(&ticket(&b), Media::new(consent()).microphone(first.clone()));
    let (media_b, ear, _) = media("Ben", 620.0);
    let _answered = rings(&b).await.answer(media_b);
    eventually("the first is heard", || ear.share_of(440.0, 200) > 0.9).await;
    dialled.switch_microphone(second.clone()).unwrap();
    eventually("the second is heard", || ear.share_of(880.0, 200) > 0.9).await;
    assert!(!first.open.load(Ordering::Relaxed) && second.open.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unplugged_microphone_is_replaced_and_the_other_side_sees_both() {
    let (a, b) = (endpoint(), endpoint());
    let first = headset(440.0);
    let dialled = a.dial(&ticket(&b), Media::new(consent()).microphone(first.clone()));
    let (media_b, ear, _) = media("Ben", 620.0);
    let answered = rings(&b).await.answer(media_b);
    eventually("the first is heard", || ear.share_of(440.0, 200) > 0.9).await;
    first.unplugged.store(true, Ordering::Relaxed);
    event(&dialled, |e| matches!(e, Event::MediaStopped { what: "microphone", .. })).await;
    let state = |state| Event::PeerTrackState { track: MICROPHONE, state };
    event(&answered, |e| *e == state(TrackState::Ended)).await;
    dialled.switch_microphone(headset(880.0)).unwrap();
    event(&answered, |e| *e == state(TrackState::Live)).await;
    eventually("the second is heard", || ear.share_of(880.0, 200) > 0.9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_camera_is_shown_at_its_own_size() {
    let (a, b) = (endpoint(), endpoint());
    let (media_a, ..) = media("Anna", 440.0);
    let (media_b, _, eye) = media("Ben", 620.0);
    let dialled = a.dial(&ticket(&b), media_a);
    let _answered = rings(&b).await.answer(media_b);
    eventually("the first is shown", || eye.numbers.lock().unwrap().len() > 5).await;
    dialled.switch_camera(TestCard::new(160, 90, 15.0).unwrap()).unwrap();
    eventually("the second is shown", || *eye.size.lock().unwrap() == (160, 90)).await;
    assert!(eye.numbers.lock().unwrap().iter().all(Option::is_some), "no garbage was shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_speaker_and_view_take_over_also_from_a_broken_one() {
    let (a, b) = (endpoint(), endpoint());
    let (media_a, ..) = media("Anna", 440.0);
    let dialled = a.dial(&ticket(&b), media_a);
    let answered = rings(&b).await.answer(Media::new(Consent::to_nothing()).speaker(Broken));
    event(&answered, |e| matches!(e, Event::MediaStopped { what: "speaker", .. })).await;
    for _ in 0..2 {
        let (ear, eye) = (Ear::default(), Eye::default());
        answered.switch_speaker(ear.clone());
        answered.switch_view(eye.clone());
        eventually("heard", || ear.share_of(440.0, 200) > 0.9).await;
        eventually("seen", || eye.numbers.lock().unwrap().len() > 5).await;
    }
    dialled.hang_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_without_consent_stays_closed() {
    let (a, b) = (endpoint(), endpoint());
    let stand_in = Headset { kind: None, ..headset(440.0) };
    let dialled = a.dial(&ticket(&b), Media::new(Consent::to_nothing()).microphone(stand_in));
    let _answered = rings(&b).await.answer(quiet());
    dialled.connected().await.unwrap();
    let device = headset(880.0);
    dialled.switch_microphone(device.clone()).unwrap();
    let stopped = event(&dialled, |e| matches!(e, Event::MediaStopped { .. })).await;
    assert!(format!("{stopped:?}").contains("consent"), "{stopped:?}");
    assert!(!device.open.load(Ordering::Relaxed));
    dialled.switch(Media::new(Consent::to([Kind::Microphone])).microphone(device.clone())).unwrap();
    eventually("it opens with the consent that came with it", || device.open.load(Ordering::Relaxed)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_takes_any_more_is_let_go_of() {
    let (a, b) = (endpoint(), endpoint());
    let dialled = a.dial(&ticket(&b), Media::new(consent()).microphone(Tone::new()));
    let incoming = rings(&b).await;
    let device = headset(880.0);
    dialled.switch_microphone(device.clone()).unwrap();
    assert_eq!(Arc::strong_count(&device.open), 2, "it waits for the answer");
    incoming.decline();
    end_of(&dialled).await;
    assert_eq!(Arc::strong_count(&device.open), 1);
    dialled.switch_microphone(device.clone()).unwrap();
    assert_eq!(Arc::strong_count(&device.open), 1, "the call is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_does_not_send_cannot_be_switched() {
    let (_a, _b, dialled, _answered) = talking().await;
    let refused = Err(SwitchError::NoTrack { what: "camera" });
    assert_eq!(dialled.switch_camera(TestCard::new(160, 90, 15.0).unwrap()), refused);
    assert!(dialled.switch_microphone(Tone::new()).is_err());
    assert!(dialled.switch(quiet().microphone(Tone::new())).is_err());
    assert!(!dialled.peer_tracks().iter().any(|track| track.id == CAMERA));
}
