//! Two endpoints on loopback, a tone and a test card, and sinks that remember.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod person;

use kring::capture::{
    AudioSink, Consent, Kind, NullSpeaker, Played, SinkError, TestCard, Tone, VideoSink, framecode,
};
use kring::codec::Picture;
use kring::{Call, End, Endpoint, Event, Incoming, Media, Ticket};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Default)]
pub struct Ear {
    pub samples: Arc<Mutex<Vec<f32>>>,
    pub decoded: Arc<Mutex<usize>>,
    clock: Arc<Mutex<NullSpeaker>>,
}

impl AudioSink for Ear {
    fn start(&mut self) -> Result<(), SinkError> {
        self.clock.lock().unwrap().start()
    }
    fn play(&mut self, block: &[f32], what: Played) -> Result<Instant, SinkError> {
        self.samples.lock().unwrap().extend_from_slice(block);
        if what == Played::Decoded {
            *self.decoded.lock().unwrap() += block.len();
        }
        self.clock.lock().unwrap().play(block, what)
    }
    fn stop(&mut self) {}
}

impl Ear {
    /// How much of the last `ms` ms is a sine of `hertz`: 0 to 1.
    pub fn share_of(&self, hertz: f64, ms: usize) -> f64 {
        let samples = self.samples.lock().unwrap();
        let tail = &samples[samples.len().saturating_sub(48 * ms)..];
        let (mut re, mut im, mut all) = (0.0, 0.0, 1e-12);
        for (n, x) in tail.iter().enumerate() {
            let phase = std::f64::consts::TAU * hertz * n as f64 / 48_000.0;
            re += f64::from(*x) * phase.cos();
            im += f64::from(*x) * phase.sin();
            all += f64::from(*x) * f64::from(*x);
        }
        2.0 * (re * re + im * im) / (all * tail.len() as f64)
    }
}

#[derive(Clone, Default)]
pub struct Eye {
    pub numbers: Arc<Mutex<Vec<Option<u16>>>>,
    pub size: Arc<Mutex<(u32, u32)>>,
}

impl VideoSink for Eye {
    fn show(&mut self, picture: &Picture, _: Instant) -> Result<(), SinkError> {
        self.numbers.lock().unwrap().push(framecode::read(picture));
        *self.size.lock().unwrap() = (picture.width(), picture.height());
        Ok(())
    }
    fn stop(&mut self) {}
}

pub fn consent() -> Consent {
    Consent::to([Kind::Microphone, Kind::Camera])
}

/// A tone and a test card out, an ear and an eye in.
pub fn media(name: &str, hertz: f64) -> (Media, Ear, Eye) {
    let (ear, eye) = (Ear::default(), Eye::default());
    let media = Media::new(consent())
        .name(name)
        .microphone(Tone::new().frequency(hertz))
        .camera(TestCard::new(320, 180, 30.0).unwrap())
        .speaker(ear.clone())
        .view(eye.clone());
    (media, ear, eye)
}

pub fn quiet() -> Media {
    Media::new(Consent::to_nothing())
}

pub fn endpoint() -> Endpoint {
    Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap()
}

pub fn ticket(endpoint: &Endpoint) -> Ticket {
    endpoint.ticket(HOUR).unwrap()
}

pub async fn rings(endpoint: &Endpoint) -> Incoming {
    within(10, endpoint.incoming()).await.expect("the endpoint is open")
}

/// Fails the test rather than hang.
pub async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), future).await.expect("takes too long")
}

pub async fn end_of(call: &Call) -> End {
    within(10, call.ended()).await
}

/// Reads events until one fits.
pub async fn event(call: &Call, fits: impl Fn(&Event) -> bool) -> Event {
    within(10, async {
        loop {
            let event = call.next_event().await.expect("the call goes on");
            if fits(&event) {
                return event;
            }
        }
    })
    .await
}

pub async fn eventually(what: &str, mut fits: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !fits() {
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Two quiet endpoints in a call.
pub async fn talking() -> (Endpoint, Endpoint, Call, Call) {
    let (a, b) = (endpoint(), endpoint());
    let dialled = a.dial(&ticket(&b), quiet().name("Anna"));
    let answered = rings(&b).await.answer(quiet().name("Ben"));
    within(10, dialled.connected()).await.unwrap();
    within(10, answered.connected()).await.unwrap();
    (a, b, dialled, answered)
}

/// A network between one caller and a callee, as a thread that passes UDP packets on.
pub struct Wire {
    /// Where the caller finds the callee.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// `passes` sees each packet, and whether it comes from the callee; it says whether the packet gets through.
    pub fn to(callee: SocketAddr, mut passes: impl FnMut(&[u8], bool) -> bool + Send + 'static) -> Wire {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut caller) = ([0; 65_536], None);
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                let from_callee = from == callee;
                if !from_callee {
                    caller = Some(from);
                }
                let to = if from_callee { caller } else { Some(callee) };
                if let Some(to) = to.filter(|_| passes(&buffer[..len], from_callee)) {
                    let _ = socket.send_to(&buffer[..len], to);
                }
            }
        });
        Wire { address, stop, thread: Some(thread) }
    }

    /// Ends the thread; nothing gets through any more.
    pub fn cut(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}
