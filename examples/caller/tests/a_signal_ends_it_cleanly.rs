//! Ctrl-C, SIGTERM and `--for` leave whole files and tell the other side.
#![cfg(unix)]

mod common;

use common::{Desk, Log};
use std::fs;

#[test]
fn files_are_whole_after_sigterm() {
    let desk = Desk::new();
    let mut answer = desk.answer("--accept all --mic tone --camera testcard --record b");
    let mut call = desk.start("call", "call @ticket --mic tone --camera testcard --record a");
    call.says("connected");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    call.terminate();
    assert_eq!(call.wait(), 0, "{}", call.err());
    answer.says("ended: the program of the other side ended");
    answer.signal("INT");
    assert_eq!(answer.wait(), 0, "{}", answer.err());
    for folder in ["a", "b"] {
        let folder = desk.path(folder);
        let log = Log::read(&folder);
        assert_eq!(log.all("ended")[0]["reason"], "going-away");
        let mut wav = hound::WavReader::open(folder.join("recv-audio.wav")).unwrap();
        let promised = wav.duration();
        assert_eq!(wav.samples::<i16>().map(Result::unwrap).count(), promised as usize);
        assert!(promised > 48_000);
        let video = fs::read(folder.join("recv-video.y4m")).unwrap();
        let header = video.iter().position(|b| *b == b'\n').unwrap() + 1;
        let picture = 6 + 640 * 360 * 3 / 2;
        assert_eq!((video.len() - header) % picture, 0);
        assert_eq!((video.len() - header) / picture, log.all("frame-out").len());
    }
}

#[test]
fn without_an_answered_call_the_signal_is_the_exit_code() {
    let desk = Desk::new();
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut answer = desk.answer("--mic tone");
        answer.signal(signal);
        assert_eq!(answer.wait(), code);
    }
}

#[test]
fn waiting_ends_well_when_its_time_is_over() {
    let desk = Desk::new();
    let mut answer = desk.answer("--for 1 --record r");
    assert_eq!(answer.wait(), 0);
    let wav = hound::WavReader::open(desk.path("r/recv-audio.wav")).unwrap();
    assert_eq!(wav.duration(), 0);
}
