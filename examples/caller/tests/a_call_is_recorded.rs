//! What both ends of a call record is what was sent, and can be read back.

mod common;

use common::{Desk, Log};
use kring::capture::{VideoFormat, Y4mWriter, framecode, y4m};
use kring::codec::Picture;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Ten seconds of a tone that comes and goes.
fn sound(path: &Path) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..480_000 {
        let loud = if n / 24_000 % 2 == 0 { 8000.0 } else { 800.0 };
        file.write_sample(((n as f32 * 0.05).sin() * loud) as i16).unwrap();
    }
    file.finalize().unwrap();
}

/// Ten seconds of numbered pictures.
fn pictures(path: &Path) {
    let format = VideoFormat::new(320, 180, 15.0);
    let mut file = Y4mWriter::create(path, &format).unwrap();
    let mut picture = Picture::new(320, 180).unwrap();
    for number in 0..150 {
        framecode::draw(&mut picture, number);
        file.write(&picture).unwrap();
    }
}

fn check(folder: &Path, first: &[&str]) {
    let log = Log::read(folder);
    let order: Vec<f64> =
        first.iter().chain(&["answered", "connected", "ended"]).map(|ev| log.time(ev)).collect();
    assert!(order.is_sorted(), "{order:?}");
    assert!(log.time("audio-out-start") <= log.time("first-audio"));
    assert!((log.time("audio-in-start") - log.time("connected")).abs() < 0.5);
    assert_eq!(log.all("safety")[0]["post_quantum"], true);

    let sent: Vec<_> = log.all("frame-in").iter().map(|line| line["n"].as_u64().unwrap()).collect();
    assert!(sent.len() > 10 && sent.is_sorted(), "{sent:?}");

    let mut video = BufReader::new(File::open(folder.join("recv-video.y4m")).unwrap());
    let header = y4m::parse_header(&mut video).unwrap();
    assert_eq!((header.width, header.height, header.rate), (320, 180, (15, 1)));
    let mut picture = Picture::new(2, 2).unwrap();
    let mut numbers = Vec::new();
    while y4m::read_picture(&mut video, &header, numbers.len() as u64, &mut picture).unwrap() {
        numbers.push(framecode::read(&picture).expect("a number in each picture"));
    }
    assert!(numbers.len() > 10 && numbers.is_sorted(), "{numbers:?}");
    let shown = log.all("frame-out");
    assert_eq!(shown.len(), numbers.len());
    for (index, line) in shown.iter().enumerate() {
        assert_eq!((line["i"].as_u64(), line["w"].as_u64()), (Some(index as u64), Some(320)));
    }

    let mut audio = hound::WavReader::open(folder.join("recv-audio.wav")).unwrap();
    assert_eq!(
        (audio.spec().sample_rate, audio.spec().channels, audio.spec().bits_per_sample),
        (48_000, 1, 16)
    );
    let seconds = f64::from(audio.duration()) / 48_000.0;
    let lasted = log.time("ended") - log.time("audio-out-start");
    assert!((seconds - lasted).abs() < 0.7, "{seconds} s of sound in {lasted} s");
    let samples: Vec<f64> = audio.samples::<i16>().map(|s| s.unwrap().into()).collect();
    let power = samples.iter().map(|s| s * s).sum::<f64>() / samples.len() as f64;
    assert!(power.sqrt() > 300.0, "nearly silent: {}", power.sqrt());
}

#[test]
fn both_ends_keep_what_they_played_and_showed() {
    let desk = Desk::new();
    sound(&desk.path("in.wav"));
    pictures(&desk.path("in.y4m"));
    let media = "--mic in.wav --camera in.y4m";
    let mut answer = desk.answer(&format!("--accept all {media} --record b --stats b.stats --json"));
    let (code, out, err) = desk.run("call", &format!("call @ticket {media} --record a --name Ada --for 5"));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("RECORDS") && out.contains("end-to-end encrypted"), "{out}");
    answer.says("\"ended\"");
    answer.terminate();
    assert_eq!(answer.wait(), 0, "{}", answer.err());

    check(&desk.path("a"), &["dial", "ringing"]);
    check(&desk.path("b"), &["ringing"]);

    let events: Vec<serde_json::Value> =
        answer.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ringing = events.iter().find(|e| e["ev"] == "ringing").unwrap();
    assert_eq!((&ringing["name"], &ringing["tracks"][1]["w"]), (&"Ada".into(), &320.into()));

    let stats = std::fs::read_to_string(desk.path("b.stats")).unwrap();
    let lines: Vec<serde_json::Value> =
        stats.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let talking = lines.iter().rfind(|line| line["state"] == "connected").unwrap();
    assert!(talking["audio_played_ms"].as_u64() > Some(1000), "{talking}");
    assert!(talking["peer"]["pictures_shown"].as_u64() > Some(10), "{talking}");
    assert!(talking["rtt_ms"].is_number() && talking["sent_kbit"].as_f64() > Some(20.0), "{talking}");
}

#[test]
fn the_next_call_has_a_folder_of_its_own_and_files_from_their_beginning() {
    let desk = Desk::new();
    pictures(&desk.path("in.y4m"));
    let mut answer = desk.answer("--accept all --camera in.y4m --record b");
    for who in ["first", "second"] {
        let (code, _, err) = desk.run(who, "call @ticket --mic tone --for 2");
        assert_eq!(code, 0, "{err}");
    }
    common::until("the second recording", || answer.out().matches("waiting for the next").count() == 2);
    answer.terminate();
    assert_eq!(answer.wait(), 0);
    for folder in ["b", "b/2"] {
        let log = Log::read(&desk.path(folder));
        assert_eq!(log.all("frame-in")[0]["n"], 0);
        assert_eq!(log.all("ended").len(), 1);
        assert!(!desk.path(folder).join("recv-video.y4m").exists(), "nothing was shown");
    }
}
