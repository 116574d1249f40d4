//! What is said does not show in when and how large datagrams are: speech, silence and music over one network give the
//! same list, in both directions, reports of what was played included.
//!
//! The real encoder and decoder, plan, call, jitter buffer and stretching; the simulator's network and clock.

#![allow(clippy::print_stdout)] // how many datagrams were compared

use kring_capture::Played;
use kring_codec::{AudioCodec, AudioSettings, FrameDuration, Opus};
use kring_core::call::{Call, Playout, Timeouts};
use kring_core::crypto::default_provider;
use kring_core::handshake::{Accept, Acceptor, Binding, Dial, Progress, Role};
use kring_core::identity::Identity;
use kring_core::media::audio::{AudioPlanner, VoiceNetwork};
use kring_core::media::{AudioPacket, FrameInfo};
use kring_core::offer::{Offer, TrackInfo, TrackSource};
use kring_core::ticket::Ticket;
use kring_core::time::{Time, WallTime};
use kring_sim::link::{Link, Spec};
use kring_sim::rng::Rng;
use std::sync::Arc;
use std::time::Duration;

#[path = "../../crates/kring/src/engine/voice.rs"]
#[allow(unreachable_pub, dead_code)]
mod voice;

const TALK: Duration = Duration::from_secs(20);
const BLOCK: usize = 240;

/// Who sent it, when in µs, and how many bytes.
type Seen = (Role, u64, usize);

fn offer() -> Offer {
    let track = TrackInfo::new(0, TrackSource::Microphone, "opus");
    Offer { name: "Anna".into(), receive: vec!["opus".into(), "h264".into()], tracks: vec![track] }
}

/// Two who are connected; the caller will speak.
fn connected() -> [Call; 2] {
    let (provider, now) = (default_provider(), WallTime(1_800_000_000));
    let caller = Arc::new(Identity::generate(&*provider, now).unwrap());
    let callee = Arc::new(Identity::generate(&*provider, now).unwrap());
    let address = "192.0.2.1:4433".parse().unwrap();
    let ticket = Ticket::issue(&callee, &[address], WallTime(now.0 + 3600), &*provider).unwrap();
    let mut acceptor = Acceptor::new(callee.clone(), provider.clone());
    acceptor.add(&ticket);
    let binding = Binding::Quic([7; 32]);
    let (mut dial, hello) = Dial::new(&caller, &ticket, binding, now, &provider).unwrap();
    let mut accept = Accept::new(binding);
    let Ok(Progress::Reply(reply)) = accept.handle(&hello, &mut acceptor, now) else { panic!("no reply") };
    let (session, confirm) = dial.handle(&reply, &offer().encode(), now).unwrap().unwrap();
    let Ok(Progress::Done(answered)) = accept.handle(&confirm, &mut acceptor, now) else {
        panic!("no proof")
    };
    let times = Timeouts::default();
    let mut calls = [
        Call::new(*answered, &callee, &Offer::default(), times, Time::ZERO).unwrap(),
        Call::new(session, &caller, &offer(), times, Time::ZERO).unwrap(),
    ];
    calls[0].answer(Time::ZERO, &offer());
    for _ in 0..3 {
        for from in [0, 1] {
            let bytes = calls[from].poll_stream().unwrap_or_default();
            calls[1 - from].handle_stream(Time::ZERO, &bytes);
        }
    }
    assert!(calls.iter().all(Call::is_talking));
    calls
}

/// The caller says `sound` to the callee; all datagrams as somebody sees them who is between the two.
fn overheard(sound: &[f32], link: &str) -> (Vec<Seen>, [u64; 2]) {
    let spec: Spec = link.parse().expect("a network");
    let mut links = [(); 2].map(|()| Link::<Vec<u8>>::new(&spec, Rng::new(7, "link")));
    let mut calls = connected();
    let settings = AudioSettings { duration: FrameDuration::Ms10, bits_per_second: 48_000 };
    let (mut encoder, mut planner) = (Opus.encoder(&settings).unwrap(), AudioPlanner::default());
    let mut ear = voice::Voice::new(Opus.decoder().unwrap());
    let (mut seen, mut plan, mut due, mut at) = (Vec::new(), None, Time::ZERO, 0);
    let (mut played, mut concealed, mut wake) = (0, 0, Time::ZERO);
    let mut now = Time::ZERO;
    while now < Time::ZERO + TALK {
        now += Duration::from_micros(500);
        if due <= now {
            if let Some(plan) = plan {
                speak(&mut calls[1], &mut *encoder, &plan, sound, &mut at, due);
            }
            let network = calls[1].network();
            let state = VoiceNetwork {
                audio_rate: calls[1].shares().audio,
                loss: calls[1].stats().peer.is_some().then_some(network.loss as f32),
                burst: network.burst as f32,
            };
            let next = planner.update(now, &state);
            let duration = FrameDuration::ALL.into_iter().find(|d| d.as_duration() == next.duration);
            encoder.set_duration(duration.unwrap());
            encoder.set_bitrate(next.bit_rate);
            encoder.set_expected_loss(next.fec_percent);
            encoder.set_deep_redundancy(next.deep_redundancy);
            due += next.duration;
            plan = Some(next);
        }
        while wake <= now {
            let mut block = [0.0; BLOCK];
            match ear.play(now, &mut block) {
                Played::Decoded => played += BLOCK as u64,
                Played::Concealed => (played, concealed) = (played + BLOCK as u64, concealed + BLOCK as u64),
                _ => {}
            }
            wake += Duration::from_millis(5);
        }
        for (me, role) in [Role::Callee, Role::Caller].into_iter().enumerate() {
            while let Some(parcel) = links[1 - me].receive(now) {
                calls[me].handle_datagram(now, &parcel.item);
            }
            if calls[me].poll_timeout().is_some_and(|at| at <= now) {
                let mut playout = Playout::default();
                if me == 0 {
                    (playout.audio_played_ms, playout.audio_concealed_ms) = (played / 48, concealed / 48);
                    playout.audio_delay_us = ear.stats().delay.as_micros() as u64;
                }
                calls[me].set_playout(playout);
                calls[me].handle_timeout(now);
            }
            while let Some(datagram) = calls[me].poll_datagram(now) {
                seen.push((role, now.as_micros(), datagram.len()));
                links[me].send(now, datagram.len() + 58, datagram);
            }
            while calls[me].poll_event().is_some() {}
        }
        while let Some(frame) = calls[0].poll_frame() {
            let FrameInfo::Audio { capture, duration, level } = frame.info else { continue };
            let (frame_id, payload) = (frame.header.frame_id, frame.payload);
            ear.push(frame.arrived, AudioPacket { frame_id, capture, duration, payload, level });
        }
    }
    assert!(played > 48_000, "{played} samples were heard");
    (seen, [ear.stretched.0, ear.stretched.1])
}

fn speak(
    call: &mut Call,
    encoder: &mut dyn kring_codec::AudioEncoder,
    plan: &kring_core::media::audio::AudioPlan,
    sound: &[f32],
    at: &mut usize,
    due: Time,
) {
    let block: Vec<f32> = (0..encoder.duration().samples()).map(|n| sound[(*at + n) % sound.len()]).collect();
    *at += block.len();
    let mut packet = Vec::new();
    encoder.encode(&block, &mut packet).unwrap();
    let power = block.iter().map(|x| x * x).sum::<f32>() / block.len() as f32;
    let level = if power > 0.0 { (-10.0 * power.log10()).clamp(0.0, 127.0) as u8 } else { 127 };
    call.send_audio(0, due - plan.duration, plan.duration, level, &packet, &plan.copies).unwrap();
}

/// The demo's speech, 48 kHz.
fn speech() -> Vec<f32> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../media/speech-a.wav");
    let mut reader = hound::WavReader::open(path).unwrap();
    assert_eq!(reader.spec().sample_rate, 48_000);
    reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32_768.0).collect()
}

/// Chords of three voices with overtones, a new one twice a second, struck and dying away.
fn music() -> Vec<f32> {
    let chords = [[220.0, 277.2, 329.6], [246.9, 293.7, 370.0], [196.0, 246.9, 293.7], [164.8, 220.0, 261.6]];
    (0..48_000 * 4)
        .map(|n| {
            let (chord, time) = (chords[n / 24_000 % 4], (n % 24_000) as f32 / 48_000.0);
            let tone = |f: f32| {
                (1..6).map(|k| (time * f * k as f32 * std::f32::consts::TAU).sin() / k as f32).sum::<f32>()
            };
            chord.into_iter().map(tone).sum::<f32>() * 0.15 * (-3.0 * time).exp()
        })
        .collect()
}

const NETWORKS: [&str; 5] = [
    "delay=20",
    "delay=25,jitter=15,reorder=2,loss=6",
    "delay=30,ge=8:9",
    "delay=40,rate=60,queue=200",
    "delay=20,at=6:loss=12,at=12:loss=0,at=15:delay=200",
];

#[test]
fn speech_silence_and_music_look_the_same_from_outside() {
    let (speech, music, silence) = (speech(), music(), vec![0.0; 48_000]);
    for link in NETWORKS {
        let (said, stretched) = overheard(&speech, link);
        let (sizes, count) = (said.iter().map(|seen| seen.2), said.len());
        println!(
            "{link}: {count} datagrams of {:?} to {:?} bytes, {stretched:?}",
            sizes.clone().min(),
            sizes.max()
        );
        assert!(count > 500, "{link}: {count}");
        for (name, sound) in [("silence", &silence), ("music", &music)] {
            let (other, _) = overheard(sound, link);
            let differs = said.iter().zip(&other).find(|(a, b)| a != b);
            assert_eq!(differs, None, "{link}: speech and {name}");
            assert_eq!(said.len(), other.len(), "{link}: {name}");
        }
    }
}
