//! Kring with one thing wrong in it, or nothing: `kring-core` over `kring-net`, with a saboteur between what it says and the wire.
#![allow(dead_code, clippy::print_stdout, missing_docs, unreachable_pub)]

use kring_conform::{Log, Step};
use kring_core::call::{Call, EndedBy, Event, KeyLifetimes, Timeouts};
use kring_core::control::Reason;
use kring_core::crypto::{Provider, default_provider};
use kring_core::fuzzing::{hostile_hello, hostile_reply, raw};
use kring_core::handshake::{
    Accept, Acceptor, Binding, Dial, EXPORTER_LABEL, HandshakeError, Progress, Session,
};
use kring_core::identity::Identity;
use kring_core::media::FrameHeader;
use kring_core::media::audio::Copies;
use kring_core::offer::{Offer, TrackInfo, TrackSource};
use kring_core::ticket::Ticket;
use kring_core::time::{Time, WallTime};
use kring_net::{Config, Connection, Endpoint, RecvStream, SendStream};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Only what does not come costs it.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// From what is to be said, and whether a rekey follows, to what is said instead.
pub type Says = fn(&[u8], bool) -> Option<(Vec<u8>, bool)>;

/// What is wrong.
#[derive(Clone, Copy)]
pub struct Sabotage {
    /// What this side says, before it is sealed, and whether it rekeys after it; `None`: it keeps silent.
    pub says: Says,
    /// Its datagrams, as they go out.
    pub sends: fn(&mut Vec<u8>),
    /// The payload of its first handshake message, instead of the right one.
    pub payload: Option<fn() -> Vec<u8>>,
    /// The code by which it refuses a handshake.
    pub refuses: fn(&HandshakeError) -> u64,
    pub offer: fn() -> Offer,
    /// A report that it sends as well.
    pub report: Option<&'static [u8]>,
    /// Whether it goes on after what should have ended the call.
    pub puts_up_with_everything: bool,
    /// Of its keys, where hours are to pass: it then says little, so that they pass soon.
    pub lifetimes: Option<KeyLifetimes>,
    /// How long it waits for a message of the handshake.
    pub waits: Duration,
    /// What it takes for the time.
    pub wall: fn() -> WallTime,
}

pub const NOTHING: Sabotage = Sabotage {
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
    lifetimes: None,
    waits: Duration::from_secs(10),
    wall,
};

pub fn right_offer() -> Offer {
    let voice = TrackInfo::new(3, TrackSource::Microphone, "opus");
    let receive = ["opus", "h264"].map(String::from).to_vec();
    Offer { name: "Sabot".into(), receive, tracks: vec![voice] }
}

static FIRST: LazyLock<(WallTime, Instant)> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    (WallTime(since.as_secs()), Instant::now())
});

/// The time when it was first asked for.
pub fn start() -> WallTime {
    FIRST.0
}

/// By tokio's clock, so that a test's hours pass here as well.
pub fn wall() -> WallTime {
    WallTime(FIRST.0.0 + FIRST.1.elapsed().as_secs())
}

/// Which message it is.
pub fn kind_of(plaintext: &[u8]) -> u64 {
    raw::fields(plaintext).and_then(|f| f.first().map(|(kind, _)| *kind)).unwrap_or(u64::MAX)
}

/// The message with its last byte changed, GREASE left away.
pub fn damaged(plaintext: &[u8]) -> Vec<u8> {
    let fields = raw::fields(plaintext).unwrap();
    let (kind, mut value) = (fields[0].0, fields[0].1.to_vec());
    *value.last_mut().unwrap() ^= 1;
    let mut out = Vec::new();
    raw::put(kind, &value, &mut out);
    out
}

pub struct Person {
    identity: Arc<Identity>,
    provider: Arc<dyn Provider>,
    net: Endpoint,
    sabotage: Sabotage,
    start: Instant,
}

impl Person {
    pub fn new(sabotage: Sabotage) -> Person {
        Person::over(Endpoint::bind(&Config::new("127.0.0.1:0".parse().unwrap())).unwrap(), sabotage)
    }

    pub fn over(net: Endpoint, sabotage: Sabotage) -> Person {
        let provider = default_provider();
        let identity = Arc::new(Identity::generate(&*provider, wall()).unwrap());
        Person { identity, provider, net, sabotage, start: Instant::now() }
    }

    fn now(&self) -> Time {
        Time::from_micros(1_000_000 + self.start.elapsed().as_micros() as u64)
    }

    pub fn ticket(&self) -> Ticket {
        let address = self.net.local_addr().unwrap();
        Ticket::issue(&self.identity, &[address], WallTime(wall().0 + 3600), &*self.provider).unwrap()
    }

    /// Answers everybody.
    pub async fn answer(self: Arc<Person>, ticket: Ticket) {
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
        let (mut send, mut recv) = match timeout(self.sabotage.waits, connection.accept_stream()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return,
            Err(_) => return connection.close(0x43),
        };
        let mut accept = Accept::new(binding);
        let mut came = Vec::new();
        loop {
            let chunk = match timeout(self.sabotage.waits, recv.read_chunk(4096, true)).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(_) => return,
                Err(_) => return connection.close(0x43),
            };
            came.extend_from_slice(&chunk.bytes);
            let progress = accept.handle(&chunk.bytes, &mut acceptor.lock().unwrap(), (self.sabotage.wall)());
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

    pub async fn dial(self: Arc<Person>, ticket: Ticket) {
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
            let chunk = match timeout(self.sabotage.waits, recv.read_chunk(4096, true)).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(_) => return,
                Err(_) => return connection.close(0x43),
            };
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
        let (step, voice) = match sabotage.lifetimes {
            Some(lifetimes) => {
                call.set_key_lifetimes(self.now(), lifetimes);
                (Duration::from_millis(50), Duration::from_secs(1))
            }
            None => (Duration::from_millis(5), Duration::from_millis(20)),
        };
        let _ = send.write_all(&first).await;
        call.answer(self.now(), &offer);
        let (mut next_voice, mut next_step) = (Instant::now(), Instant::now());
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
                next_voice = Instant::now() + voice;
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
                () = sleep_until(next_step) => {
                    next_step = Instant::now() + step;
                    call.handle_timeout(self.now());
                }
            }
        };
        while let Some(bytes) = call.poll_stream() {
            let _ = send.write_all(&bytes).await;
        }
        if sabotage.puts_up_with_everything && end == (Reason::ProtocolError, EndedBy::Local) {
            sleep(if sabotage.lifetimes.is_some() { Duration::from_secs(60) } else { 2 * PATIENCE }).await;
        }
        sleep(Duration::from_millis(50)).await;
        connection.close(end.0.code());
    }
}

pub fn log() -> Log {
    Log::new(|step: &Step| println!("{step}"))
}

pub fn failed(log: &Log) -> Vec<(&'static str, &'static str)> {
    log.failed().map(|step| (step.section, step.what)).collect()
}
