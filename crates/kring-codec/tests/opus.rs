//! Opus as a call uses it: how it sounds, how long its packets are, what it does with loss and garbage.
#![cfg(feature = "opus")]

use kring_codec::opus::{MAX_PACKET, MAX_SAMPLES};
use kring_codec::{AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, DecodeError, EncodeError};
use kring_codec::{FrameDuration, Opus};

/// A small generator, so that a failing run can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn sample(&mut self) -> f32 {
        self.next() as f32 / (1u64 << 30) as f32 - 1.0
    }
}

/// A voice-like sound: harmonics of 300 Hz that swell and fade, with a little noise.
fn voice(samples: usize) -> Vec<f32> {
    let mut random = Random(1);
    let harmonic = |t: f32, n: f32| (t * 300.0 * n * std::f32::consts::TAU).sin() / n;
    (0..samples)
        .map(|i| {
            let t = i as f32 / 48_000.0;
            let swell = 0.6 + 0.4 * (t * 3.0 * std::f32::consts::TAU).sin();
            let sum: f32 = (1..12u8).map(|n| harmonic(t, f32::from(n))).sum();
            0.15 * swell * sum + 0.003 * random.sample()
        })
        .collect()
}

fn encoder(duration: FrameDuration, bits_per_second: u32) -> Box<dyn AudioEncoder> {
    Opus.encoder(&AudioSettings { duration, bits_per_second }).unwrap()
}

fn decoder() -> Box<dyn AudioDecoder> {
    Opus.decoder().unwrap()
}

fn packets(encoder: &mut dyn AudioEncoder, pcm: &[f32]) -> Vec<Vec<u8>> {
    let samples = encoder.duration().samples();
    let encode = |frame: &[f32]| {
        let mut packet = Vec::new();
        encoder.encode(frame, &mut packet).unwrap();
        packet
    };
    pcm.chunks_exact(samples).map(encode).collect()
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// How much `heard` is like `said`, once its lag is taken off. The encoder's high-pass filter shifts low
/// tones by a few samples, hence the search around `lag`.
fn likeness(said: &[f32], heard: &[f32], lag: usize) -> f32 {
    let length = said.len().min(heard.len()) - lag - 8 - 4_800;
    let at = |lag: usize| correlation(&said[4_800..][..length], &heard[4_800 + lag..][..length]);
    (lag - 8..=lag + 8).map(at).fold(-1.0, f32::max)
}

#[test]
fn sound_survives_every_duration_and_lags_by_the_lookahead() {
    let pcm = voice(48_000);
    for duration in FrameDuration::ALL {
        let mut encoder = encoder(duration, 48_000);
        let mut decoder = decoder();
        let mut heard = Vec::new();
        for packet in packets(&mut *encoder, &pcm) {
            decoder.decode(&packet, &mut heard).unwrap();
        }
        let likeness = likeness(&pcm, &heard, encoder.lookahead());
        assert!(likeness > 0.95, "{duration:?}: {likeness}");
    }
}

#[test]
fn packets_are_equally_long_whatever_is_said() {
    let mut random = Random(2);
    let noise: Vec<f32> = (0..48_000).map(|_| random.sample() * 0.5).collect();
    for duration in FrameDuration::ALL {
        for rate in [16_000, 48_000, 96_000] {
            let mut encoder = encoder(duration, rate);
            let sounds = [vec![0.0; 48_000], voice(48_000), noise.clone()];
            encoder.set_expected_loss((rate / 4_000) as u8 % 16);
            let lengths: Vec<usize> =
                sounds.iter().flat_map(|pcm| packets(&mut *encoder, pcm)).map(|p| p.len()).collect();
            let expected = rate as usize * duration.samples() / 48_000 / 8;
            assert!(lengths.iter().all(|&length| length == expected), "{duration:?} at {rate}: {lengths:?}");
        }
    }
}

#[test]
fn a_new_bitrate_takes_effect_with_the_next_frame() {
    let pcm = voice(960);
    let mut encoder = encoder(FrameDuration::Ms20, 48_000);
    for (rate, expected) in [(48_000, 120), (24_000, 60), (96_000, 240), (1, 15), (u32::MAX, 640)] {
        encoder.set_bitrate(rate);
        assert_eq!(packets(&mut *encoder, &pcm)[0].len(), expected);
    }
}

#[test]
fn a_new_duration_takes_effect_with_the_next_frame() {
    let mut encoder = encoder(FrameDuration::Ms20, 48_000);
    let mut decoder = decoder();
    for duration in FrameDuration::ALL {
        encoder.set_duration(duration);
        let mut heard = Vec::new();
        decoder.decode(&packets(&mut *encoder, &voice(5_760))[0], &mut heard).unwrap();
        assert_eq!(heard.len(), duration.samples());
    }
}

#[test]
fn a_packet_never_exceeds_what_the_decoder_takes() {
    let mut encoder = encoder(FrameDuration::Ms120, u32::MAX);
    assert!(packets(&mut *encoder, &voice(5_760))[0].len() <= MAX_PACKET);
}

#[test]
fn a_frame_of_another_length_is_refused() {
    let mut packet = vec![1];
    let error = encoder(FrameDuration::Ms20, 48_000).encode(&[0.0; 959], &mut packet).unwrap_err();
    assert_eq!(error, EncodeError::FrameLength { expected: 960, got: 959 });
    assert!(packet.is_empty());
}

#[test]
fn a_broken_sample_does_not_spoil_what_follows() {
    let mut encoder = encoder(FrameDuration::Ms20, 48_000);
    let mut decoder = decoder();
    let mut broken = voice(960);
    broken[500] = f32::NAN;
    broken[501] = f32::INFINITY;
    packets(&mut *encoder, &broken);
    let pcm = voice(19_200);
    let mut heard = Vec::new();
    for packet in packets(&mut *encoder, &pcm) {
        decoder.decode(&packet, &mut heard).unwrap();
    }
    let likeness = likeness(&pcm, &heard, encoder.lookahead());
    assert!(likeness > 0.9, "{likeness}");
}

#[test]
fn concealment_fades_without_a_click() {
    let mut encoder = encoder(FrameDuration::Ms20, 48_000);
    let mut decoder = decoder();
    let mut heard = Vec::new();
    for packet in packets(&mut *encoder, &voice(48_000)) {
        decoder.decode(&packet, &mut heard).unwrap();
    }
    let steepest = |pcm: &[f32]| pcm.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    let loudness = |pcm: &[f32]| (pcm.iter().map(|s| s * s).sum::<f32>() / pcm.len() as f32).sqrt();
    let (usual, loud) = (steepest(&heard), loudness(&heard));
    let seam = heard.len();
    for _ in 0..50 {
        decoder.conceal(960, &mut heard).unwrap();
    }
    assert!(steepest(&heard[seam - 1..]) <= 1.5 * usual);
    let left = loudness(&heard[heard.len() - 9_600..]);
    assert!(left < loud / 4.0, "{left} of {loud}");
}

#[test]
fn a_lost_frame_comes_back_from_the_next_packet() {
    let pcm = voice(96_000);
    let mut encoder = encoder(FrameDuration::Ms20, 48_000);
    encoder.set_expected_loss(20);
    let all = packets(&mut *encoder, &pcm);
    let mut heard = [Vec::new(), Vec::new()];
    for (recovering, heard) in [true, false].into_iter().zip(&mut heard) {
        let mut decoder = decoder();
        for (index, packet) in all.iter().enumerate() {
            match (index % 5 == 4 && index + 1 < all.len(), recovering) {
                (false, _) => decoder.decode(packet, heard).unwrap(),
                (true, true) => decoder.recover(&all[index + 1], 960, 960, heard).unwrap(),
                (true, false) => decoder.conceal(960, heard).unwrap(),
            }
        }
        assert_eq!(heard.len(), pcm.len());
    }
    let [recovered, concealed] = heard.map(|heard| likeness(&pcm, &heard, encoder.lookahead()));
    assert!(recovered > 0.9 && recovered > concealed, "{recovered} against {concealed}");
}

#[test]
fn lengths_that_cannot_be_concealed_are_refused() {
    for got in [0, 1, 121, MAX_SAMPLES + 120, usize::MAX] {
        let error = decoder().conceal(got, &mut Vec::new()).unwrap_err();
        assert_eq!(error, DecodeError::Gap { most: MAX_SAMPLES, step: 120, got });
    }
    decoder().conceal(120, &mut Vec::new()).unwrap();
}

#[test]
fn empty_and_overlong_packets_are_refused() {
    for got in [0, MAX_PACKET + 1] {
        let error = decoder().decode(&vec![0; got], &mut Vec::new()).unwrap_err();
        assert_eq!(error, DecodeError::PacketLength { most: MAX_PACKET, got });
    }
}

#[test]
fn a_packet_that_claims_too_much_sound_is_refused() {
    // Configuration 3 is 60 ms, code 3 with 48 frames: 2.88 s.
    let error = decoder().decode(&[3 << 3 | 3, 48, 0, 0], &mut Vec::new()).unwrap_err();
    assert_eq!(error, DecodeError::TooLong { most: MAX_SAMPLES, got: 48 * 2_880 });
}

#[test]
fn garbage_gives_errors_or_bounded_sound() {
    let mut random = Random(3);
    let mut decoder = decoder();
    let mut encoder = encoder(FrameDuration::Ms20, 48_000);
    let honest = packets(&mut *encoder, &voice(48_000));
    for round in 0..4_000 {
        let packet: Vec<u8> = if round % 2 == 0 {
            (0..random.next() % 300).map(|_| random.next() as u8).collect()
        } else {
            let mut packet = honest[random.next() as usize % honest.len()].clone();
            for _ in 0..1 + random.next() % 8 {
                let at = random.next() as usize % packet.len();
                packet[at] = random.next() as u8;
            }
            packet.truncate(1 + random.next() as usize % packet.len());
            packet
        };
        let mut pcm = Vec::new();
        match round % 3 {
            0 => drop(decoder.recover(&packet, 960 * (1 + round % 5), 960, &mut pcm)),
            _ => drop(decoder.decode(&packet, &mut pcm)),
        }
        assert!(pcm.len() <= MAX_SAMPLES);
        assert!(pcm.iter().all(|sample| sample.is_finite() && sample.abs() <= 1.0));
    }
}

#[cfg(feature = "opus-deep")]
#[test]
fn a_burst_comes_back_from_deep_redundancy_and_packets_keep_their_length() {
    let pcm = voice(144_000);
    let mut encoder = encoder(FrameDuration::Ms20, 64_000);
    encoder.set_expected_loss(20);
    encoder.set_deep_redundancy(std::time::Duration::from_millis(200));
    let all = packets(&mut *encoder, &pcm);
    // How far it reaches depends a little on the CPU that the model runs on; at this rate it has some to spare.
    assert!(all.iter().all(|packet| packet.len() == 160));
    let mut decoder = decoder();
    let next = &all[100];
    assert!(decoder.reach(next) >= 5 * 960, "{}", decoder.reach(next));
    let mut heard = Vec::new();
    all[..95].iter().for_each(|packet| decoder.decode(packet, &mut heard).unwrap());
    let mut concealed = heard.clone();
    for lost in 0..5 {
        decoder.recover(next, (5 - lost) * 960, 960, &mut heard).unwrap();
    }
    assert_eq!(heard.len(), 100 * 960);
    let loudness = |pcm: &[f32]| (pcm.iter().map(|s| s * s).sum::<f32>() / pcm.len() as f32).sqrt();
    let mut other = Opus.decoder().unwrap();
    all[..95].iter().for_each(|packet| other.decode(packet, &mut Vec::new()).unwrap());
    (0..5).for_each(|_| other.conceal(960, &mut concealed).unwrap());
    // Concealment fades out; what is told goes on.
    let (told, faded) = (loudness(&heard[99 * 960..]), loudness(&concealed[99 * 960..]));
    assert!(told > 1.5 * faded, "{told} against {faded}");
    assert_eq!(decoder.reach(&packets(&mut *self::encoder(FrameDuration::Ms20, 48_000), &pcm)[50]), 0);
}
