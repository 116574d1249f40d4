//! A voice from a WAV file to a WAV file in virtual time: encoder and plan, copies, the simulator's network, jitter
//! buffer, decoder, stretching. What is heard can be scored against what was said by any tool; a line of JSON says when
//! sample 0 of either was due and what it took. See docs/benchmarks.md.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use kring_codec::{AudioCodec, AudioSettings, FrameDuration, Opus};
use kring_core::media::AudioPacket;
use kring_core::media::audio::{
    AudioPlan, AudioPlanner, Bundle, Bundler, PACKET_OVERHEAD, SpokenFrame, VoiceNetwork,
};
use kring_core::time::Time;
use kring_sim::link::{Link, Spec};
use kring_sim::rng::Rng;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

#[path = "../crates/kring/src/engine/voice.rs"]
#[allow(unreachable_pub, dead_code)]
mod voice;

/// Sends a voice over a model network and writes what is heard.
#[derive(Parser)]
struct Options {
    /// What is said: 48 kHz, mono, 16 bit.
    said: PathBuf,
    /// Where what is heard goes.
    heard: PathBuf,
    /// The network, as kring-sim describes it.
    #[arg(long, default_value = "delay=10")]
    link: Spec,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What voice may take, in kbit/s, headers included.
    #[arg(long, default_value_t = 400)]
    rate: u32,
    /// Pictures on the same network, in kbit/s.
    #[arg(long, default_value_t = 0)]
    video: u64,
    /// The listener's sound card, in millionths slower than the speaker's.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    drift: i64,
    /// How often the file is said.
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// Says each plan as it begins.
    #[arg(long)]
    plans: bool,
}

/// What the listener's sound card takes at once.
const BLOCK: usize = 240;
const REPORT: Duration = Duration::from_millis(250);
const PICTURE: Duration = Duration::from_micros(33_333);
/// A packet with a part of a picture, headers included, in bytes.
const PART: usize = 1180;

#[derive(Clone)]
enum Item {
    Sound { id: u32, capture: u64, duration: Duration, body: Vec<u8> },
    Picture,
}

/// The datagrams that came, as the receiver counts them.
#[derive(Default)]
struct Arrivals {
    came: HashSet<u64>,
    highest: u64,
    /// Runs of lost ones.
    runs: u64,
    counted: u64,
}

impl Arrivals {
    fn add(&mut self, sequence: u64) {
        self.came.insert(sequence);
        if sequence > self.highest + 1 {
            self.runs += 1;
        }
        self.highest = self.highest.max(sequence);
        self.counted += 1;
    }

    fn lost(&self) -> u64 {
        if self.counted == 0 { 0 } else { (self.highest + 1).saturating_sub(self.counted) }
    }
}

/// The share of datagrams lost lately, as reports tell.
#[derive(Default)]
struct LossMeter {
    before: (u64, u64),
    share: Option<f32>,
}

impl LossMeter {
    fn update(&mut self, received: u64, lost: u64) {
        let came = received.saturating_sub(self.before.0);
        let gone = lost.saturating_sub(self.before.1);
        self.before = (received, lost);
        let now = gone as f32 / (came + gone).max(1) as f32;
        let old = self.share.unwrap_or(now);
        self.share = Some(old + (now - old) * if now > old { 0.4 } else { 0.1 });
    }
}

struct Speaker {
    samples: Vec<f32>,
    at: usize,
    encoder: Box<dyn kring_codec::AudioEncoder>,
    planner: AudioPlanner,
    plan: Option<AudioPlan>,
    bundler: Bundler,
    id: u32,
    /// When the frame that is being captured is whole.
    due: Time,
}

impl Speaker {
    /// Settles what the next frame is to be like.
    fn prepare(&mut self, now: Time, state: &VoiceNetwork, tell: bool) {
        let plan = self.planner.update(now, state);
        if self.plan != Some(plan) {
            if tell {
                eprintln!("{now:?} {state:?} {plan:?} {} bit/s", plan.total_rate());
            }
            self.plan = Some(plan);
            let duration = FrameDuration::ALL.into_iter().find(|d| d.as_duration() == plan.duration);
            self.encoder.set_duration(duration.expect("a length of Opus"));
            self.encoder.set_bitrate(plan.bit_rate);
            self.encoder.set_expected_loss(plan.fec_percent);
            self.encoder.set_deep_redundancy(plan.deep_redundancy);
        }
        self.due += plan.duration;
    }

    fn speak(&mut self) -> Item {
        let plan = self.plan.expect("a plan");
        let samples = self.encoder.duration().samples();
        let mut block = vec![0.0; samples];
        let left = &self.samples[self.at.min(self.samples.len())..];
        let count = left.len().min(samples);
        block[..count].copy_from_slice(&left[..count]);
        self.at += samples;
        let mut packet = Vec::new();
        self.encoder.encode(&block, &mut packet).expect("a frame");
        let (id, capture) = (self.id, (self.due - plan.duration).as_micros());
        self.id += 1;
        let mut body = Vec::new();
        let frame = SpokenFrame { id, capture, duration: plan.duration, level: 20, payload: &packet };
        self.bundler.write(&frame, &plan.copies, &mut body);
        Item::Sound { id, capture, duration: plan.duration, body }
    }
}

fn main() {
    let options = Options::parse();
    let mut reader = hound::WavReader::open(&options.said).expect("a WAV file");
    assert_eq!(reader.spec().sample_rate, 48_000, "the file's rate");
    let once: Vec<f32> =
        reader.samples::<i16>().map(|s| f32::from(s.expect("a sample")) / 32_768.0).collect();
    let samples = once.repeat(options.times);
    let end = Time::from_micros(samples.len() as u64 * 1000 / 48 + 1_000_000);
    let (heard, line) = run(&options, samples, end);
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&options.heard, spec).expect("a WAV file");
    for sample in heard {
        writer.write_sample((sample * 32_767.0) as i16).expect("a sample");
    }
    writer.finalize().expect("a WAV file");
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}
use std::io::Write as _;

fn run(options: &Options, samples: Vec<f32>, end: Time) -> (Vec<f32>, serde_json::Value) {
    let mut rng = Rng::new(options.seed, "voice");
    let mut link: Link<(u64, Item)> = Link::new(&options.link, Rng::new(options.seed, "link"));
    let settings = AudioSettings { duration: FrameDuration::Ms10, bits_per_second: 48_000 };
    let mut speaker = Speaker {
        samples,
        at: 0,
        encoder: Opus.encoder(&settings).expect("an encoder"),
        planner: AudioPlanner::default(),
        plan: None,
        bundler: Bundler::default(),
        id: 0,
        due: Time::ZERO,
    };
    let mut voice = voice::Voice::new(Opus.decoder().expect("a decoder"));
    let start = Time::from_micros(rng.within(0..=5_000));
    let (mut played, mut heard, mut block) = (0u64, Vec::new(), [0.0; BLOCK]);
    let (mut sequence, mut bytes, mut packets, mut concealed) = (0u64, 0, 0u64, 0u64);
    let (mut arrivals, mut meter, mut burst) = (Arrivals::default(), LossMeter::default(), 1.0f32);
    let mut came: HashSet<u32> = HashSet::new();
    // Parts of pictures that wait for their turn, and reports on their way back.
    let (mut picture, mut parts) = (Time::ZERO, Vec::new());
    let (mut report, mut reports) = (Time::ZERO, Vec::<(Time, u64, u64, f32)>::new());
    let mut sounds: Vec<(Time, Item)> = Vec::new();
    let mut now = Time::ZERO;
    let rtt = Duration::from_millis(100);
    let state = |meter: &LossMeter, burst: f32| VoiceNetwork {
        audio_rate: options.rate * 1000,
        loss: meter.share,
        burst,
    };
    speaker.prepare(now, &state(&meter, burst), options.plans);
    let mut wake = start;
    while now < end {
        // A quarter of a millisecond at a time is as fine as it needs to be.
        now += Duration::from_micros(250);
        if speaker.due <= now {
            let item = speaker.speak();
            sounds.push((now + Duration::from_micros(rng.within(200..=1_500)), item));
            speaker.prepare(now, &state(&meter, burst), options.plans);
        }
        if options.video > 0 && picture <= now {
            let all = options.video * PICTURE.as_micros() as u64 / 8000;
            let count = all.div_ceil(PART as u64);
            parts
                .extend((0..count).map(|n| (picture + PICTURE * n as u32 / (2 * count as u32), all / count)));
            picture += PICTURE;
        }
        sounds.retain(|(at, item)| {
            if *at <= now {
                let Item::Sound { body, .. } = item else { return false };
                let size = body.len() + PACKET_OVERHEAD;
                (bytes, packets) = (bytes + size, packets + 1);
                link.send(now, size, (sequence, item.clone()));
                sequence += 1;
            }
            *at > now
        });
        parts.retain(|(at, size)| {
            if *at <= now {
                link.send(now, *size as usize, (sequence, Item::Picture));
                sequence += 1;
            }
            *at > now
        });
        while let Some(parcel) = link.receive(now) {
            let (sequence, item) = parcel.item;
            arrivals.add(sequence);
            let Item::Sound { id, capture, duration, body } = item else { continue };
            let bundle = Bundle::parse(&body).expect("a body");
            for copy in bundle.copies.iter().rev() {
                let frame_id = id - u32::from(copy.offset);
                if came.insert(frame_id) {
                    let (capture, level) = (capture - copy.earlier, copy.level);
                    let payload = copy.payload.to_vec();
                    voice.push(
                        now,
                        AudioPacket { frame_id, capture, duration: copy.duration, payload, level },
                    );
                }
            }
            if came.insert(id) {
                let payload = bundle.payload.to_vec();
                voice.push(now, AudioPacket { frame_id: id, capture, duration, payload, level: 20 });
            }
        }
        if report <= now {
            report += REPORT;
            let mean = if arrivals.runs > 0 { arrivals.lost() as f32 / arrivals.runs as f32 } else { 1.0 };
            reports.push((now + rtt / 2, arrivals.counted, arrivals.lost(), mean));
        }
        while reports.first().is_some_and(|(at, ..)| *at <= now) {
            let (_, received, lost, mean) = reports.remove(0);
            meter.update(received, lost);
            burst = mean;
        }
        while wake <= now {
            let what = voice.play(now, &mut block);
            concealed += u64::from(what == kring_capture::Played::Concealed) * BLOCK as u64;
            heard.extend_from_slice(&block);
            played += BLOCK as u64;
            let micros = (played * 1000 / 48) as i64;
            let due = micros + micros * options.drift / 1_000_000;
            // A thread wakes up a little late.
            wake = start + Duration::from_micros(due as u64 + rng.within(0..=600));
        }
    }
    let line = serde_json::json!({
        "link": options.link.to_string(),
        "seed": options.seed,
        "heard_from_s": start.as_micros() as f64 / 1e6,
        "seconds": end.as_micros() as f64 / 1e6,
        "kbps": bytes as f64 * 8000.0 / end.as_micros() as f64,
        "packets": packets,
        "concealed_ms": concealed / 48,
        "drift": options.drift,
    });
    (heard, line)
}
