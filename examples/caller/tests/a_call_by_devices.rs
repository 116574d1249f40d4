//! Two callers whose microphones and speakers are devices of a sound server of their own, without hardware: what is
//! said into the one's microphone comes out of the other's speaker. Needs `pulseaudio`, `paplay` and `parec`; says so
//! and passes where they are missing.
#![cfg(all(target_os = "linux", feature = "audio-io"))]
#![allow(clippy::print_stdout)]

mod common;

use common::{Desk, LONG, until};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const RATE: usize = 48_000;
const SPEECH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../media/speech-a.wav");

/// A program that is gone when the test is.
struct Own(Child);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sound server with two ends of a telephone: for each a speaker, whose sound can be recorded, and a microphone with
/// a mouth to play into.
struct Server {
    socket: String,
    _server: Own,
}

impl Server {
    /// `None` where the programs for it are missing.
    fn start(folder: &Path) -> Option<Server> {
        for program in ["pulseaudio", "paplay", "parec"] {
            let there =
                Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            if there.is_err() {
                println!("SKIPPED: no {program} on this machine; `cargo xtask test --yes` installs it");
                return None;
            }
        }
        fs::create_dir_all(folder).unwrap();
        let mut script = format!(
            "load-module module-native-protocol-unix auth-anonymous=1 socket={}/native\n",
            folder.display()
        );
        for end in ["a", "b"] {
            for (sink, name) in [("speaker", "Speaker"), ("mouth", "Mouth")] {
                script += &format!(
                    "load-module module-null-sink sink_name={sink}_{end} rate=48000 channels=1 sink_properties=device.description={name}-{end}\n"
                );
            }
            script += &format!(
                "load-module module-remap-source source_name=mic_{end} master=mouth_{end}.monitor channels=1 source_properties=device.description=Microphone-{end}\n"
            );
        }
        script += "set-default-sink speaker_a\nset-default-source mic_a\n";
        fs::write(folder.join("script.pa"), script).unwrap();
        let said = File::create(folder.join("server.log")).unwrap();
        let mut server = Command::new("pulseaudio");
        server.args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--disable-shm=yes",
        ]);
        server.args(["--realtime=no", "--high-priority=no", "-F"]).arg(folder.join("script.pa"));
        server.env("XDG_RUNTIME_DIR", folder).env("HOME", folder).env_remove("PULSE_SERVER");
        server.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        let server = Own(server.spawn().unwrap());
        until("the sound server", || folder.join("native").exists());
        Some(Server { socket: format!("unix:{}/native", folder.display()), _server: server })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("PULSE_SERVER", &self.socket).stdin(Stdio::null());
        command
    }

    fn listen(&self, source: &str) -> Ear {
        let format = ["--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=5", "-d"];
        let mut command = self.command("parec", &format);
        let mut program = command.arg(source).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = program.stdout.take().unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let into = heard.clone();
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(count @ 1..) = out.read(&mut bytes) {
                into.lock().unwrap().take(&bytes[..count]);
            }
        });
        Ear { heard, program: Own(program), thread }
    }
}

/// What comes out of a source, and when: pieces are handed over unevenly, but never early.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// When sample 0 would have come, by each piece.
    starts: Vec<f64>,
}

impl Heard {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        self.starts.push(now - self.bytes.len() as f64 / 2.0 / RATE as f64);
    }
}

struct Ear {
    heard: Arc<Mutex<Heard>>,
    program: Own,
    thread: JoinHandle<()>,
}

impl Ear {
    fn pieces(&self) -> usize {
        self.heard.lock().unwrap().starts.len()
    }

    /// All that was heard, and when its first sample was.
    fn stop(self) -> Sound {
        drop(self.program);
        self.thread.join().unwrap();
        let mut heard = self.heard.lock().unwrap();
        // The beginning is delivered late.
        let half = heard.starts.len() / 2;
        let mut starts = heard.starts.split_off(half);
        starts.sort_by(f64::total_cmp);
        let samples = heard.bytes.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])));
        Sound { start: starts[starts.len() / 4], samples: samples.collect() }
    }
}

struct Sound {
    start: f64,
    samples: Vec<f32>,
}

impl Sound {
    fn file(path: &Path, start: f64) -> Sound {
        let mut file = hound::WavReader::open(path).unwrap();
        Sound { start, samples: file.samples::<i16>().map(|s| f32::from(s.unwrap())).collect() }
    }

    /// A stretch of 3,000 samples a second: enough to know speech again.
    fn coarse(&self, from: f64, seconds: f64) -> Option<Vec<f32>> {
        let first = (from - self.start) * RATE as f64;
        if first < 0.0 {
            return None;
        }
        let samples = self.samples.get(first as usize..first as usize + (seconds * RATE as f64) as usize)?;
        Some(samples.chunks_exact(16).map(|part| part.iter().sum::<f32>() / 16.0).collect())
    }

    /// How much later, in ms, each second of this is found in `heard`, and how much alike the two are.
    fn found_in(&self, heard: &Sound) -> Vec<(f64, f32)> {
        let energy = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>();
        let mut found = Vec::new();
        let seconds = (self.samples.len() / RATE) as u32;
        for from in (0..seconds).map(|second| self.start + f64::from(second)) {
            let (Some(said), Some(heard)) = (self.coarse(from, 1.0), heard.coarse(from - 0.1, 1.8)) else {
                continue;
            };
            // Silence is known again nowhere.
            if energy(&said) < 300.0 * 300.0 * said.len() as f32 {
                continue;
            }
            // The energy of all before a sample.
            let sums: Vec<f32> = std::iter::once(0.0)
                .chain(heard.iter().scan(0.0, |sum, x| {
                    *sum += x * x;
                    Some(*sum)
                }))
                .collect();
            let own = energy(&said);
            let alike = |lag: usize| {
                let product: f32 = said.iter().zip(&heard[lag..]).map(|(a, b)| a * b).sum();
                product / (own * (sums[lag + said.len()] - sums[lag])).sqrt().max(1.0)
            };
            let best = (0..=heard.len() - said.len()).map(|lag| (alike(lag), lag));
            let (alike, lag) = best.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            found.push((lag as f64 / 3.0 - 100.0, alike));
        }
        found
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What was said is there, most of it well; gives the delay in ms.
fn check(what: &str, found: &[(f64, f32)]) -> f64 {
    let delay = median(found.iter().map(|(delay, _)| *delay).collect());
    let alike = median(found.iter().map(|(_, alike)| f64::from(*alike)).collect());
    println!("{what}: {delay:.0} ms, correlation {alike:.2}, {} stretches of a second", found.len());
    assert!(found.len() >= 3 && alike > 0.4, "{what}: {found:?}");
    delay
}

fn log_time(folder: &Path, ev: &str) -> f64 {
    common::Log::read(folder).time(ev)
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
    let [said, heard, other] = ears.map(Ear::stop);

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
    until("the end of the devices", || {
        let said = call.out() + &call.err();
        said.contains("microphone") && said.contains("speaker Speaker-a: ")
    });
    assert!(start.elapsed() < LONG);
    assert!(!call.out().contains("ended:"), "the call goes on: {}", call.out());
    call.terminate();
    assert_eq!(call.wait(), 0, "{}", call.err());
    answer.says("waiting for the next call");
    answer.terminate();
    assert_eq!(answer.wait(), 0, "{}", answer.err());
}
