//! WAV files in and out: what comes through, and what each kind of damage is called.

mod common;

use std::fs::File;

use common::{Temporary, long_ago};
use hound::{SampleFormat, WavSpec};
use kring_capture::wav::{WavError, WavFormat, parse_header};
use kring_capture::{AudioSource, Consent, SourceError, WavSource, WavWriter};

fn spec(sample_rate: u32, channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { sample_rate, channels, bits_per_sample, sample_format }
}

/// A file of `frames` samples a channel; `sample(index, channel)` is in `[-1, 1)`.
fn file(spec: WavSpec, frames: usize, sample: impl Fn(usize, u16) -> f64) -> Temporary {
    let file = Temporary::new();
    let mut writer = hound::WavWriter::create(&file, spec).unwrap();
    for frame in 0..frames {
        for channel in 0..spec.channels {
            let value = sample(frame, channel);
            match spec.sample_format {
                SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                SampleFormat::Int => {
                    writer
                        .write_sample((value * 2f64.powi(spec.bits_per_sample.into()) / 2.0).round() as i32)
                        .unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    file
}

/// `count` samples of a file as a call reads them, and whether the file had ended by then.
fn play(source: &mut WavSource, count: usize) -> (Vec<f32>, bool) {
    source.start(&Consent::to_nothing(), long_ago()).unwrap();
    let mut pcm = vec![9.0; count];
    let mut ended = false;
    for block in pcm.chunks_mut(480) {
        ended = source.read(block).unwrap().ended;
    }
    (pcm, ended)
}

fn sine(index: f64, frequency: f64, rate: f64) -> f64 {
    0.5 * (index * frequency / rate * std::f64::consts::TAU).sin()
}

fn header(bytes: &[u8]) -> Result<WavFormat, WavError> {
    parse_header(&mut &bytes[..]).unwrap()
}

/// The 44 bytes of a plain header.
fn plain(tag: u16, channels: u16, rate: u32, bits: u16, data: u32) -> Vec<u8> {
    let align = channels * (bits / 8);
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    bytes.extend_from_slice(&tag.to_le_bytes());
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.extend_from_slice(&rate.wrapping_mul(align.into()).to_le_bytes());
    bytes.extend_from_slice(&align.to_le_bytes());
    bytes.extend_from_slice(&bits.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    bytes
}

fn refused(content: &[u8]) -> WavError {
    match WavSource::open(Temporary::holding(content)).err() {
        Some(SourceError::Wav { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn samples_at_48_khz_pass_unchanged() {
    let value = |index: usize| ((index as i64 * 7919 % 65_536) - 32_768) as f64 / 32_768.0;
    let file = file(spec(48_000, 1, 16, SampleFormat::Int), 5_000, |index, _| value(index));
    let (pcm, _) = play(&mut WavSource::open(&file).unwrap(), 5_000);
    assert!(pcm.iter().enumerate().all(|(index, &sample)| f64::from(sample) == value(index)));
}

#[test]
fn every_width_and_float_are_read() {
    for (bits, format) in [
        (8, SampleFormat::Int),
        (16, SampleFormat::Int),
        (24, SampleFormat::Int),
        (32, SampleFormat::Int),
        (32, SampleFormat::Float),
    ] {
        let file = file(spec(48_000, 1, bits, format), 960, |index, _| sine(index as f64, 440.0, 48_000.0));
        let (pcm, _) = play(&mut WavSource::open(&file).unwrap(), 960);
        for (index, &sample) in pcm.iter().enumerate() {
            assert!(
                (f64::from(sample) - sine(index as f64, 440.0, 48_000.0)).abs() < 0.01,
                "{bits} {format:?}"
            );
        }
    }
}

#[test]
fn stereo_is_mixed_down() {
    let file =
        file(spec(48_000, 2, 16, SampleFormat::Int), 960, |_, channel| [0.5, -0.25][usize::from(channel)]);
    let (pcm, _) = play(&mut WavSource::open(&file).unwrap(), 960);
    assert!(pcm.iter().all(|&sample| sample == 0.125));
}

#[test]
fn other_rates_keep_pitch_time_and_quality() {
    for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 88_200, 96_000, 192_000, 44_057] {
        let seconds = 1.5;
        let frames = (f64::from(rate) * seconds) as usize;
        let file = file(spec(rate, 1, 24, SampleFormat::Int), frames, |index, _| {
            sine(index as f64, 400.0, rate.into())
        });
        let (pcm, _) = play(&mut WavSource::open(&file).unwrap(), 67_200);
        // The part of the tone in phase with where it must be, and the part a quarter turn off it.
        let (mut inphase, mut off, mut power) = (0.0, 0.0, 0.0);
        let turn = 400.0 / 48_000.0 * std::f64::consts::TAU;
        for (index, &sample) in pcm.iter().enumerate().skip(4_800) {
            let (sample, angle) = (f64::from(sample), index as f64 * turn);
            inphase += sample * angle.sin();
            off += sample * angle.cos();
            power += sample * sample;
        }
        let late = off.atan2(inphase) / turn;
        assert!(late.abs() <= 0.6, "{rate} Hz: {late} samples");
        let count = (pcm.len() - 4_800) as f64;
        let tone = (inphase * inphase + off * off) * 2.0 / count;
        let level = 10.0 * (tone / count / 0.125).log10();
        let noise = 10.0 * ((power - tone).max(1e-12) / tone).log10();
        assert!(level.abs() < 0.1 && noise < -60.0, "{rate} Hz: level {level} dB, noise {noise} dB");
    }
}

#[test]
fn silence_follows_the_end() {
    let file = file(spec(48_000, 1, 16, SampleFormat::Int), 1_000, |_, _| 0.5);
    let mut source = WavSource::open(&file).unwrap();
    assert!(!play(&mut source, 960).1);
    let (pcm, ended) = play(&mut source, 2_400);
    assert!(ended);
    assert!(pcm[..1_000].iter().all(|&s| s == 0.5) && pcm[1_000..].iter().all(|&s| s == 0.0));
}

#[test]
fn a_resampled_file_ends_when_it_must() {
    let file = file(spec(16_000, 1, 16, SampleFormat::Int), 1_600, |_, _| 0.5);
    let (pcm, ended) = play(&mut WavSource::open(&file).unwrap(), 9_600);
    assert!(ended && pcm[4_700].abs() > 0.4 && pcm[4_800..].iter().all(|&sample| sample == 0.0));
}

#[test]
fn a_repeating_file_has_no_seam() {
    let file = file(spec(48_000, 1, 16, SampleFormat::Int), 700, |index, _| index as f64 / 1_024.0);
    let (pcm, ended) = play(&mut WavSource::open(&file).unwrap().repeat(true), 4_800);
    assert!(!ended);
    assert!(pcm.iter().enumerate().all(|(index, &sample)| sample == (index % 700) as f32 / 1_024.0));
}

#[test]
fn starting_again_starts_from_the_beginning() {
    let file = file(spec(48_000, 1, 16, SampleFormat::Int), 2_000, |index, _| index as f64 / 4_096.0);
    let mut source = WavSource::open(&file).unwrap();
    assert_eq!(play(&mut source, 960).0, play(&mut source, 960).0);
}

#[test]
fn a_stopped_source_gives_nothing() {
    let file = file(spec(48_000, 1, 16, SampleFormat::Int), 2_000, |_, _| 0.5);
    let mut source = WavSource::open(&file).unwrap();
    play(&mut source, 480);
    source.stop();
    assert!(matches!(source.read(&mut [0.0; 480]), Err(SourceError::NotStarted)));
}

#[test]
fn chunks_before_the_sound_are_passed_over() {
    let mut bytes = plain(1, 1, 48_000, 16, 4);
    bytes.splice(12..12, *b"LIST\x03\0\0\0abc\0");
    bytes.extend_from_slice(&[0, 64, 0, 192]);
    let (pcm, _) = play(&mut WavSource::open(Temporary::holding(&bytes)).unwrap(), 3);
    assert_eq!(pcm, [0.5, -0.5, 0.0]);
}

#[test]
fn a_length_that_the_writer_could_not_know_means_all_there_is() {
    let mut bytes = plain(1, 1, 48_000, 16, u32::MAX);
    bytes.extend_from_slice(&[0, 64, 0, 192]);
    assert_eq!(play(&mut WavSource::open(Temporary::holding(&bytes)).unwrap(), 2).0, [0.5, -0.5]);
}

#[test]
fn a_missing_file_is_named() {
    let error = WavSource::open("/no/such/voice.wav").err().unwrap();
    assert!(matches!(&error, SourceError::File { .. }) && error.to_string().contains("/no/such/voice.wav"));
}

#[test]
fn a_directory_is_unreadable() {
    assert!(matches!(WavSource::open(std::env::temp_dir()), Err(SourceError::File { .. })));
}

#[test]
fn another_kind_of_file_is_told_apart() {
    for content in [&b""[..], b"RIFF", b"OggS\0\0\0\0\0\0\0\0\0\0", b"RIFF\0\0\0\0AVI LIST"] {
        assert!(matches!(refused(content), WavError::NotWave { .. }));
    }
}

#[test]
fn a_cut_header_is_told_apart() {
    let bytes = plain(1, 1, 48_000, 16, 4);
    for length in 12..44 {
        assert!(matches!(refused(&bytes[..length]), WavError::HeaderCut { .. }), "{length}");
    }
}

#[test]
fn compressed_sound_is_refused_with_its_tag() {
    for (tag, bits) in [(2, 4), (6, 8), (85, 16), (1, 12), (3, 64)] {
        assert_eq!(header(&plain(tag, 1, 48_000, bits, 4)), Err(WavError::Encoding { tag, bits }));
    }
}

#[test]
fn odd_rates_are_refused() {
    for got in [0, 7_999, 192_001, u32::MAX] {
        assert_eq!(header(&plain(1, 1, got, 16, 4)), Err(WavError::Rate { got }));
    }
}

#[test]
fn no_channels_or_more_than_two_are_refused() {
    for got in [0, 3, 6] {
        assert_eq!(header(&plain(1, got, 48_000, 16, 4)), Err(WavError::Channels { got }));
    }
}

#[test]
fn a_header_that_contradicts_itself_is_refused() {
    let mut bytes = plain(1, 2, 48_000, 16, 4);
    bytes[32] = 3;
    assert_eq!(header(&bytes), Err(WavError::BlockAlign { expected: 4, got: 3 }));
}

#[test]
fn a_header_that_promises_more_than_there_is_is_refused() {
    let mut bytes = plain(1, 1, 48_000, 16, 1_000);
    bytes.extend_from_slice(&[0; 600]);
    assert_eq!(refused(&bytes), WavError::DataCut { expected: 1_000, got: 600 });
}

#[test]
fn a_file_without_sound_is_refused() {
    assert_eq!(refused(&plain(1, 1, 48_000, 16, 0)), WavError::Empty);
    assert_eq!(refused(&plain(1, 1, 48_000, 16, u32::MAX)), WavError::Empty);
}

#[test]
fn garbage_headers_are_refused_without_harm() {
    let good = plain(1, 1, 48_000, 16, 4);
    let mut state = 1u64;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes[(state >> 40) as usize % 44] = (state >> 32) as u8;
        }
        if let Ok(format) = header(&bytes) {
            assert!((1..=2).contains(&format.channels) && (8_000..=192_000).contains(&format.rate));
        }
    }
}

#[test]
fn what_is_written_is_read_back_unchanged() {
    let file = Temporary::new();
    let pcm: Vec<f32> = (0..3_000).map(|index| (index - 1_500) as f32 / 2_048.0).collect();
    let mut writer = WavWriter::create(&file).unwrap();
    writer.write(&pcm).unwrap();
    assert_eq!(writer.samples(), 3_000);
    drop(writer);
    assert_eq!(play(&mut WavSource::open(&file).unwrap(), 3_000).0, pcm);
    let mut reader = hound::WavReader::open(&file).unwrap();
    assert_eq!(reader.spec(), spec(48_000, 1, 16, SampleFormat::Int));
    assert_eq!(reader.samples::<i16>().next().unwrap().unwrap(), (-1_500 * 16) as i16);
}

#[test]
fn what_is_too_loud_is_clipped() {
    let file = Temporary::new();
    WavWriter::create(&file).unwrap().write(&[2.0, -2.0, 1.0, f32::NAN]).unwrap();
    let samples = hound::WavReader::open(&file).unwrap().into_samples::<i16>();
    assert_eq!(samples.map(Result::unwrap).collect::<Vec<_>>(), [i16::MAX, i16::MIN, i16::MAX, 0]);
}

#[test]
fn a_file_being_written_is_valid_at_any_moment() {
    let file = Temporary::new();
    let mut writer = WavWriter::create(&file).unwrap();
    let known = |file: &Temporary| hound::WavReader::new(File::open(file).unwrap()).unwrap().len() as usize;
    assert_eq!(known(&file), 0);
    for second in 1..4 {
        for _ in 0..100 {
            writer.write(&[0.1; 480]).unwrap();
        }
        assert_eq!(known(&file), second * 48_000);
    }
    writer.write(&[0.1; 480]).unwrap();
    writer.flush().unwrap();
    assert_eq!(known(&file), 3 * 48_000 + 480);
}
