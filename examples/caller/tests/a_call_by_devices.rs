//! Two callers whose microphones, speakers and cameras are devices without hardware: what is said into the one's
//! microphone comes out of the other's speaker, and what stands before its camera is seen there. Needs a sound server
//! and, for the camera, PipeWire and GStreamer; says so and passes where they are missing.
#![cfg(all(target_os = "linux", feature = "audio-io", feature = "camera"))]
#![allow(clippy::print_stdout)]

mod common;
mod devices;

use common::{Desk, LONG, Log, until};
use devices::Own;
use devices::camera::{Camera, wandered};
use devices::sound::{Server, Sound, check};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SPEECH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../media/speech-a.wav");

fn log_time(folder: &Path, ev: &str) -> f64 {
    Log::read(folder).time(ev)
}

#[test]
fn what_is_said_into_a_microphone_comes_out_of_the_other_ones_speaker() {
    let desk = Desk::new();
    let Some(server) = Server::start(&desk.path("sound")) else { return };
    desk.set("PULSE_SERVER", &server.socket);

    let (code, out, err) = desk.run("list", "devices --json");
    assert_eq!((code, err.as_str()), (0, ""));
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    let name = |kind: &str, n: usize| listed[kind][n]["name"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (name("microphones", 0).as_str(), name("microphones", 1).as_str()),
        ("Microphone-a", "Microphone-b")
    );
    assert_eq!(
        (&listed["microphones"][0]["default"], &listed["speakers"][0]["id"]),
        (&true.into(), &"speaker_a".into())
    );

    // Also, without a standing reader such a speaker takes nothing for its first seconds.
    let ears =
        ["mouth_a.monitor", "speaker_b.monitor", "speaker_a.monitor"].map(|source| server.listen(source));
    until("sound from the server", || ears.iter().all(|ear| ear.pieces() > 100));

    let mut answer = desk.answer("--accept all --mic device:mic_b --speaker device:speaker_b --record b");
    let (code, _, err) = desk.run("unknown", "call @ticket --mic device:Headset");
    assert_eq!(code, 26, "{err}");
    assert!(err.contains("\"Headset\"") && err.contains("\"Microphone-a\", \"Microphone-b\""), "{err}");
    let mut call =
        desk.start("call", "call @ticket --mic device --speaker device:speaker-A --record a --for 11");
    call.says("connected");
    let mut mouth =
        Own(server.command("paplay", &["--latency-msec=20", "--device=mouth_a", SPEECH]).spawn().unwrap());
    assert_eq!(call.wait(), 0, "{}", call.err());
    let _ = mouth.0.kill();
    answer.says("waiting for the next call");
    answer.terminate();
    assert_eq!(answer.wait(), 0, "{}", answer.err());
    let [said, heard, other] = ears.map(|ear| ear.stop());

    let by_devices = check("mouth to ear by devices", &said.found_in(&heard));
    assert!(said.found_in(&other).iter().all(|(_, alike)| *alike < 0.4), "the caller hears itself");
    let path: PathBuf = desk.path("b");
    let recorded = Sound::file(&path.join("recv-audio.wav"), log_time(&path, "audio-out-start"));
    check("microphone to recording", &said.found_in(&recorded));

    // The same by files, for comparison.
    let mut answer = desk.answer("--accept all --speaker none --record b2");
    let (code, _, err) =
        desk.run("call", &format!("call @ticket --mic {SPEECH} --speaker none --record a2 --for 7"));
    assert_eq!(code, 0, "{err}");
    answer.says("waiting for the next call");
    answer.terminate();
    assert_eq!(answer.wait(), 0, "{}", answer.err());
    let said = Sound::file(Path::new(SPEECH), log_time(&desk.path("a2"), "audio-in-start"));
    let heard = Sound::file(&desk.path("b2/recv-audio.wav"), log_time(&desk.path("b2"), "audio-out-start"));
    let by_files = check("mouth to ear by files", &said.found_in(&heard));
    println!("devices add {:.0} ms", by_devices - by_files);
}

#[test]
fn microphone_speaker_and_camera_of_one_call_are_devices() {
    let desk = Desk::new();
    let Some(server) = Server::start(&desk.path("sound")) else { return };
    let Some(camera) = Camera::start(&desk.path("camera")) else { return };
    desk.set("PULSE_SERVER", &server.socket);
    let ears = ["mouth_a.monitor", "speaker_b.monitor"].map(|source| server.listen(source));
    until("sound from the server", || ears.iter().all(|ear| ear.pieces() > 100));

    let mut answer = desk.answer("--accept all --mic device:mic_b --speaker device:speaker_b --record b");
    for (name, value) in camera.environment() {
        desk.set(name, &value);
    }
    let mut call =
        desk.start("call", "call @ticket --mic device --speaker device:speaker_a --camera device:0 --for 10");
    call.says("connected");
    let mouth = server.command("paplay", &["--latency-msec=20", "--device=mouth_a", SPEECH]).spawn();
    let mouth = Own(mouth.unwrap());
    assert_eq!(call.wait(), 0, "{}", call.err());
    drop(mouth);
    answer.says("waiting for the next call");
    answer.terminate();
    assert_eq!(answer.wait(), 0, "{}", answer.err());

    let [said, heard] = ears.map(|ear| ear.stop());
    check("mouth to ear beside a camera", &said.found_in(&heard));

    let folder = desk.path("b");
    let connected = Log::read(&folder).all("connected")[0].clone();
    let announced = connected["tracks"].as_array().unwrap().iter().find(|track| track["source"] == "camera");
    let side = |name: &str| announced.expect("a camera was announced")[name].as_u64().unwrap() as usize;
    let (width, height) = (side("w"), side("h"));
    assert_eq!((width, height), (640, 360));
    let recorded = fs::read(folder.join("recv-video.y4m")).unwrap();
    let header = recorded.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let text = String::from_utf8_lossy(&recorded[..header]).into_owned();
    assert!(text.starts_with("YUV4MPEG2 W640 H360 "), "{text}");
    let pictures = recorded[header..].chunks_exact("FRAME\n".len() + width * height * 3 / 2);
    let places: Vec<Option<usize>> =
        pictures.map(|picture| wandered(&picture["FRAME\n".len()..], width, height)).collect();

    // Black until the camera is open; from then on its bars.
    let first = places.iter().position(Option::is_some).expect("the bars were seen");
    let bars: Vec<usize> = places[first..].iter().copied().flatten().collect();
    let steps = bars.windows(2).map(|pair| (pair[1] + width - pair[0]) % width).filter(|step| *step > 0);
    let (onward, back): (Vec<_>, Vec<_>) = steps.partition(|step| *step < width / 2);
    println!(
        "{} pictures, the first bars in number {first}, bars in {}; they wandered on {} times, back {} times",
        places.len(),
        bars.len(),
        onward.len(),
        back.len()
    );
    assert!(bars.len() >= 20 && bars.len() * 4 > (places.len() - first) * 3, "{places:?}");
    // The same picture is shown twice, or one too early, when the machine is slow.
    assert!(onward.len() * 2 > bars.len() && onward.len() > back.len() * 3, "{places:?}");
}

#[test]
fn a_call_outlives_its_sound_server() {
    let desk = Desk::new();
    let Some(server) = Server::start(&desk.path("sound")) else { return };
    desk.set("PULSE_SERVER", &server.socket);
    let mut answer = desk.answer("--accept all --mic tone --record b");
    let mut call = desk.start("call", "call @ticket --mic device --speaker device --for 30");
    call.says("connected");
    std::thread::sleep(Duration::from_secs(2));
    drop(server);
    let start = Instant::now();
    let ended = || {
        let said = call.out() + &call.err();
        said.contains("microphone") && said.contains("speaker Speaker-a: ")
    };
    while !ended() {
        assert!(start.elapsed() < LONG, "no end of the devices: {}{}", call.out(), call.err());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!call.out().contains("ended:"), "the call goes on: {}", call.out());
    call.terminate();
    assert_eq!(call.wait(), 0, "{}", call.err());
    answer.says("waiting for the next call");
    answer.terminate();
    assert_eq!(answer.wait(), 0, "{}", answer.err());
}
