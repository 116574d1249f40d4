//! Y4M files in and out: which pictures come when, and what each kind of damage is called.

mod common;

use std::time::{Duration, Instant};

use common::{Temporary, long_ago};
use kring_capture::y4m::{Stop, Y4mError, Y4mHeader, parse_header, read_picture};
use kring_capture::{Consent, SinkError, SourceError, VideoFormat, VideoSource, Y4mSource, Y4mWriter};
use kring_codec::Picture;

const FORMAT: VideoFormat = VideoFormat::new(8, 6, 25.0);

/// A picture whose every byte is `level`.
fn flat(level: u8) -> Picture {
    let mut picture = Picture::new(8, 6).unwrap();
    picture.as_bytes_mut().fill(level);
    picture
}

/// A file of `count` pictures; picture `n` is filled with `n`.
fn file(count: u8) -> Temporary {
    let file = Temporary::new();
    let mut writer = Y4mWriter::create(&file, &FORMAT).unwrap();
    for level in 0..count {
        writer.write(&flat(level)).unwrap();
    }
    assert_eq!(writer.pictures(), count.into());
    file
}

fn header(text: &str) -> Result<Y4mHeader, Y4mError> {
    parse_header(&mut text.as_bytes()).map_err(refusal)
}

fn refusal(stop: Stop) -> Y4mError {
    match stop {
        Stop::Refused(error) => error,
        other => panic!("{other}"),
    }
}

fn consent() -> Consent {
    Consent::to_nothing()
}

#[test]
fn pictures_come_back_in_order_and_then_the_end() {
    let mut source = Y4mSource::open(file(5)).unwrap();
    assert_eq!(source.format(), FORMAT);
    let start = Instant::now() + Duration::from_millis(5);
    source.start(&consent(), start).unwrap();
    let mut picture = Picture::new(2, 2).unwrap();
    let mut last = None;
    while last != Some(4) {
        let captured = source.read(&mut picture).unwrap();
        assert!(last.is_none_or(|last| captured.index > last));
        assert_eq!(captured.at, start + Duration::from_millis(40) * captured.index as u32);
        assert_eq!(captured.ended, captured.index == 4);
        assert!(picture == flat(captured.index as u8));
        last = Some(captured.index);
    }
    assert!(matches!(source.read(&mut picture), Err(SourceError::Ended)));
}

#[test]
fn a_late_reader_gets_the_newest_picture() {
    let mut source = Y4mSource::open(file(200)).unwrap();
    let start = Instant::now().checked_sub(Duration::from_millis(2_010)).unwrap();
    source.start(&consent(), start).unwrap();
    let mut picture = Picture::new(2, 2).unwrap();
    let captured = source.read(&mut picture).unwrap();
    assert!(captured.index >= 50 && picture == flat(captured.index as u8));
    assert_eq!(captured.at, start + Duration::from_millis(40) * captured.index as u32);
}

#[test]
fn a_reader_that_comes_after_the_end_is_told() {
    let mut source = Y4mSource::open(file(5)).unwrap();
    source.start(&consent(), long_ago()).unwrap();
    assert!(matches!(source.read(&mut flat(0)), Err(SourceError::Ended)));
}

#[test]
fn a_repeating_file_begins_anew() {
    let mut source = Y4mSource::open(file(7)).unwrap().repeat(true);
    let start = long_ago();
    source.start(&consent(), start).unwrap();
    let mut picture = Picture::new(2, 2).unwrap();
    for _ in 0..3 {
        let captured = source.read(&mut picture).unwrap();
        let number = (captured.at - start).as_millis() / 40;
        assert_eq!(u128::from(captured.index), number % 7);
        assert!(number >= 1_500 && !captured.ended && picture == flat(captured.index as u8));
    }
}

#[test]
fn frame_lines_may_carry_parameters() {
    let mut bytes = b"YUV4MPEG2 W8 H6 F25:1\nFRAME Ip Xa=b\n".to_vec();
    bytes.extend_from_slice(flat(3).as_bytes());
    let mut input = &bytes[..];
    let header = parse_header(&mut input).unwrap();
    let mut picture = Picture::new(2, 2).unwrap();
    assert!(read_picture(&mut input, &header, 0, &mut picture).unwrap());
    assert!(picture == flat(3));
    assert!(!read_picture(&mut input, &header, 1, &mut picture).unwrap());
}

#[test]
fn usual_headers_are_read() {
    let expected = |rate| Ok(Y4mHeader { width: 640, height: 360, rate });
    assert_eq!(header("YUV4MPEG2 W640 H360 F30:1\n"), expected((30, 1)));
    assert_eq!(
        header("YUV4MPEG2 W640 H360 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420\n"),
        expected((30_000, 1001))
    );
    for chroma in ["420", "420mpeg2", "420paldv"] {
        assert_eq!(header(&format!("YUV4MPEG2 C{chroma} H360 W640 F25:2\n")), expected((25, 2)));
    }
}

#[test]
fn due_times_follow_the_exact_rate() {
    let header = Y4mHeader { width: 2, height: 2, rate: (30_000, 1001) };
    assert_eq!(header.due(30_000), Duration::from_secs(1001));
    assert_eq!(header.due(30_000 * 1_000), Duration::from_secs(1_001_000));
}

#[test]
fn a_missing_file_is_named() {
    let error = Y4mSource::open("/no/such/face.y4m").err().unwrap();
    assert!(matches!(&error, SourceError::File { .. }) && error.to_string().contains("/no/such/face.y4m"));
}

#[test]
fn another_kind_of_file_is_told_apart() {
    for text in ["", "YUV4", "RIFF\0\0\0\0AVI "] {
        assert!(matches!(header(text), Err(Y4mError::NotY4m { .. })));
    }
}

#[test]
fn a_cut_header_is_told_apart() {
    assert_eq!(header("YUV4MPEG2 W640 H360 F30:1"), Err(Y4mError::HeaderCut));
}

#[test]
fn a_header_without_end_is_bounded() {
    assert_eq!(header(&format!("YUV4MPEG2 {}", "X".repeat(1 << 20))), Err(Y4mError::LineTooLong));
}

#[test]
fn missing_and_odd_fields_are_named() {
    for (text, what) in [
        ("H360 F30:1", "W and a width"),
        ("W640 F30:1", "H and a height"),
        ("W-2 H360 F30:1", "W and a width"),
        ("W640 H99999999999 F30:1", "H and a height"),
        ("W640 H360", "F and a rate such as 30:1, of 0.1 to 1000"),
        ("W640 H360 F30", "F and a rate such as 30:1, of 0.1 to 1000"),
        ("W640 H360 F0:1", "F and a rate such as 30:1, of 0.1 to 1000"),
        ("W640 H360 F30:0", "F and a rate such as 30:1, of 0.1 to 1000"),
        ("W640 H360 F4000000000:1", "F and a rate such as 30:1, of 0.1 to 1000"),
    ] {
        let result = header(&format!("YUV4MPEG2 {text}\n"));
        assert!(matches!(&result, Err(Y4mError::Field { expected, .. }) if *expected == what), "{result:?}");
    }
}

#[test]
fn other_chroma_is_refused_by_name() {
    for got in ["422", "444", "mono", "420p10", "411"] {
        let result = header(&format!("YUV4MPEG2 W640 H360 F30:1 C{got}\n"));
        assert_eq!(result, Err(Y4mError::Chroma { got: got.into() }));
    }
}

#[test]
fn odd_and_oversize_pictures_are_refused() {
    let size = |width, height| header(&format!("YUV4MPEG2 W{width} H{height} F30:1\n"));
    assert_eq!(size(641, 360), Err(Y4mError::OddSize { width: 641, height: 360 }));
    assert_eq!(size(640, 361), Err(Y4mError::OddSize { width: 640, height: 361 }));
    for (width, height) in [(0, 2), (8194, 2), (2, 4_294_967_294)] {
        assert_eq!(size(width, height), Err(Y4mError::Size { width, height }));
    }
}

#[test]
fn a_file_without_pictures_is_refused() {
    let result = Y4mSource::open(file(0));
    assert!(matches!(result, Err(SourceError::Y4m { cause: Y4mError::Empty, .. })));
}

#[test]
fn a_cut_last_picture_is_told_apart() {
    let mut bytes = std::fs::read(file(2)).unwrap();
    bytes.truncate(bytes.len() - 10);
    let mut input = &bytes[..];
    let header = parse_header(&mut input).unwrap();
    assert!(read_picture(&mut input, &header, 0, &mut flat(0)).unwrap());
    let error = refusal(read_picture(&mut input, &header, 1, &mut flat(0)).unwrap_err());
    assert_eq!(error, Y4mError::PictureCut { index: 1, expected: 72, got: 62 });
}

#[test]
fn a_picture_that_starts_wrong_is_told_apart() {
    let header = Y4mHeader { width: 8, height: 6, rate: (25, 1) };
    let error = refusal(read_picture(&mut &b"FRUME\n"[..], &header, 4, &mut flat(0)).unwrap_err());
    assert_eq!(error, Y4mError::NoFrame { index: 4, got: "FRUME".into() });
}

#[test]
fn a_picture_of_another_size_is_not_written() {
    let mut writer = Y4mWriter::create(Temporary::new(), &FORMAT).unwrap();
    let error = writer.write(&Picture::new(8, 8).unwrap()).unwrap_err();
    assert!(matches!(error, SinkError::PictureSize { expected, got } if expected == "8x6" && got == "8x8"));
}
