//! Each program in a call over loopback with somebody who looks at what it does.

use kring::capture::{AudioSink, Consent, NullSpeaker, Played, SinkError, TestCard, Tone, VideoSink};
use kring::codec::Picture;
use kring::{Call, DEFAULT_LIFETIME, End, EndedBy, Endpoint, Event, Media};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Error = Box<dyn std::error::Error>;

/// Remembers what it hears, in real time.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<(Vec<f32>, NullSpeaker)>>);

impl AudioSink for Ear {
    fn start(&mut self) -> Result<(), SinkError> {
        self.0.lock().unwrap().1.start()
    }
    fn play(&mut self, block: &[f32], what: Played) -> Result<Instant, SinkError> {
        let (heard, clock) = &mut *self.0.lock().unwrap();
        heard.extend_from_slice(block);
        clock.play(block, what)
    }
    fn stop(&mut self) {}
}

/// Remembers where the brightest column of each picture is, as a share of its width.
#[derive(Clone, Default)]
struct Eye(Arc<Mutex<Vec<f32>>>);

impl VideoSink for Eye {
    fn show(&mut self, picture: &Picture, _: Instant) -> Result<(), SinkError> {
        let row = &picture.y()[..picture.width() as usize];
        let bright = row.iter().enumerate().max_by_key(|(_, luma)| **luma).unwrap();
        assert!(*bright.1 > 150 && row.iter().any(|luma| *luma < 60), "a bar on a dark ground");
        self.0.lock().unwrap().push(bright.0 as f32 / row.len() as f32);
        Ok(())
    }
    fn stop(&mut self) {}
}

/// How much of it is a sine of `hertz`: 0 to 1.
fn share_of(hertz: f64, samples: &[f32]) -> f64 {
    let (mut re, mut im, mut all) = (0.0, 0.0, 1e-12);
    for (n, x) in samples.iter().enumerate() {
        let phase = std::f64::consts::TAU * hertz * n as f64 / 48_000.0;
        re += f64::from(*x) * phase.cos();
        im += f64::from(*x) * phase.sin();
        all += f64::from(*x) * f64::from(*x);
    }
    2.0 * (re * re + im * im) / (all * samples.len().max(1) as f64)
}

/// The best tenth of a second.
fn best_share_of(hertz: f64, samples: &[f32]) -> f64 {
    samples.chunks_exact(4800).map(|part| share_of(hertz, part)).fold(0.0, f64::max)
}

fn endpoint() -> Endpoint {
    Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap()
}

/// Ends the program with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, arguments: &[&str]) -> Result<Program, Error> {
    Ok(Program(Command::new(program).args(arguments).stdout(Stdio::piped()).spawn()?))
}

async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), future).await.expect("takes too long")
}

/// Waits until the program has ended, well.
async fn ends_well(mut program: Program) {
    let status = tokio::task::spawn_blocking(move || program.0.wait());
    assert!(within(20, status).await.unwrap().unwrap().success());
}

async fn event(call: &Call, fits: impl Fn(&Event) -> bool) {
    within(20, async { while !fits(&call.next_event().await.expect("the call goes on")) {} }).await;
}

fn write_tone(path: &Path, hertz: f64, seconds: u32) -> Result<(), Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec)?;
    for n in 0..48_000 * seconds {
        let x = (std::f64::consts::TAU * hertz * f64::from(n) / 48_000.0).sin();
        file.write_sample((x * 8000.0) as i16)?;
    }
    Ok(file.finalize()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_greets_each_caller_and_hangs_up() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let greeting = folder.path().join("greeting.wav");
    write_tone(&greeting, 600.0, 1)?;
    let arguments = [greeting.to_str().unwrap(), "127.0.0.1:0"];
    let mut bot = start(env!("CARGO_BIN_EXE_answering-bot"), &arguments)?;
    let mut ticket = String::new();
    // Kept until the end: what the bot prints has to go somewhere.
    let mut said = BufReader::new(bot.0.stdout.take().unwrap());
    said.read_line(&mut ticket)?;
    let endpoint = endpoint();
    for _ in 0..2 {
        let ear = Ear::default();
        let call =
            endpoint.dial(&ticket.trim().parse()?, Media::new(Consent::to_nothing()).speaker(ear.clone()));
        within(20, call.connected()).await?;
        assert_eq!(within(20, call.ended()).await, End::HungUp { by: EndedBy::Peer });
        let heard = ear.0.lock().unwrap().0.clone();
        assert!(best_share_of(600.0, &heard) > 0.9);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorder_says_so_and_writes_what_it_was_told_and_shown() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let [sound, pictures] = ["a.wav", "a.y4m"].map(|name| folder.path().join(name));
    let endpoint = endpoint();
    let ticket = endpoint.ticket(DEFAULT_LIFETIME)?.to_string();
    let arguments = [&ticket, "3", sound.to_str().unwrap(), pictures.to_str().unwrap()];
    let recorder = start(env!("CARGO_BIN_EXE_recorder"), &arguments)?;
    let media = Media::new(Consent::to_nothing())
        .microphone(Tone::new().frequency(600.0))
        .camera(TestCard::new(320, 180, 25.0)?);
    let call = within(20, endpoint.incoming()).await.expect("the endpoint is open").answer(media);
    event(&call, |event| *event == Event::PeerRecording(true)).await;
    ends_well(recorder).await;
    let samples = hound::WavReader::open(&sound)?.into_samples::<i16>();
    let samples: Vec<f32> = samples.map(|x| Ok(f32::from(x?) / 32_768.0)).collect::<Result<_, Error>>()?;
    assert!(best_share_of(600.0, &samples) > 0.9);
    let bytes = std::fs::read(&pictures)?;
    assert!(bytes.starts_with(b"YUV4MPEG2 W320 H180"), "of the size that was announced");
    assert!(bytes.len() > 10 * 320 * 180 * 3 / 2, "more than ten pictures");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_a_programs_own_are_seen() -> Result<(), Error> {
    let endpoint = endpoint();
    let ticket = endpoint.ticket(DEFAULT_LIFETIME)?.to_string();
    let program = start(env!("CARGO_BIN_EXE_own-video"), &[&ticket, "2"])?;
    let eye = Eye::default();
    let incoming = within(20, endpoint.incoming()).await.expect("the endpoint is open");
    assert_eq!(incoming.name(), "A bar");
    let call = incoming.answer(Media::new(Consent::to_nothing()).view(eye.clone()));
    ends_well(program).await;
    within(20, call.ended()).await;
    let places = eye.0.lock().unwrap();
    assert!(places.len() > 10, "{} pictures", places.len());
    let forward = places.windows(2).filter(|pair| pair[1] > pair[0]).count();
    assert!(forward * 10 > places.len() * 7, "the bar wanders: {places:?}");
    Ok(())
}
