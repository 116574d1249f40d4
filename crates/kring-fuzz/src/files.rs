//! Media files that may be anything.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use kring_capture::{
    AudioSource, Consent, VideoSource, WavSource, Y4mSource, wav as wav_file, y4m as y4m_file,
};
use kring_codec::Picture;

/// Pictures above this are not read: the fuzzer would do nothing but fill memory.
const MAX_PICTURE: usize = 1 << 18;

fn with_file(data: &[u8], run: impl FnOnce(&Path)) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(data).expect("room for it");
    run(file.path());
}

/// A Y4M file.
pub fn y4m(data: &[u8]) {
    let mut input = data;
    let Ok(header) = y4m_file::parse_header(&mut input) else {
        return;
    };
    Picture::check_size(header.width, header.height).expect("a header's size is one of a picture");
    assert!(header.rate.0 > 0 && header.rate.1 > 0);
    assert!((0.09..1001.0).contains(&header.format().frames_per_second));
    for index in [0, 1, u64::MAX] {
        assert!(header.due(index) >= header.due(index / 2));
    }
    assert_eq!(header.picture_length(), header.width as usize * header.height as usize * 3 / 2);
    if header.picture_length() > MAX_PICTURE {
        return;
    }
    let whole = input.fill_buf().is_ok_and(|rest| !rest.is_empty());
    let mut picture = Picture::new(2, 2).expect("a small picture");
    let mut pictures = 0;
    while y4m_file::read_picture(&mut input, &header, pictures, &mut picture).unwrap_or(false) {
        assert_eq!(picture.as_bytes().len(), header.picture_length());
        pictures += 1;
    }
    assert!(pictures as usize * header.picture_length() <= data.len());
    with_file(data, |path| {
        let source = Y4mSource::open(path);
        assert_eq!(source.is_ok(), whole, "{:?}", source.err());
        let Ok(mut source) = source else { return };
        assert_eq!(source.header(), &header);
        source.start(&Consent::to_nothing(), Instant::now()).expect("a file starts again");
        // The first is due at once. What comes depends on the clock, so only panics count.
        drop(source.read(&mut picture));
    });
}

/// A WAV file.
pub fn wav(data: &[u8]) {
    let mut input = data;
    let parsed = wav_file::parse_header(&mut input).expect("reading from memory does not fail");
    let Ok(format) = parsed else { return };
    assert!((8_000..=192_000).contains(&format.rate) && (1..=2).contains(&format.channels));
    assert_eq!(format.data_start, (data.len() - input.len()) as u64);
    let samples = format.samples(data.len() as u64);
    if let Ok(samples) = samples {
        assert!(samples > 0 && samples <= data.len() as u64 - format.data_start);
    }
    with_file(data, |path| {
        let source = WavSource::open(path);
        assert_eq!(source.is_ok(), samples.is_ok(), "{:?}", source.err());
        let Ok(source) = source else { return };
        assert_eq!(source.format(), &format);
        let mut source = source.repeat(data.len() % 2 == 1);
        // Long ago, so that nothing waits.
        let start = Instant::now().checked_sub(Duration::from_secs(60)).unwrap_or_else(Instant::now);
        source.start(&Consent::to_nothing(), start).expect("a file starts again");
        for len in [480, 1, 960] {
            let mut block = vec![9.0; len];
            source.read(&mut block).expect("a file that was checked reads");
            assert!(block.iter().all(|sample| sample.is_finite() && sample.abs() <= 2.0));
        }
    });
}
