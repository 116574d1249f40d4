//! H.264 as a call uses it: quality, rates that change, keyframes, loss and garbage.
#![cfg(feature = "h264")]
#![allow(clippy::print_stdout)] // what padding costs

use std::time::Duration;

use kring_codec::h264::{MAX_ACCESS_UNIT, access_units};
use kring_codec::{ContentHint, DecodeError, Decoded, EncodeError, EncodedVideo, H264, Picture, Recovery};
use kring_codec::{Layer, PaddedH264, VideoCodec, VideoDecoder, VideoEncoder, VideoSettings};

const SETTINGS: VideoSettings = VideoSettings {
    width: 640,
    height: 360,
    frames_per_second: 30.0,
    bits_per_second: 1_000_000,
    content: ContentHint::Camera,
    temporal_layers: 1,
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
fn a_keyframe_takes_a_third_of_a_second_at_most() {
    // Noise, of which nothing can be foretold, is the hardest.
    for (rate, noise) in [(100_000, 12), (200_000, 60), (1_000_000, 200)] {
        let mut encoder = encoder(&VideoSettings { bits_per_second: rate, ..SETTINGS });
        let mut decoder = H264.decoder().unwrap();
        for index in 0..60 {
            let encoded = encoder.encode(&scene(640, 360, index, noise), at(index), index % 20 == 0).unwrap();
            let Some(encoded) = encoded else { continue };
            assert!(!encoded.keyframe || encoded.data.len() * 8 < rate as usize / 3, "{encoded:?} at {rate}");
            assert_eq!(decode(&mut *decoder, &encoded.data).unwrap().0, Decoded::Picture);
        }
    }
}

#[test]
fn the_rate_holds_over_half_a_second_while_it_changes_ten_times_a_second() {
    for layers in [1, 3] {
        let mut encoder = encoder(&VideoSettings { temporal_layers: layers, ..SETTINGS });
        let (mut random, mut rate) = (Random(3), 800_000);
        let (mut came, mut wanted) = (Vec::new(), Vec::new());
        for index in 0..180 {
            if index % 3 == 0 {
                let change = 0.7 + 0.6 * (random.next() % 1000) as f64 / 1000.0;
                rate = (f64::from(rate) * change).clamp(200_000.0, 1_200_000.0) as u32;
                encoder.set_rate(rate, 30.0).unwrap();
            }
            let encoded = encoder.encode(&scene(640, 360, index, 12), at(index), false).unwrap();
            came.push(encoded.map_or(0, |encoded| encoded.data.len() * 8));
            wanted.push(rate as usize / 30);
        }
        for (came, wanted) in came.windows(15).zip(wanted.windows(15)).skip(30) {
            let ratio = came.iter().sum::<usize>() as f64 / wanted.iter().sum::<usize>() as f64;
            assert!(ratio < 1.5, "{ratio} of what was asked, {layers} layers");
        }
    }
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
fn top_layers_can_be_dropped_without_a_trace() {
    for (layers, kept) in [(1, 1), (2, 2), (3, 2)] {
        let mut encoder = encoder(&VideoSettings { temporal_layers: layers, ..SETTINGS });
        let mut decoder = H264.decoder().unwrap();
        for index in 0..40 {
            let picture = scene(640, 360, index, 4);
            let encoded = encoder.encode(&picture, at(index), false).unwrap().unwrap();
            let expected = [[0, 0, 0, 0], [0, 1, 0, 1], [0, 2, 1, 2]][usize::from(layers) - 1];
            assert_eq!(encoded.temporal_layer, expected[index as usize % 4]);
            assert_eq!(encoded.discardable, layers > 1 && encoded.temporal_layer == layers - 1);
            if index % kept == 0 {
                assert!(psnr(&picture, &decode(&mut *decoder, &encoded.data).unwrap().1) > 28.0);
            }
        }
    }
}

#[test]
fn what_a_picture_refers_to_is_told() {
    let mut encoder = encoder(&VideoSettings { temporal_layers: 3, ..SETTINGS });
    let mut told = (0..9).map(|index| {
        let picture = scene(640, 360, index, 4);
        let encoded = encoder.encode(&picture, at(index), index == 8).unwrap().unwrap();
        assert_eq!(encoded.number, index);
        encoded.refers_to
    });
    let expected = [None, Some(0), Some(0), Some(2), Some(0), Some(4), Some(4), Some(6), None];
    assert!(expected.iter().all(|&refers_to| told.next() == Some(refers_to)));
}

/// A link over which each picture is lost with that chance in a hundred, and news of it takes `delay` pictures. Gives the
/// pictures shown, and the keyframes after the first.
fn with_loss(layers: u8, chance: u64, delay: u32, seed: u64) -> (u32, u32) {
    let mut encoder = encoder(&VideoSettings { temporal_layers: layers, ..SETTINGS });
    let (mut decoder, mut random) = (H264.decoder().unwrap(), Random(seed));
    // What the other side tells: for each picture whether it was decoded, when that is known here.
    let mut news: Vec<(u32, u32, bool)> = Vec::new();
    let (mut good, mut keyframe, mut waiting) = (None, false, None);
    let (mut shown, mut keyframes) = (0, 0);
    for index in 0..150 {
        for (_, number, decoded) in news.extract_if(.., |(when, ..)| *when <= index) {
            match decoded {
                true => {
                    encoder.acknowledged(number);
                    good = Some(number);
                }
                // Pictures on their way when the last loss was told of are lost by the same.
                false if waiting.is_none_or(|from| number >= from) => {
                    keyframe |= encoder.lost(good) == Recovery::Keyframe;
                    waiting = None;
                }
                false => {}
            }
        }
        let picture = scene(640, 360, index, 4);
        let Some(encoded) = encoder.encode(&picture, at(index), keyframe).unwrap() else { continue };
        keyframe &= !encoded.keyframe;
        keyframes += u32::from(encoded.keyframe && index > 0);
        let lost = index > 0 && random.next() % 100 < chance;
        let result = if lost { None } else { decode(&mut *decoder, &encoded.data).ok() };
        if let Some((decoded, picture_shown)) = &result {
            assert_eq!(*decoded, Decoded::Picture);
            let quality = psnr(&picture, picture_shown);
            assert!(quality > 25.0, "picture {index} at {quality} dB, {layers} layers, seed {seed}");
            shown += 1;
        }
        if result.is_some() || !encoded.discardable {
            news.push((index + delay, encoded.number, result.is_some()));
            if result.is_none() && waiting.is_none() {
                waiting = Some(encoded.number);
            }
        }
    }
    (shown, keyframes)
}

#[test]
fn losses_are_repaired_by_reference_to_what_the_peer_has() {
    for layers in 1..=3 {
        for seed in 0..4 {
            let (shown, keyframes) = with_loss(layers, 5, 3, seed);
            assert!(shown >= 75, "{shown} of 150 shown, {layers} layers, seed {seed}");
            assert!(keyframes <= 1, "{keyframes} keyframes, {layers} layers, seed {seed}");
        }
    }
}

#[test]
fn nothing_lost_means_every_picture_is_shown() {
    for layers in 1..=3 {
        assert_eq!(with_loss(layers, 0, 6, 1), (150, 0));
    }
}

#[test]
fn before_anything_is_acknowledged_only_a_keyframe_helps() {
    let mut encoder = encoder(&SETTINGS);
    encoder.encode(&scene(640, 360, 0, 4), at(0), false).unwrap().unwrap();
    assert_eq!(encoder.lost(None), Recovery::Keyframe);
    let encoded = encoder.encode(&scene(640, 360, 1, 4), at(1), true).unwrap().unwrap();
    assert!(encoded.keyframe);
    assert_eq!(encoder.lost(Some(encoded.number)), Recovery::Reference);
}

const LAYERS: [Layer; 3] = [
    Layer { width: 160, height: 90, bits_per_second: 80_000 },
    Layer { width: 320, height: 180, bits_per_second: 250_000 },
    Layer { width: 640, height: 360, bits_per_second: 900_000 },
];

#[test]
fn three_sizes_from_one_encoder_decode_each_by_itself() {
    for layers in 1..=3 {
        let settings = VideoSettings { temporal_layers: layers, ..SETTINGS };
        let mut encoder = H264.simulcast(&settings, &LAYERS).unwrap();
        let mut decoders = LAYERS.map(|_| H264.decoder().unwrap());
        let mut bytes = [0; 3];
        for index in 0..90 {
            let picture = scene(640, 360, index, 4);
            if index == 45 {
                encoder.set_rate(1, 100_000).unwrap();
            }
            if index % 30 == 0 && index > 0 {
                encoder.request_keyframe(index as usize / 30);
            }
            for encoded in encoder.encode(&picture, at(index)).unwrap() {
                let size = usize::from(encoded.spatial_layer);
                let (_, shown) = decode(&mut *decoders[size], &encoded.data).unwrap();
                assert_eq!((shown.width(), shown.height()), (LAYERS[size].width, LAYERS[size].height));
                let asked = index == 0 || size > 0 && index == size as u32 * 30;
                assert!(encoded.keyframe || !asked, "picture {index}, size {size}");
                assert!(!encoded.keyframe || size > 0 || index == 0, "picture {index}, size {size}");
                let mut small = Picture::new(shown.width(), shown.height()).unwrap();
                picture.scale_into(&mut small);
                assert!(
                    psnr(&small, &shown) > 22.0,
                    "picture {index}, size {size}: {}",
                    psnr(&small, &shown)
                );
                bytes[size] += encoded.data.len();
                encoder.acknowledged(size, encoded.number);
            }
        }
        for (size, wanted) in [80_000, 175_000, 900_000].into_iter().enumerate() {
            let ratio = bytes[size] as f64 * 8.0 / 3.0 / f64::from(wanted);
            assert!((0.3..1.4).contains(&ratio), "size {size} took {ratio} of its rate, {layers} layers");
        }
    }
}

#[test]
fn a_loss_in_one_size_is_repaired_in_that_size() {
    let mut encoder = H264.simulcast(&SETTINGS, &LAYERS).unwrap();
    let mut decoder = H264.decoder().unwrap();
    for index in 0..60 {
        let picture = scene(640, 360, index, 4);
        for encoded in encoder.encode(&picture, at(index)).unwrap() {
            assert_eq!(encoded.keyframe, index == 0);
            if encoded.spatial_layer != 1 {
                assert_eq!(encoded.refers_to, encoded.number.checked_sub(1));
            } else if index == 40 {
                assert_eq!(encoder.lost(1, encoded.number.checked_sub(1)), Recovery::Reference);
            } else {
                decode(&mut *decoder, &encoded.data).unwrap();
                encoder.acknowledged(1, encoded.number);
            }
        }
    }
}

#[test]
fn layers_that_do_not_rise_to_the_size_of_the_pictures_are_refused() {
    let [small, middle, large] = LAYERS;
    for layers in
        [&[][..], &[middle], &[middle, small], &[small, large, large], &[small, small, middle, large]]
    {
        let refused = H264.simulcast(&SETTINGS, layers).err();
        assert!(matches!(refused, Some(EncodeError::Setting { setting: "layers", .. })), "{layers:?}");
    }
    assert!(H264.simulcast(&SETTINGS, &[large]).is_ok());
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

/// Exp-Golomb, H.264 section 9.1.
fn golomb(value: u32) -> String {
    let code = format!("{:b}", value + 1);
    format!("{code:0>width$}", width = 2 * code.len() - 1)
}

/// A keyframe behind sequence parameters for another size.
fn claiming(width: u32, height: u32, references: u32) -> Vec<u8> {
    let start = format!("{:08b}{:08b}{:08b}", 66, 0xc0, 52);
    let numbers = [0, 0, 2, references].map(golomb).concat();
    let size = [width / 16 - 1, height / 16 - 1].map(golomb).concat();
    let bits = [start, numbers, "0".into(), size, "11001".into()].concat();
    let byte = |bits: &[u8]| (0..8).fold(0, |byte, n| byte << 1 | u8::from(bits.get(n) == Some(&b'1')));
    let parameters: Vec<u8> = bits.as_bytes().chunks(8).map(byte).collect();
    [vec![0, 0, 0, 1, 0x67], parameters, stream(1)[0].data.clone()].concat()
}

#[test]
fn pictures_too_large_to_keep_are_refused_before_memory_is_taken_for_them() {
    for (width, height, references) in
        [(4096, 2304, 16), (8192, 8192, 1), (65_536, 65_536, 1), (640, 368, 17)]
    {
        let mut decoder = H264.decoder().unwrap();
        let result = decode(&mut *decoder, &claiming(width, height, references));
        assert!(matches!(result, Err(DecodeError::Refused { .. })), "{width}x{height}: {:?}", result.err());
        assert_eq!(decode(&mut *decoder, &stream(1)[0].data).unwrap().0, Decoded::Picture);
    }
    // Parameters that nothing refers to do no harm.
    let mut decoder = H264.decoder().unwrap();
    assert!(decode(&mut *decoder, &claiming(1920, 1088, 4)).is_ok());
}

#[test]
fn extensions_and_data_partitions_are_refused() {
    for kind in [2, 3, 4, 14, 15, 19, 20, 21] {
        let mut decoder = H264.decoder().unwrap();
        let data = [vec![0, 0, 1, 0x60 | kind, 0x88, 0x84, 0x21], stream(1)[0].data.clone()].concat();
        let result = decode(&mut *decoder, &data);
        assert!(matches!(result, Err(DecodeError::Refused { .. })), "{kind}: {:?}", result.err());
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
    for temporal_layers in [0, 4] {
        assert_eq!(refused(VideoSettings { temporal_layers, ..SETTINGS }), "temporal layers");
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
