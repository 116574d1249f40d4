//! A recording that the disk has no room for ends; the call goes on, and what was written can be read.
#![cfg(unix)]

mod common;

use common::{Desk, Log};
use kring::capture::y4m;
use kring::codec::Picture;
use std::fs::File;
use std::io::BufReader;

#[test]
fn a_full_disk_ends_the_recording_and_not_the_call() {
    let desk = Desk::new();
    let mut answer = desk.answer("--accept all --mic tone --camera testcard");
    // No file may become larger than 600 blocks of 512 bytes, which a system treats like a full disk if the signal is
    // ignored: sound is full after 3 s, pictures of 345,600 bytes before the first.
    let limit = "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\"";
    let (code, out, err) = desk.run_under("call", limit, "call @ticket --mic tone --record a --for 7");
    assert_eq!(code, 25, "{err}");
    assert!(err.contains("sound not recorded from here on, the call goes on: expected to write"), "{err}");
    assert!(err.contains("pictures not recorded from here on, the call goes on: expected to write"), "{err}");
    assert!(err.contains("check its path, rights and disk"), "{err}");
    assert!(out.contains("ended:"), "{out}");

    let folder = desk.path("a");
    let log = Log::read(&folder);
    assert!(log.time("ended") - log.time("connected") > 4.0, "the call did not go on");
    let mut sound = hound::WavReader::open(folder.join("recv-audio.wav")).unwrap();
    let samples: Vec<i16> = sound.samples().map(|sample| sample.unwrap()).collect();
    // All that there was room for.
    assert!(samples.len() > 130_000 && samples.len() * 2 + 44 <= 600 * 1024, "{}", samples.len());
    assert!(samples.iter().any(|sample| sample.abs() > 300));
    let mut pictures = BufReader::new(File::open(folder.join("recv-video.y4m")).unwrap());
    let header = y4m::parse_header(&mut pictures).unwrap();
    let mut picture = Picture::new(2, 2).unwrap();
    let mut index = 0;
    while y4m::read_picture(&mut pictures, &header, index, &mut picture).expect("whole pictures") {
        index += 1;
    }
    assert_eq!(log.all("frame-out").len() as u64, index);
    answer.says("waiting for the next call");
    answer.terminate();
    assert_eq!(answer.wait(), 0, "{}", answer.err());
}
