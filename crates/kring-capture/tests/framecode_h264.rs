//! The number strip after a codec at a low rate.

mod common;

use std::time::Duration;

use kring_capture::{Consent, TestCard, VideoSource, framecode};
use kring_codec::{ContentHint, H264, Picture, VideoCodec, VideoSettings};

#[test]
fn picture_numbers_survive_h264_at_300_kbit() {
    let settings = VideoSettings {
        width: 640,
        height: 360,
        frames_per_second: 30.0,
        bits_per_second: 300_000,
        content: ContentHint::Camera,
        ..VideoSettings::default()
    };
    let mut encoder = H264.encoder(&settings).unwrap();
    let mut decoder = H264.decoder().unwrap();
    let (mut picture, mut shown) = (Picture::new(640, 360).unwrap(), Picture::new(640, 360).unwrap());
    let mut small = Picture::new(320, 180).unwrap();
    let mut card = TestCard::new(640, 360, 30.0).unwrap();
    card.start(&Consent::to_nothing(), common::long_ago()).unwrap();
    let mut seen = 0;
    for index in 0..60u32 {
        card.read(&mut picture).unwrap();
        framecode::draw(&mut picture, u64::from(index) * 67);
        let at = Duration::from_secs_f64(f64::from(index) / 30.0);
        let Some(encoded) = encoder.encode(&picture, at, false).unwrap() else { continue };
        decoder.decode(&encoded.data, &mut shown).unwrap();
        assert_eq!(framecode::read(&shown), Some((index * 67 % 4096) as u16));
        shown.scale_into(&mut small);
        assert_eq!(framecode::read(&small), Some((index * 67 % 4096) as u16));
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}
