//! Kring with one thing wrong in it: the walk names the section that it is about.
//!
//! The sabotaged side is `kring-core` over `kring-net`, with a saboteur between what it says and the wire.
#![allow(clippy::print_stdout)]

use kring_conform::{Invitation, Log, Options, Step, answer, dial};
use kring_core::call::{Call, EndedBy, Event, Timeouts};
use kring_core::control::Reason;
use kring_core::crypto::{Provider, default_provider};
use kring_core::fuzzing::{certificate_of, hostile_hello, hostile_reply, raw};
use kring_core::handshake::{
    Accept, Acceptor, Binding, Dial, EXPORTER_LABEL, HandshakeError, Progress, Session,
};
use kring_core::identity::Identity;
use kring_core::media::audio::Copies;
use kring_core::media::{FrameHeader, parse};
use kring_core::offer::{Offer, TrackInfo, TrackSource, TrackState};
use kring_core::ticket::Ticket;
use kring_core::time::{Time, WallTime};
use kring_net::{Config, Connection, Endpoint, RecvStream, SendStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep, timeout};

/// Only what does not come costs it.
const PATIENCE: Duration = Duration::from_secs(4);

/// From what is to be said, and whether a rekey follows, to what is said instead.
type Says = fn(&[u8], bool) -> Option<(Vec<u8>, bool)>;

/// What is wrong.
#[derive(Clone, Copy)]
struct Sabotage {
    /// What this side says, before it is sealed, and whether it rekeys after it; `None`: it keeps silent.
    says: Says,
    /// Its datagrams, as they go out.
    sends: fn(&mut Vec<u8>),
    /// The payload of its first handshake message, instead of the right one.
    payload: Option<fn() -> Vec<u8>>,
    /// The code by which it refuses a handshake.
    refuses: fn(&HandshakeError) -> u64,
    offer: fn() -> Offer,
    /// A report that it sends as well.
    report: Option<&'static [u8]>,
    /// Whether it goes on after what should have ended the call.
    puts_up_with_everything: bool,
}

const NOTHING: Sabotage = Sabotage {
    says: |plaintext, secret| Some((plaintext.to_vec(), secret)),
    sends: |_| {},
    payload: None,
    refuses: |error| match error {
        HandshakeError::UnknownHint => 0x40,
        HandshakeError::Clock { .. } => 0x41,
        HandshakeError::Version => 0x42,
        _ => 0x43,
    },
    offer: right_offer,
    report: None,
    puts_up_with_everything: false,
};

fn right_offer() -> Offer {
    let voice = TrackInfo {
        id: 3,
        source: TrackSource::Microphone,
        codec: "opus".into(),
        size: None,
        frame_rate_milli: 0,
        state: TrackState::Live,
    };
    let receive = ["opus", "h264"].map(String::from).to_vec();
    Offer { name: "Sabot".into(), receive, tracks: vec![voice] }
}

fn wall() -> WallTime {
    WallTime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
}

/// Which message it is.
fn kind_of(plaintext: &[u8]) -> u64 {
    raw::fields(plaintext).and_then(|f| f.first().map(|(kind, _)| *kind)).unwrap_or(u64::MAX)
}

/// The message with its last byte changed, GREASE left away.
fn damaged(plaintext: &[u8]) -> Vec<u8> {
    let fields = raw::fields(plaintext).unwrap();
    let (kind, mut value) = (fields[0].0, fields[0].1.to_vec());
    *value.last_mut().unwrap() ^= 1;
    let mut out = Vec::new();
    raw::put(kind, &value, &mut out);
    out
}

struct Person {
    identity: Arc<Identity>,
    provider: Arc<dyn Provider>,
    net: Endpoint,
    sabotage: Sabotage,
    start: Instant,
}

impl Person {
    fn new(sabotage: Sabotage) -> Person {
        let provider = default_provider();
        let identity = Arc::new(Identity::generate(&*provider, wall()).unwrap());
        let net = Endpoint::bind(&Config::new("127.0.0.1:0".parse().unwrap())).unwrap();
        Person { identity, provider, net, sabotage, start: Instant::now() }
    }

    fn now(&self) -> Time {
        Time::from_micros(1_000_000 + self.start.elapsed().as_micros() as u64)
    }

    fn ticket(&self) -> Ticket {
        let address = self.net.local_addr().unwrap();
        Ticket::issue(&self.identity, &[address], WallTime(wall().0 + 3600), &*self.provider).unwrap()
    }

    /// Answers everybody.
    async fn answer(self: Arc<Person>, ticket: Ticket) {
        let acceptor = Acceptor::new(self.identity.clone(), self.provider.clone());
        let acceptor = Arc::new(std::sync::Mutex::new(acceptor));
        acceptor.lock().unwrap().add(&ticket);
        while let Some(incoming) = self.net.accept().await {
            let (person, acceptor, ticket) = (self.clone(), acceptor.clone(), ticket.clone());
            tokio::spawn(async move {
                if let Ok(connection) = incoming.accept().await {
                    person.accept(connection, &acceptor, &ticket).await;
                }
            });
        }
    }

    async fn accept(&self, connection: Connection, acceptor: &std::sync::Mutex<Acceptor>, ticket: &Ticket) {
        let binding = Binding::Quic(connection.exporter(EXPORTER_LABEL).unwrap());
        let Ok((mut send, mut recv)) = connection.accept_stream().await else { return };
        let mut accept = Accept::new(binding);
        let mut came = Vec::new();
        loop {
            let chunk = match timeout(Duration::from_secs(10), recv.read_chunk(4096, true)).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(_) => return,
                Err(_) => return connection.close(0x43),
            };
            came.extend_from_slice(&chunk.bytes);
            let progress = accept.handle(&chunk.bytes, &mut acceptor.lock().unwrap(), wall());
            match progress {
                Ok(Progress::Waiting) => {}
                Ok(Progress::Reply(bytes)) => {
                    let bytes = self.sabotage.payload.map_or(bytes, |payload| {
                        let (own, provider) = (&self.identity, &self.provider);
                        hostile_reply(own, ticket, binding, provider, &came, &payload()).unwrap()
                    });
                    let _ = send.write_all(&bytes).await;
                }
                Ok(Progress::Done(session)) => {
                    return self.talk(connection, (send, recv), *session, Vec::new()).await;
                }
                Err(error) => return connection.close((self.sabotage.refuses)(&error)),
            }
        }
    }

    async fn dial(self: Arc<Person>, ticket: Ticket) {
        let Ok(connection) = self.net.connect(ticket.addresses()[0]).await else { return };
        let binding = Binding::Quic(connection.exporter(EXPORTER_LABEL).unwrap());
        let Ok((mut send, mut recv)) = connection.open_stream().await else { return };
        let (mut dial, mut hello) =
            Dial::new(&self.identity, &ticket, binding, wall(), &self.provider).unwrap();
        if let Some(payload) = self.sabotage.payload {
            hello = hostile_hello(&self.identity, &ticket, binding, &self.provider, &payload()).unwrap();
        }
        let _ = send.write_all(&hello).await;
        loop {
            let Ok(Some(chunk)) = recv.read_chunk(4096, true).await else { return };
            match dial.handle(&chunk.bytes, &(self.sabotage.offer)().encode(), wall()) {
                Ok(None) => {}
                Ok(Some((session, confirm))) => {
                    return self.talk(connection, (send, recv), session, confirm).await;
                }
                Err(error) => return connection.close((self.sabotage.refuses)(&error)),
            }
        }
    }

    async fn talk(
        &self,
        connection: Connection,
        (mut send, mut recv): (SendStream, RecvStream),
        mut session: Session,
        first: Vec<u8>,
    ) {
        let sabotage = self.sabotage;
        session.tamper(Box::new(sabotage.says));
        let offer = (sabotage.offer)();
        let mut call = Call::new(session, &self.identity, &offer, Timeouts::default(), self.now()).unwrap();
        let _ = send.write_all(&first).await;
        call.answer(self.now(), &offer);
        let mut next_voice = Instant::now();
        let end = loop {
            while let Some(bytes) = call.poll_stream() {
                let _ = send.write_all(&bytes).await;
            }
            while let Some(mut datagram) = call.poll_datagram(self.now()) {
                (sabotage.sends)(&mut datagram);
                let _ = connection.send_datagram(datagram).await;
            }
            while let Some(frame) = call.poll_frame() {
                if frame.track != 0 {
                    call.set_decoded(self.now(), frame.track, Some(frame.header.frame_id), false);
                }
            }
            let events: Vec<Event> = std::iter::from_fn(|| call.poll_event()).collect();
            let end = events.iter().find_map(|event| match event {
                Event::Ended { reason, by } => Some((*reason, *by)),
                _ => None,
            });
            if let Some(end) = end {
                break end;
            }
            if call.is_talking() && Instant::now() >= next_voice {
                next_voice = Instant::now() + Duration::from_millis(20);
                let (now, copies) = (self.now(), Copies::new(&[1], 60));
                let _ = call.send_audio(3, now, Duration::from_millis(20), 127, &[0xf8, 0xff, 0xfe], &copies);
                if let Some(report) = sabotage.report {
                    let header = FrameHeader { frame_id: 1 << 20, ..FrameHeader::default() };
                    for mut datagram in call.hostile_frame(15, &header, report) {
                        datagram.stamp(9, now);
                        let _ = connection.send_datagram(datagram.bytes).await;
                    }
                }
            }
            tokio::select! {
                datagram = connection.read_datagram() => match datagram {
                    Ok(bytes) => call.handle_datagram(self.now(), &bytes),
                    Err(_) => return,
                },
                chunk = recv.read_chunk(4096, true) => match chunk {
                    Ok(Some(chunk)) => call.handle_stream(self.now(), &chunk.bytes),
                    _ => return,
                },
                () = sleep(Duration::from_millis(5)) => call.handle_timeout(self.now()),
            }
        };
        while let Some(bytes) = call.poll_stream() {
            let _ = send.write_all(&bytes).await;
        }
        if sabotage.puts_up_with_everything && end == (Reason::ProtocolError, EndedBy::Local) {
            sleep(2 * PATIENCE).await;
        }
        sleep(Duration::from_millis(50)).await;
        connection.close(end.0.code());
    }
}

fn log() -> Log {
    Log::new(|step: &Step| println!("{step}"))
}

fn failed(log: &Log) -> Vec<(&'static str, &'static str)> {
    log.failed().map(|step| (step.section, step.what)).collect()
}

/// What fails at a sabotaged callee; `only` says which refusals are tried.
async fn callee(sabotage: Sabotage, only: &str) -> Vec<(&'static str, &'static str)> {
    callee_within(PATIENCE, sabotage, only).await
}

async fn callee_within(
    patience: Duration,
    sabotage: Sabotage,
    only: &str,
) -> Vec<(&'static str, &'static str)> {
    let person = Arc::new(Person::new(sabotage));
    let ticket = person.ticket();
    let task = tokio::spawn(person.clone().answer(ticket.clone()));
    let mut log = log();
    let options = Options { patience, only: Some(only.into()), ..Options::default() };
    dial(&ticket, &options, &mut log).await.unwrap();
    task.abort();
    failed(&log)
}

/// What fails at a sabotaged caller.
async fn caller(sabotage: Sabotage, only: &str) -> Vec<(&'static str, &'static str)> {
    caller_within(PATIENCE, sabotage, only).await
}

async fn caller_within(
    patience: Duration,
    sabotage: Sabotage,
    only: &str,
) -> Vec<(&'static str, &'static str)> {
    let person = Arc::new(Person::new(sabotage));
    let options = Options { patience, only: Some(only.into()), ..Options::default() };
    let invitation = Invitation::new("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let ticket = invitation.ticket().clone();
    let mut log = log();
    answer(&invitation, &options, &mut log, |_, _| {
        drop(tokio::spawn(person.clone().dial(ticket.clone())));
    })
    .await;
    failed(&log)
}

/// The one section of all that failed, and that something did.
#[track_caller]
fn is_about(failed: &[(&'static str, &'static str)], section: &str) {
    assert!(!failed.is_empty(), "nothing failed");
    assert!(
        failed.iter().all(|(s, _)| *s == section),
        "expected failures of {section} only, came {failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_wrong() {
    let patience = Duration::from_secs(15);
    assert_eq!(callee_within(patience, NOTHING, "").await, []);
    assert_eq!(caller_within(patience, NOTHING, "").await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_code_for_a_strangers_hint() {
    let failed = callee(Sabotage { refuses: |_| 0x43, ..NOTHING }, "a hint that fits nothing").await;
    assert_eq!(failed, [("5", "is refused")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_was_not_offered() {
    fn payload() -> Vec<u8> {
        let mut out = Vec::new();
        raw::put_number(3, 2, &mut out);
        out
    }
    is_about(&callee(Sabotage { payload: Some(payload), ..NOTHING }, "none").await[..1], "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_certificate() {
    fn payload() -> Vec<u8> {
        let provider = default_provider();
        let other = Identity::generate(&*provider, wall()).unwrap();
        let mut out = Vec::new();
        raw::put(4, &certificate_of(&other), &mut out);
        raw::put_number(3, 1, &mut out);
        out
    }
    is_about(&callee(Sabotage { payload: Some(payload), ..NOTHING }, "none").await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_message_without_a_call_id() {
    fn payload() -> Vec<u8> {
        let mut out = Vec::new();
        raw::put_number(2, wall().0, &mut out);
        raw::put_number(3, 1, &mut out);
        out
    }
    is_about(&caller(Sabotage { payload: Some(payload), ..NOTHING }, "none").await, "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_key_with_a_signature_that_does_not_hold() {
    let says = |plaintext: &[u8], secret| match kind_of(plaintext) {
        5 => Some((damaged(plaintext), secret)),
        _ => Some((plaintext.to_vec(), secret)),
    };
    let sabotage = Sabotage { says, ..NOTHING };
    is_about(&callee(sabotage, "none").await, "8");
    is_about(&caller(sabotage, "none").await, "8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rekey_after_a_secret() {
    let sabotage = Sabotage { says: |plaintext, _| Some((plaintext.to_vec(), false)), ..NOTHING };
    is_about(&callee(sabotage, "none").await, "6");
    is_about(&caller(sabotage, "none").await, "6");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_messages_in_one() {
    let says = |plaintext: &[u8], secret| {
        let mut out = plaintext.to_vec();
        raw::put_number(7, 1, &mut out);
        Some((out, secret))
    };
    is_about(&callee(Sabotage { says, ..NOTHING }, "none").await, "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_did_not_ring() {
    let says = |plaintext: &[u8], secret| (kind_of(plaintext) != 1).then(|| (plaintext.to_vec(), secret));
    is_about(&callee(Sabotage { says, ..NOTHING }, "none").await, "7.2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_does_not_receive_h264() {
    let offer = || Offer { receive: vec!["opus".into()], ..right_offer() };
    is_about(&callee(Sabotage { offer, ..NOTHING }, "none").await, "7.1");
    is_about(&caller(Sabotage { offer, ..NOTHING }, "none").await, "7.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reveal_that_does_not_fit() {
    let says = |plaintext: &[u8], secret| match kind_of(plaintext) {
        11 | 12 => Some((damaged(plaintext), secret)),
        _ => Some((plaintext.to_vec(), secret)),
    };
    is_about(&caller(Sabotage { says, ..NOTHING }, "none").await, "7.3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_is_answered_with_another_counter() {
    let says = |plaintext: &[u8], secret| match kind_of(plaintext) {
        31 => {
            let fields = raw::fields(plaintext).unwrap();
            let second = raw::fields(fields[0].1).unwrap()[1].1;
            let (mut value, mut out) = (Vec::new(), Vec::new());
            raw::put_number(1, 7, &mut value);
            raw::put(5, second, &mut value);
            raw::put(31, &value, &mut out);
            Some((out, secret))
        }
        _ => Some((plaintext.to_vec(), secret)),
    };
    is_about(&callee(Sabotage { says, ..NOTHING }, "none").await, "6.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_key_that_is_not_taken() {
    let says = |plaintext: &[u8], secret| (kind_of(plaintext) != 34).then(|| (plaintext.to_vec(), secret));
    is_about(&callee(Sabotage { says, ..NOTHING }, "none").await, "8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_do_not_open() {
    let sends = |datagram: &mut Vec<u8>| {
        if parse(datagram).is_ok() {
            *datagram.last_mut().unwrap() ^= 1;
        }
    };
    // None of its reports opens either.
    is_about(&callee(Sabotage { sends, ..NOTHING }, "none").await, "9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transport_sequence_that_stands_still() {
    let sends = |datagram: &mut Vec<u8>| datagram[1..3].fill(9);
    is_about(&callee(Sabotage { sends, ..NOTHING }, "none").await, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_says_nothing_but_one_count() {
    let failed = callee(Sabotage { report: Some(&[1, 1, 5]), ..NOTHING }, "none").await;
    assert!(
        failed.iter().any(|(section, what)| *section == "9" && what.starts_with("reports")),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_should_end_a_call_and_does_not() {
    let says = |plaintext: &[u8], secret| (kind_of(plaintext) != 4).then(|| (plaintext.to_vec(), secret));
    let sabotage = Sabotage { says, puts_up_with_everything: true, ..NOTHING };
    assert_eq!(callee(sabotage, "a second handshake within a second").await, [("6.1", "is refused")]);
    assert_eq!(caller(sabotage, "a second answer").await, [("7.2", "is refused")]);
}
