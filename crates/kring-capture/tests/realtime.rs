//! Sources and sinks in real time. Nothing here measures time, for machines are busy: what is asserted is that
//! nothing comes ahead of it.

mod common;

use std::time::{Duration, Instant};

use common::Temporary;
use kring_capture::{AudioSink, AudioSource, Consent, NullSpeaker, NullView, Played, SinkError, SourceError};
use kring_capture::{TestCard, Tone, VideoSink, VideoSource, WavSource, WavWriter, Y4mSource, Y4mWriter};
use kring_codec::Picture;

fn samples(count: u32) -> Duration {
    Duration::from_nanos(u64::from(count) * 1_000_000_000 / 48_000)
}

fn sound_is_never_ahead(source: &mut dyn AudioSource) {
    let start = Instant::now() + Duration::from_millis(10);
    source.start(&Consent::to_nothing(), start).unwrap();
    let mut block = [0.0; 441];
    for index in 0..20 {
        let captured = source.read(&mut block).unwrap();
        assert_eq!(captured.at, start + samples(index * 441));
        assert!(Instant::now() >= captured.at + samples(440));
    }
}

fn pictures_are_never_ahead(source: &mut dyn VideoSource) {
    let start = Instant::now() + Duration::from_millis(10);
    source.start(&Consent::to_nothing(), start).unwrap();
    let mut picture = Picture::new(2, 2).unwrap();
    let mut last = start;
    for _ in 0..5 {
        let captured = source.read(&mut picture).unwrap();
        assert!(Instant::now() >= captured.at && captured.at >= last);
        last = captured.at;
    }
}

#[test]
fn a_tone_is_never_ahead_of_time() {
    sound_is_never_ahead(&mut Tone::new());
}

#[test]
fn a_wav_file_is_never_ahead_of_time() {
    let file = Temporary::new();
    WavWriter::create(&file).unwrap().write(&[0.1; 48_000]).unwrap();
    sound_is_never_ahead(&mut WavSource::open(&file).unwrap());
}

#[test]
fn a_test_card_is_never_ahead_of_time() {
    pictures_are_never_ahead(&mut TestCard::new(160, 90, 30.0).unwrap());
}

#[test]
fn a_y4m_file_is_never_ahead_of_time() {
    let file = Temporary::new();
    let card = TestCard::new(160, 90, 30.0).unwrap();
    let mut writer = Y4mWriter::create(&file, &card.format()).unwrap();
    for _ in 0..3 {
        writer.write(&Picture::new(160, 90).unwrap()).unwrap();
    }
    pictures_are_never_ahead(&mut Y4mSource::open(&file).unwrap().repeat(true));
}

#[test]
fn a_null_speaker_plays_in_real_time() {
    let mut speaker = NullSpeaker::new();
    assert!(matches!(speaker.play(&[0.0; 480], Played::Waiting), Err(SinkError::NotStarted)));
    speaker.start().unwrap();
    let first = speaker.play(&[0.0; 480], Played::Waiting).unwrap();
    for index in 1..10 {
        let heard = speaker.play(&[0.0; 480], Played::Decoded).unwrap();
        assert_eq!(heard, first + samples(480 * index));
        assert!(Instant::now() >= heard);
    }
    speaker.stop();
    assert!(speaker.play(&[0.0; 480], Played::Concealed).is_err());
}

#[test]
fn a_null_view_takes_every_picture() {
    NullView.show(&Picture::new(2, 2).unwrap(), Instant::now()).unwrap();
}

#[test]
fn sources_that_are_not_started_give_nothing() {
    assert!(matches!(Tone::new().read(&mut [0.0; 480]), Err(SourceError::NotStarted)));
    let mut picture = Picture::new(2, 2).unwrap();
    let result = TestCard::new(160, 90, 30.0).unwrap().read(&mut picture);
    assert!(matches!(result, Err(SourceError::NotStarted)));
}

#[test]
fn a_tone_has_its_pitch_and_level_and_no_click() {
    let mut tone = Tone::new().frequency(1_000.0).level(-6.0);
    tone.start(&Consent::to_nothing(), common::long_ago()).unwrap();
    let mut pcm = vec![0.0; 48_000];
    for block in pcm.chunks_mut(479) {
        tone.read(block).unwrap();
    }
    let peak = pcm.iter().fold(0.0f32, |peak, &sample| peak.max(sample));
    assert!((peak - 0.501).abs() < 0.001);
    assert_eq!(pcm.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count(), 999);
    let steepest = pcm.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(steepest < 0.502 * 1_000.0 * std::f32::consts::TAU / 48_000.0);
    assert_eq!(pcm[0], 0.0);
}
