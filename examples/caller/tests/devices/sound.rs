//! A sound server of one's own, without hardware: two ends of a telephone, what is played and heard there, and knowing
//! speech again in what was heard.

use super::Own;
use crate::common::until;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

const RATE: usize = 48_000;

/// A sound server with two ends of a telephone: for each a speaker, whose sound can be recorded, and a microphone with
/// a mouth to play into.
pub(crate) struct Server {
    pub(crate) socket: String,
    _server: Own,
}

impl Server {
    /// `None` where the programs for it are missing.
    pub(crate) fn start(folder: &Path) -> Option<Server> {
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

    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("PULSE_SERVER", &self.socket).stdin(Stdio::null());
        command
    }

    pub(crate) fn listen(&self, source: &str) -> Ear {
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
pub(crate) struct Heard {
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

pub(crate) struct Ear {
    heard: Arc<Mutex<Heard>>,
    program: Own,
    thread: JoinHandle<()>,
}

impl Ear {
    pub(crate) fn pieces(&self) -> usize {
        self.heard.lock().unwrap().starts.len()
    }

    /// All that was heard, and when its first sample was.
    pub(crate) fn stop(self) -> Sound {
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

pub(crate) struct Sound {
    start: f64,
    samples: Vec<f32>,
}

impl Sound {
    pub(crate) fn file(path: &Path, start: f64) -> Sound {
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
    pub(crate) fn found_in(&self, heard: &Sound) -> Vec<(f64, f32)> {
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
pub(crate) fn check(what: &str, found: &[(f64, f32)]) -> f64 {
    let delay = median(found.iter().map(|(delay, _)| *delay).collect());
    let alike = median(found.iter().map(|(_, alike)| f64::from(*alike)).collect());
    println!("{what}: {delay:.0} ms, correlation {alike:.2}, {} stretches of a second", found.len());
    assert!(found.len() >= 3 && alike > 0.4, "{what}: {found:?}");
    delay
}
