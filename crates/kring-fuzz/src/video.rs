//! A picture stream that may be anything.

use std::sync::LazyLock;
use std::time::Duration;

use kring_codec::h264::access_units;
use kring_codec::{DecodeError, Decoded, H264, Picture, VideoCodec, VideoSettings};

/// A keyframe of Kring's own.
static KEYFRAME: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let settings = VideoSettings { width: 32, height: 32, ..VideoSettings::default() };
    let mut encoder = H264.encoder(&settings).expect("an encoder");
    let picture = Picture::new(32, 32).expect("a small picture");
    encoder.encode(&picture, Duration::ZERO, true).expect("it encodes").expect("a picture").data
});

/// An H.264 stream: what comes out is whole and bounded, what is refused leaves the picture as it was, and clean
/// keyframes help in the end.
pub fn h264(data: &[u8]) {
    let mut decoder = H264.decoder().expect("a decoder");
    let mut picture = Picture::new(2, 2).expect("a small picture");
    for unit in access_units(data).take(64) {
        let before = picture.clone();
        match decoder.decode(unit, &mut picture) {
            Ok(Decoded::Picture) => {
                let (width, height) = (picture.width(), picture.height());
                assert_eq!(picture.as_bytes().len(), width as usize * height as usize * 3 / 2);
                assert!(picture.as_bytes().len() as u64 <= kring_codec::h264::MAX_MEMORY);
            }
            Ok(Decoded::Nothing) => assert!(picture == before),
            Err(DecodeError::PictureSize(_)) => {}
            Err(_) => assert!(picture == before, "a refused packet changed the picture"),
        }
    }
    let helped = (0..2).any(|_| decoder.decode(&KEYFRAME, &mut picture).is_ok());
    assert!(helped, "two clean keyframes do not help");
}
