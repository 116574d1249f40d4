//! Kring itself, walked through from both sides: nothing fails.
#![allow(clippy::print_stdout)]

use kring::capture::{AudioSink, Consent, Kind, NullSpeaker, Played, SinkError, TestCard, Tone, VideoSink};
use kring::codec::Picture;
use kring::{Call, Endpoint, Event, Home, Media};
use kring_conform::{By, Invitation, Log, Options, Step, Verdict, answer, dial};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Plays into nothing, in real time.
#[derive(Default)]
struct Ear(NullSpeaker);

impl AudioSink for Ear {
    fn start(&mut self) -> Result<(), SinkError> {
        self.0.start()
    }
    fn play(&mut self, block: &[f32], what: Played) -> Result<Instant, SinkError> {
        self.0.play(block, what)
    }
    fn stop(&mut self) {}
}

/// Shows pictures to nobody.
struct Eye;

impl VideoSink for Eye {
    fn show(&mut self, _: &Picture, _: Instant) -> Result<(), SinkError> {
        Ok(())
    }
    fn stop(&mut self) {}
}

fn media() -> Media {
    Media::new(Consent::to([Kind::Microphone, Kind::Camera]))
        .name("Kring")
        .microphone(Tone::new().frequency(440.0))
        .camera(TestCard::new(320, 180, 30.0).unwrap())
        .speaker(Ear::default())
        .view(Eye)
}

fn endpoint() -> Endpoint {
    Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap()
}

/// One that has a place for contacts.
fn with_home() -> Endpoint {
    Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).home(Home::in_memory()).build().unwrap()
}

/// Keeps whoever is at the other side, until the call is over.
async fn keep(endpoint: Endpoint, call: Call) {
    while let Some(event) = call.next_event().await {
        if event == (Event::Acquainted { contact: None }) {
            endpoint.keep(&call.peer().unwrap(), "Conform").unwrap();
        }
    }
}

/// A log that prints, for whoever has to read what failed.
fn log() -> Log {
    Log::new(|step: &Step| println!("{step}"))
}

#[track_caller]
fn all_is_well(log: &Log, sections: &[&str]) {
    let failed: Vec<String> = log.failed().map(ToString::to_string).collect();
    assert_eq!(failed, Vec::<String>::new());
    for section in sections {
        let done = |s: &&Step| s.section == *section && s.verdict == Verdict::Ok;
        assert!(log.steps().iter().any(|s| done(&s)), "nothing was done about section {section}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_that_lets_its_user_answer() {
    let kring = endpoint();
    let ticket = kring.ticket(Duration::from_secs(3600)).unwrap();
    let answering = kring.clone();
    let task = tokio::spawn(async move {
        let calls = Arc::new(Mutex::new(Vec::new()));
        while let Some(incoming) = answering.incoming().await {
            calls.lock().unwrap().push(incoming.answer(media()));
        }
    });
    let mut log = log();
    dial(&ticket, &Options::default(), &mut log).await.unwrap();
    all_is_well(&log, &["2", "4", "5", "6", "6.1", "7", "7.1", "7.2", "7.3", "8", "9", "10", "12", "C", "D"]);
    kring.close().await;
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_that_answers_ahead() {
    let kring = endpoint();
    let ticket = kring.ticket(Duration::from_secs(3600)).unwrap();
    // One call may begin before the one before is quite over.
    for _ in 0..3 {
        let answering = kring.clone();
        tokio::spawn(async move {
            let closed = kring::End::GoingAway { by: kring::EndedBy::Local };
            while answering.answer_next(media()).ended().await != closed {}
        });
    }
    let mut log = log();
    // After a caller that proves nothing, nobody is answered ahead for a while: so that is the last one here.
    let only = Some("message 1 in place of confirm".to_owned());
    dial(&ticket, &Options { only, ..Options::default() }, &mut log).await.unwrap();
    all_is_well(&log, &["2", "4", "5", "6.1", "7", "7.1", "7.2", "7.3", "8", "9", "10", "12", "C"]);
    kring.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_with_a_passcode() {
    let kring = endpoint();
    let passcode = || kring::Passcode::new("correct horse").unwrap();
    let ticket = kring.ticket(Duration::from_secs(3600)).unwrap();
    kring.home().set_passcode(ticket.id(), &passcode()).unwrap();
    let answering = kring.clone();
    let task = tokio::spawn(async move {
        while let Some(incoming) = answering.incoming().await {
            let call = incoming.answer(media());
            tokio::spawn(async move { call.ended().await });
        }
    });
    let mut log = log();
    let options =
        Options { passcode: Some(passcode()), only: Some("nothing else".into()), ..Options::default() };
    dial(&ticket, &options, &mut log).await.unwrap();
    all_is_well(&log, &["7.5", "7.2", "8", "9"]);
    kring.close().await;
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller() {
    let (kring, options) = (endpoint(), Options::default());
    let invitation = Invitation::new("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let mut log = log();
    let (dialler, ticket) = (kring.clone(), invitation.ticket().clone());
    let (dialled, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        while calls.recv().await.is_some() {
            let call = dialler.dial(&ticket, media());
            tokio::spawn(async move { call.ended().await });
        }
    });
    answer(&invitation, &options, &mut log, move |_, _, _| dialled.send(()).unwrap()).await;
    all_is_well(&log, &["2", "4", "5", "6", "7", "7.1", "7.2", "7.3", "7.5", "8", "9", "10", "12", "C"]);
    task.await.unwrap();
    kring.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_that_keeps_its_callers() {
    let kring = with_home();
    let ticket = kring.ticket(Duration::from_secs(3600)).unwrap();
    let answering = kring.clone();
    let task = tokio::spawn(async move {
        while let Some(incoming) = answering.incoming().await {
            tokio::spawn(keep(answering.clone(), incoming.answer(media())));
        }
    });
    let mut log = log();
    let options = Options { contact: true, only: Some("none of them".into()), ..Options::default() };
    dial(&ticket, &options, &mut log).await.unwrap();
    all_is_well(&log, &["12"]);
    assert!(log.steps().iter().any(|step| step.walk == "a contact calls again"));
    kring.close().await;
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_keeps_whom_it_calls_in_either_order_of_identities() {
    for smaller in [true, false] {
        let kring = with_home();
        let options = Options { contact: true, only: Some("none of them".into()), ..Options::default() };
        let invite = || Invitation::new("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let invitation = std::iter::repeat_with(invite)
            .find(|it| (it.identity().as_bytes() < kring.identity().as_bytes()) == smaller)
            .unwrap();
        let mut log = log();
        let (dialler, ticket) = (kring.clone(), invitation.ticket().clone());
        let (dialled, mut calls) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(by) = calls.recv().await {
                let call = match by {
                    By::Ticket => dialler.dial(&ticket, media()),
                    By::Contact => dialler.dial_contact("Conform", media()).unwrap(),
                };
                tokio::spawn(keep(dialler.clone(), call));
            }
        });
        answer(&invitation, &options, &mut log, move |_, _, by| dialled.send(by).unwrap()).await;
        all_is_well(&log, &["11", "12"]);
        task.await.unwrap();
        kring.close().await;
    }
}
