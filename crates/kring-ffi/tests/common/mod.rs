//! Programs in C, compiled against the library as a program would be, and run.
#![allow(dead_code, missing_docs, unreachable_pub)]

use kring::capture::Consent;
use kring::{Endpoint, Event, Media};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What finds mistakes that a program survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    Nothing,
    Valgrind,
    Sanitizers,
}

pub fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The shared library of this very build: cargo has put it beside the tests.
pub fn library() -> PathBuf {
    let exe = std::env::current_exe().expect("this test");
    let beside = exe.parent().expect("a folder").join(format!(
        "{}kring_ffi{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ));
    assert!(beside.is_file(), "expected the library at {}", beside.display());
    beside
}

pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Says what is left out, where people see it.
#[allow(clippy::print_stderr)]
pub fn left_out(what: &str, why: &str) {
    eprintln!("LEFT OUT: {what}: {why}; `cargo xtask test` installs it");
}

/// A compiled program, in a folder of its own.
pub struct Program {
    pub folder: TempDir,
    watch: Watch,
}

impl Program {
    /// Compiles `source` (a path in this crate); `None`, loudly, where what watches over it is not there.
    pub fn compile(source: &str, watch: Watch) -> Option<Program> {
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        if !has(&compiler) {
            left_out(source, "no C compiler");
            return None;
        }
        if watch == Watch::Valgrind && !has("valgrind") {
            left_out(source, "no valgrind");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let library = library();
        let mut command = Command::new(&compiler);
        command
            .args(["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"])
            .arg("-I")
            .arg(here("include"))
            .arg("-I")
            .arg(here("tests/c"))
            .arg(here(source))
            .arg("-o")
            .arg(folder.path().join("program"))
            .arg(&library)
            .arg(format!("-Wl,-rpath,{}", library.parent().expect("a folder").display()))
            .arg("-lm");
        if watch == Watch::Sanitizers {
            command.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
        }
        let compiled = command.output().expect("a compiler");
        let said = String::from_utf8_lossy(&compiled.stderr);
        if watch == Watch::Sanitizers && !compiled.status.success() && said.contains("asan") {
            left_out(source, "the compiler has no AddressSanitizer");
            return None;
        }
        assert!(compiled.status.success(), "{source} does not compile:\n{said}");
        Some(Program { folder, watch })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let program = self.path("program");
        let mut command = if self.watch == Watch::Valgrind {
            let mut command = Command::new("valgrind");
            // Threads take turns, or those in real time would starve.
            command.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--fair-sched=try"]);
            command.args(["--show-leak-kinds=definite,indirect,possible"]);
            command.args(["--errors-for-leak-kinds=definite,indirect,possible"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().expect("a program that starts"))
    }

    /// Runs it to its end, which has to be a good one.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.start(arguments).well()
    }
}

/// A program that runs; it is ended if the test ends before.
pub struct Running(Child);

impl Running {
    /// Waits for its end, which has to be a good one and come in time; gives what it said.
    pub fn well(mut self) -> String {
        let until = Instant::now() + Duration::from_secs(150);
        let (out, err) = (self.0.stdout.take(), self.0.stderr.take());
        let read = |stream: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut text = String::new();
                if let Some(mut stream) = stream {
                    let _ = stream.read_to_string(&mut text);
                }
                text
            })
        };
        let out = read(out.map(|s| Box::new(s) as Box<dyn Read + Send>));
        let err = read(err.map(|s| Box::new(s) as Box<dyn Read + Send>));
        let status = loop {
            match self.0.try_wait().expect("a child") {
                Some(status) => break Some(status),
                None if Instant::now() > until => break None,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        if status.is_none() {
            let _ = self.0.kill();
        }
        let (out, err) = (out.join().expect("text"), err.join().expect("text"));
        match status {
            Some(status) => assert!(status.success(), "ended with {status}\n{out}\n{err}"),
            None => panic!("it does not end\n{out}\n{err}"),
        }
        out
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a tool and gives what it says.
pub fn tool(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"))
}

/// What a program writes in one go, once it is there.
pub fn file(path: &Path) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) => return text,
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

/// The share of a sine of `hertz` in samples at 48 kHz, 0 to 1.
pub fn share_of(hertz: f64, samples: &[f32]) -> f64 {
    let (mut re, mut im, mut all) = (0.0, 0.0, 1e-12);
    for (n, x) in samples.iter().enumerate() {
        let phase = std::f64::consts::TAU * hertz * n as f64 / 48_000.0;
        re += f64::from(*x) * phase.cos();
        im += f64::from(*x) * phase.sin();
        all += f64::from(*x) * f64::from(*x);
    }
    2.0 * (re * re + im * im) / (all * samples.len() as f64)
}

/// All of a WAV file.
pub fn sound(path: &Path) -> Vec<f32> {
    let mut file = hound::WavReader::open(path).expect("a WAV file");
    assert_eq!(file.spec().sample_rate, 48_000);
    file.samples::<i16>().map(|s| f32::from(s.expect("a sample")) / 32_768.0).collect()
}

/// Whether a tone of `hertz` is heard for a tenth of a second at least; on a busy machine there may be gaps around it.
pub fn has_tone(hertz: f64, sound: &[f32]) -> bool {
    let loud = |part: &[f32]| part.iter().any(|x| x.abs() > 0.05);
    sound.chunks_exact(4800).any(|part| loud(part) && share_of(hertz, part) > 0.9)
}

/// The `kring` caller of this build, if it was built.
pub fn caller() -> Option<PathBuf> {
    let caller = library().parent()?.parent()?.join(format!("kring{}", std::env::consts::EXE_SUFFIX));
    caller.is_file().then_some(caller)
}

/// Starts an example that prints a ticket, calls it, and looks at what it has heard. Its name in the call is `name`; it
/// records to `heard.wav` in `folder`, and ends with the call.
pub async fn called_from_rust(example: &mut Command, name: &str, folder: &Path) {
    let mut running = Running(example.stdout(Stdio::piped()).spawn().expect("a program that starts"));
    let mut said = BufReader::new(running.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let ticket = said.find_map(|line| line.strip_prefix("call me by ").map(str::to_owned)).expect("a ticket");
    let endpoint = Endpoint::builder().build().expect("an endpoint");
    let media = Media::new(Consent::to_nothing()).microphone(kring::capture::Tone::new().frequency(700.0));
    let call = endpoint.dial(&ticket.parse().expect("a ticket"), media);
    let answered = tokio::time::timeout(Duration::from_secs(60), call.connected()).await;
    answered.expect("an answer in time").expect("an answer");
    assert_eq!(call.peer_name(), name);
    while call.next_event().await.expect("the call goes on") != Event::PeerRecording(true) {}
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(call.stats().remote.map(|remote| remote.total_samples_duration > 1.0), Some(true));
    call.hang_up().await;
    let last = said.last().unwrap_or_default();
    assert!(last.contains("hung up"), "it says how the call ended: {last}");
    assert!(running.0.wait().expect("its end").success());
    assert!(has_tone(700.0, &sound(&folder.join("heard.wav"))));
}
