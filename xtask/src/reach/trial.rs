//! One call between two homes, by real callers and a real relay.
//!
//! Guarantee: no program outlives its trial.

use super::lab::{Home, Lab, Nat, SERVER};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the two talk.
const TALK: Duration = Duration::from_secs(5);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(25);

/// The programs.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) kring: PathBuf,
    pub(crate) relay: PathBuf,
}

/// What came of a call, in ms from dialling.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Media flows.
    pub(crate) connected: Option<f64>,
    /// Packets go directly.
    pub(crate) direct: Option<f64>,
    /// How they go in the end.
    pub(crate) relayed: bool,
    /// Sound that was made up, at either side.
    pub(crate) concealed: f64,
}

/// A program that is ended with this.
pub(crate) struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    _reader: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Result<Running, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (out, sink) = (child.stdout.take().ok_or("no output")?, lines.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line) {
                    sink.lock().expect("a reader does not panic").push(value);
                }
            }
        });
        Ok(Running { child, lines, _reader: reader })
    }

    /// Every line so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().expect("a reader does not panic").clone()
    }

    /// Waits for a line.
    pub(crate) fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(line) = self.lines().into_iter().find(&fits) {
                return Ok(line);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                std::thread::sleep(Duration::from_millis(50));
                return self.lines().into_iter().find(&fits).ok_or(format!("ended before {what}: {status}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("expected {what} within {} s, it did not come", PATIENCE.as_secs()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a line tells of that event.
pub(crate) fn is(line: &Value, event: &str) -> bool {
    line["ev"] == event
}

/// Two callers that talk, and their relay.
pub(crate) struct Talk {
    pub(crate) caller: Running,
    pub(crate) callee: Running,
    _relay: Running,
    pub(crate) folder: PathBuf,
}

impl Talk {
    /// Has A call B for `seconds`.
    pub(crate) fn begin(lab: &Lab, programs: &Programs, folder: &Path, seconds: u64) -> Result<Talk, String> {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let (kring, relay) = (programs.kring.to_string_lossy(), programs.relay.to_string_lossy());
        let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let mut command = lab.at_server(&relay);
        command.args(["--bind", &format!("{SERVER}:443")]);
        let relay = Running::start(command)?;
        std::thread::sleep(Duration::from_millis(300));
        let ticket = at("ticket");
        let mut command = lab.at_home(Home::B, &kring);
        command.args(["answer", "--accept", "all", "--mic", "tone", "--speaker", "none", "--json"]);
        command.args(["--relay", &format!("{SERVER}:443"), "--ticket-file", &ticket]);
        command.args(["--home", &at("b"), "--stats", &at("b.stats")]);
        let mut callee = Running::start(command)?;
        callee.wait("a ticket", |line| is(line, "waiting"))?;
        let mut command = lab.at_home(Home::A, &kring);
        command.args(["call", &format!("@{ticket}"), "--mic", "tone", "--speaker", "none", "--json"]);
        command.args(["--home", &at("a"), "--stats", &at("a.stats"), "--for", &seconds.to_string()]);
        let caller = Running::start(command)?;
        Ok(Talk { caller, callee, _relay: relay, folder: folder.to_owned() })
    }

    /// The last line of that side's statistics.
    pub(crate) fn last_stats(&self, side: &str) -> Value {
        let text = fs::read_to_string(self.folder.join(format!("{side}.stats"))).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.rfind(|line| line["state"] == "connected").unwrap_or_default()
    }
}

/// Has A call B, and says what came of it.
pub(crate) fn call(programs: &Programs, a: Nat, b: Nat, folder: &Path) -> Result<Outcome, String> {
    let lab = Lab::new(a, b)?;
    let mut talk = Talk::begin(&lab, programs, folder, PATIENCE.as_secs())?;
    let time = |line: &Value| line["t"].as_f64().unwrap_or_default() * 1000.0;
    let dialled = time(&talk.caller.wait("dialling", |line| is(line, "dial"))?);
    let connected = time(&talk.caller.wait("a call", |line| is(line, "connected"))?);
    std::thread::sleep(TALK);
    let lines = talk.caller.lines();
    let moved = lines.iter().rfind(|line| is(line, "path"));
    let stats = talk.last_stats("a");
    let relayed = stats["path"] == "relayed";
    let direct = match moved {
        Some(line) if line["path"] == "direct" => Some(time(line) - dialled),
        _ => (!relayed).then_some(connected - dialled),
    };
    let concealed = |side: &str| talk.last_stats(side)["audio_concealed_ms"].as_f64().unwrap_or_default();
    let concealed = concealed("a") + concealed("b");
    Ok(Outcome { connected: Some(connected - dialled), direct, relayed, concealed })
}

/// Has the two talk, takes one of them from its network for three seconds, and puts it into another; gives the ms from there until
/// each side hears the other again, the caller first.
pub(crate) fn change(
    programs: &Programs,
    pair: [Nat; 2],
    who: Home,
    to: Nat,
    folder: &Path,
) -> Result<[f64; 2], String> {
    let lab = Lab::new(pair[0], pair[1])?;
    let mut talk = Talk::begin(&lab, programs, folder, PATIENCE.as_secs())?;
    talk.caller.wait("a call", |line| is(line, "connected"))?;
    std::thread::sleep(Duration::from_secs(3));
    lab.unplug(who)?;
    std::thread::sleep(Duration::from_secs(3));
    lab.plug(who, to)?;
    let up = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs_f64();
    let mut after = [0.0; 2];
    for (side, after) in [&mut talk.caller, &mut talk.callee].into_iter().zip(&mut after) {
        let resumed =
            side.wait("sound", |line| is(line, "resumed") && line["t"].as_f64() > Some(up - 0.5))?;
        *after = (resumed["t"].as_f64().unwrap_or_default() - up) * 1000.0;
    }
    Ok(after)
}
