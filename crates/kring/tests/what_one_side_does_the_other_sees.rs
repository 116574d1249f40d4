//! Mute, camera off, recording, and the end of a source are told to the other side.
mod common;
use common::*;
use kring::capture::{AudioSource, Captured, Consent, Kind, SourceError, Tone};
use kring::{CAMERA, Event, MICROPHONE, Media, TrackState};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mute_and_camera_off_are_seen_and_silence_and_stillness_follow() {
    let (a, b) = (endpoint(), endpoint());
    let (media_a, ..) = media("Anna", 440.0);
    let (media_b, ear, eye) = media("Ben", 620.0);
    let dialled = a.dial(&ticket(&b), media_a);
    let answered = rings(&b).await.answer(media_b);
    eventually("heard", || ear.share_of(440.0, 200) > 0.9).await;
    dialled.mute_microphone(true);
    dialled.mute_camera(true);
    for track in [MICROPHONE, CAMERA] {
        event(&answered, |e| *e == Event::PeerTrackState { track, state: TrackState::Muted }).await;
    }
    let power = || {
        let samples = ear.samples.lock().unwrap();
        samples[samples.len() - 4800..].iter().map(|x| x * x).sum::<f32>()
    };
    eventually("silence follows", || power() == 0.0).await;
    let still = eye.numbers.lock().unwrap().len();
    dialled.mute_camera(false);
    dialled.mute_microphone(false);
    eventually("both are back", || {
        ear.share_of(440.0, 200) > 0.9 && eye.numbers.lock().unwrap().len() > still + 5
    })
    .await;
    assert!(eye.numbers.lock().unwrap().iter().all(Option::is_some), "no garbage was shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_is_announced() {
    let (a, b) = (endpoint(), endpoint());
    let dialled = a.dial(&ticket(&b), quiet());
    let _answered = rings(&b).await.answer(quiet().recording(true));
    event(&dialled, |e| *e == Event::PeerRecording(true)).await;
}

/// A microphone as an app would bring it: its own code, with a device behind it.
struct OwnMicrophone {
    tone: Tone,
    opened: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl AudioSource for OwnMicrophone {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Microphone)
    }
    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        if !consent.covers(Kind::Microphone) {
            return Err(SourceError::NoConsent(Kind::Microphone));
        }
        self.opened.store(true, std::sync::atomic::Ordering::Relaxed);
        self.tone.start(consent, at)
    }
    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        self.tone.read(block)
    }
    fn stop(&mut self) {
        self.opened.store(false, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apps_own_device_opens_on_answer_with_consent_and_closes_on_hang_up() {
    let opened = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let own =
        |consent| Media::new(consent).microphone(OwnMicrophone { tone: Tone::new(), opened: opened.clone() });
    let is_open = || opened.load(std::sync::atomic::Ordering::Relaxed);
    let (a, b) = (endpoint(), endpoint());
    let dialled = a.dial(&ticket(&b), own(consent()));
    let incoming = rings(&b).await;
    assert!(!is_open(), "nothing opens before the answer");
    let (media, ear, _) = media("Ben", 620.0);
    let answered = incoming.answer(media);
    eventually("it is heard", || ear.share_of(440.0, 200) > 0.9).await;
    assert!(is_open());
    dialled.hang_up().await;
    assert!(!is_open(), "hang-up closes it");
    drop(answered);

    let dialled = a.dial(&ticket(&b), own(Consent::to_nothing()));
    let answered = rings(&b).await.answer(quiet());
    event(&dialled, |e| matches!(e, Event::MediaStopped { what: "microphone", .. })).await;
    assert!(!is_open(), "without consent it never opens");
    event(&answered, |e| *e == Event::PeerTrackState { track: MICROPHONE, state: TrackState::Ended }).await;
}
