//! H.264 as a call uses it: quality, rates that change, keyframes, loss and garbage.
#![cfg(feature = "h264")]

use std::time::Duration;

use kring_codec::h264::{MAX_ACCESS_UNIT, access_units};
use kring_codec::{ContentHint, DecodeError, Decoded, EncodeError, EncodedVideo, H264, Picture};
use kring_codec::{PaddedH264, VideoCodec, VideoDecoder, VideoEncoder, VideoSettings};

const SETTINGS: VideoSettings = VideoSettings {
    width: 640,
    height: 360,
    frames_per_second: 30.0,
    bits_per_second: 1_000_000,
    content: ContentHint::Camera,
};

/// A small generator, so that a failing run can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// A textured picture that drifts, a square that runs over it, and noise of `noise` levels.
fn scene(width: u32, height: u32, index: u32, noise: u64) -> Picture {
    let mut random = Random(u64::from(index) + 1);
    let mut picture = Picture::new(width, height).unwrap();
    let wave = |at: u32, length: f32| (at as f32 * std::f32::consts::TAU / length).sin();
    let across: Vec<f32> = (0..width).map(|column| 30.0 * wave(column + index, 37.0)).collect();
    let square = (index * 5 % width) as usize;
    for (row, line) in (0u32..).zip(picture.y_mut().chunks_exact_mut(width as usize)) {
        let down = 120.0 + 25.0 * wave(row + index / 2, 23.0);
        for (pixel, across) in line.iter_mut().zip(&across) {
            *pixel = (down + across + (random.next() % (noise + 1)) as f32) as u8;
        }
        if (100..160).contains(&row) {
            line.iter_mut().skip(square).take(60).for_each(|pixel| *pixel = 200);
        }
    }
    for (pixel, across) in picture.u_mut().iter_mut().zip(across.iter().cycle()) {
        *pixel = (128.0 + across) as u8;
    }
    picture
}

fn at(index: u32) -> Duration {
    Duration::from_secs_f64(f64::from(index) / 30.0)
}

fn encoder(settings: &VideoSettings) -> Box<dyn VideoEncoder> {
    H264.encoder(settings).unwrap()
}

/// `count` encoded pictures of the scene.
fn stream(count: u32) -> Vec<EncodedVideo> {
    let mut encoder = encoder(&SETTINGS);
    let mut encode = |index| encoder.encode(&scene(640, 360, index, 4), at(index), false).unwrap();
    (0..count).filter_map(&mut encode).collect()
}

fn psnr(a: &Picture, b: &Picture) -> f64 {
    let squares: u64 = a.y().iter().zip(b.y()).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    10.0 * (255.0f64.powi(2) * a.y().len() as f64 / squares.max(1) as f64).log10()
}

fn decode(decoder: &mut dyn VideoDecoder, data: &[u8]) -> Result<(Decoded, Picture), DecodeError> {
    let mut picture = Picture::new(2, 2).unwrap();
    decoder.decode(data, &mut picture).map(|decoded| (decoded, picture))
}

#[test]
fn a_moving_picture_comes_back_well() {
    let mut encoder = encoder(&SETTINGS);
    let mut decoder = H264.decoder().unwrap();
    let mut quality = Vec::new();
    for index in 0..60 {
        let picture = scene(640, 360, index, 4);
        let encoded = encoder.encode(&picture, at(index), false).unwrap().unwrap();
        assert_eq!((encoded.keyframe, encoded.discardable), (index == 0, false));
        let (decoded, shown) = decode(&mut *decoder, &encoded.data).unwrap();
        assert_eq!(decoded, Decoded::Picture);
        quality.push(psnr(&picture, &shown));
    }
    let mean = quality.iter().sum::<f64>() / quality.len() as f64;
    assert!(mean >= 33.0, "{mean}");
}

#[test]
fn the_rate_follows_changes_without_a_keyframe() {
    for content in [ContentHint::Camera, ContentHint::Sign] {
        let mut encoder = encoder(&VideoSettings { content, ..SETTINGS });
        let mut index = 0;
        for rate in [1_000_000, 300_000, 1_500_000] {
            encoder.set_rate(rate, 30.0).unwrap();
            assert_eq!(encoder.settings().bits_per_second, rate);
            let mut bytes = 0;
            for step in 0..120 {
                let encoded = encoder.encode(&scene(640, 360, index, 12), at(index), false).unwrap();
                index += 1;
                let Some(encoded) = encoded else { continue };
                assert_eq!(encoded.keyframe, index == 1);
                if step >= 30 {
                    bytes += encoded.data.len();
                }
            }
            let ratio = bytes as f64 * 8.0 / 3.0 / f64::from(rate);
            assert!((0.75..=1.25).contains(&ratio), "{ratio} of {rate} for {content:?}");
        }
    }
}

#[test]
fn the_rate_holds_when_fewer_pictures_come_than_were_announced() {
    let mut encoder = encoder(&VideoSettings { bits_per_second: 500_000, ..SETTINGS });
    let mut encode = |index| encoder.encode(&scene(640, 360, index, 12), at(index * 2), false).unwrap();
    let bytes: usize = (0..90).filter_map(&mut encode).skip(1).map(|encoded| encoded.data.len()).sum();
    let rate = bytes as f64 * 8.0 / 6.0;
    assert!(rate < 600_000.0, "{rate}");
}

#[test]
fn the_first_keyframe_of_a_slow_link_is_bounded() {
    let mut encoder = encoder(&VideoSettings { bits_per_second: 200_000, ..SETTINGS });
    let encoded = encoder.encode(&scene(640, 360, 0, 12), at(0), false).unwrap().unwrap();
    assert!(encoded.keyframe && encoded.data.len() < 25_000, "{}", encoded.data.len());
}

#[test]
fn a_keyframe_comes_when_asked_for() {
    let mut encoder = encoder(&SETTINGS);
    for index in 0..20 {
        let asked = index == 13;
        let encoded = encoder.encode(&scene(640, 360, index, 4), at(index), asked).unwrap().unwrap();
        assert_eq!(encoded.keyframe, index == 0 || asked);
        if asked {
            let mut fresh = H264.decoder().unwrap();
            assert_eq!(decode(&mut *fresh, &encoded.data).unwrap().0, Decoded::Picture);
        }
    }
}

#[test]
fn a_keyframe_comes_even_while_pictures_are_skipped() {
    let mut encoder = encoder(&VideoSettings { bits_per_second: 10_000, ..SETTINGS });
    let mut encode = |index, key| encoder.encode(&scene(640, 360, index, 60), at(index), key).unwrap();
    let skipped = (0..60).find(|&index| encode(index, false).is_none()).expect("a picture is skipped");
    assert!(encode(skipped + 1, true).is_some_and(|encoded| encoded.keyframe));
}

#[test]
fn another_size_restarts_with_a_keyframe() {
    let mut encoder = encoder(&SETTINGS);
    let mut decoder = H264.decoder().unwrap();
    for (index, (width, height)) in (0..).zip([(640, 360), (640, 360), (320, 180), (426, 240), (640, 360)]) {
        let picture = scene(width, height, index, 4);
        let encoded = encoder.encode(&picture, at(index), false).unwrap().unwrap();
        assert_eq!(encoded.keyframe, index != 1);
        let (_, shown) = decode(&mut *decoder, &encoded.data).unwrap();
        assert_eq!((shown.width(), shown.height()), (width, height));
        assert!(psnr(&picture, &shown) > 28.0);
    }
}

#[test]
fn screen_content_can_be_encoded() {
    let mut encoder = encoder(&VideoSettings { content: ContentHint::Screen, ..SETTINGS });
    let mut decoder = H264.decoder().unwrap();
    for index in 0..10 {
        let picture = scene(640, 360, index, 0);
        let Some(encoded) = encoder.encode(&picture, at(index), false).unwrap() else { continue };
        let (decoded, shown) = decode(&mut *decoder, &encoded.data).unwrap();
        assert_eq!(decoded, Decoded::Picture);
        assert!(psnr(&picture, &shown) > 28.0);
    }
}

#[test]
fn after_a_loss_nothing_is_shown_until_a_keyframe() {
    let mut encoder = encoder(&SETTINGS);
    let mut decoder = H264.decoder().unwrap();
    for index in 0..20 {
        let picture = scene(640, 360, index, 4);
        let encoded = encoder.encode(&picture, at(index), index == 15).unwrap().unwrap();
        match (index, &encoded.data) {
            (5, _) => {} // lost
            (6..15, data) => assert_eq!(decode(&mut *decoder, data).err(), Some(DecodeError::NeedsKeyframe)),
            (_, data) => assert!(psnr(&picture, &decode(&mut *decoder, data).unwrap().1) > 28.0),
        }
    }
}

#[test]
fn a_refused_packet_leaves_the_picture_as_it_was() {
    let stream = stream(3);
    let mut decoder = H264.decoder().unwrap();
    let mut picture = Picture::new(640, 360).unwrap();
    decoder.decode(&stream[0].data, &mut picture).unwrap();
    let before = picture.clone();
    assert_eq!(decoder.decode(&stream[2].data, &mut picture), Err(DecodeError::NeedsKeyframe));
    assert!(picture == before);
}

#[test]
fn a_stream_that_starts_amid_pictures_needs_a_keyframe() {
    let stream = stream(2);
    let mut decoder = H264.decoder().unwrap();
    assert_eq!(decode(&mut *decoder, &stream[1].data).err(), Some(DecodeError::NeedsKeyframe));
    assert_eq!(decode(&mut *decoder, &stream[0].data).unwrap().0, Decoded::Picture);
}

#[test]
fn damaged_streams_give_errors_and_the_next_keyframe_recovers() {
    let mut random = Random(7);
    let stream = stream(8);
    let mut decoder = H264.decoder().unwrap();
    let mut picture = Picture::new(2, 2).unwrap();
    for round in 0..400 {
        let mut data = stream[random.next() as usize % stream.len()].data.clone();
        match round % 4 {
            0 => data.truncate(1 + random.next() as usize % data.len()),
            1 => data = (0..1 + random.next() % 2_000).map(|_| random.next() as u8).collect(),
            _ => {
                for _ in 0..1 + random.next() % 20 {
                    // Near the start lie the headers, which do the most harm.
                    let range = if round % 3 == 0 { 60 } else { data.len() };
                    let at = random.next() as usize % range.min(data.len());
                    data[at] = random.next() as u8;
                }
            }
        }
        let _ = decoder.decode(&data, &mut picture);
        if round % 10 == 9 {
            // The first clean keyframe may still meet what the damage left; the second may not.
            let tries = [(); 2].map(|()| decode(&mut *decoder, &stream[0].data).is_ok());
            assert!(tries[1], "round {round}");
        }
    }
}

#[test]
fn lengths_out_of_bounds_are_refused() {
    for got in [0, MAX_ACCESS_UNIT + 1] {
        let result = decode(&mut *H264.decoder().unwrap(), &vec![0; got]);
        assert_eq!(result.err(), Some(DecodeError::PacketLength { most: MAX_ACCESS_UNIT, got }));
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |settings: VideoSettings| match H264.encoder(&settings).err() {
        Some(EncodeError::Setting { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    for (width, height) in [(14, 360), (641, 360), (640, 4098), (4096, 4096), (0, 0)] {
        assert_eq!(refused(VideoSettings { width, height, ..SETTINGS }), "picture size");
    }
    for frames_per_second in [0.0, 0.5, 61.0, f32::NAN, f32::INFINITY] {
        assert_eq!(refused(VideoSettings { frames_per_second, ..SETTINGS }), "frames per second");
    }
    for bits_per_second in [0, 9_999, u32::MAX] {
        assert_eq!(refused(VideoSettings { bits_per_second, ..SETTINGS }), "bits per second");
    }
    assert!(encoder(&SETTINGS).set_rate(0, 30.0).is_err());
}

#[test]
fn a_written_stream_is_cut_into_its_pictures_again() {
    let stream = stream(10);
    let file = stream.iter().flat_map(|encoded| encoded.data.clone()).collect::<Vec<u8>>();
    let units: Vec<&[u8]> = access_units(&file).collect();
    assert_eq!(units, stream.iter().map(|encoded| &encoded.data[..]).collect::<Vec<_>>());
}

#[test]
fn padded_pictures_have_few_sizes_decode_and_keep_the_rate() {
    let mut encoder = PaddedH264.encoder(&SETTINGS).unwrap();
    let mut decoder = PaddedH264.decoder().unwrap();
    let (mut sizes, mut whole, mut own) = (std::collections::BTreeSet::new(), 0, 0);
    for index in 0..150 {
        let picture = scene(640, 360, index, 4 + u64::from(index / 30) * 3);
        let Some(encoded) = encoder.encode(&picture, at(index), false).unwrap() else { continue };
        let (decoded, shown) = decode(&mut *decoder, &encoded.data).unwrap();
        assert_eq!(decoded, Decoded::Picture);
        assert!(psnr(&picture, &shown) > 20.0);
        sizes.insert(encoded.data.len());
        whole += encoded.data.len();
        own += encoded.data.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    }
    assert!(sizes.len() <= 8, "{sizes:?}");
    let (cost, rate) = (whole as f64 / own as f64, whole as f64 * 8.0 / 5.0);
    println!("padding costs {:.1} %, {rate:.0} bit/s, {sizes:?}", 100.0 * cost - 100.0);
    assert!((1.05..1.35).contains(&cost), "{cost}");
    assert!(rate < 1_250_000.0, "{rate}");
}
