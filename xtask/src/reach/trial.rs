//! One call between two homes, by real callers and a real relay.
//!
//! Guarantee: no program outlives its trial.

use super::lab::{Home, Lab, Nat};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
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
    /// What a packet takes between any two places.
    pub(crate) delay: Duration,
}

/// What came of a call, in ms from dialling.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// The other side has proven itself, and media flows.
    pub(crate) connected: f64,
    /// The first sound of the other is heard, by the caller and by the callee.
    pub(crate) heard: [Option<f64>; 2],
    /// Packets go directly; 0 if all do.
    pub(crate) direct: Option<f64>,
    /// How they go in the end.
    pub(crate) relayed: bool,
    /// Sound that was made up from the last change of way on (or from the first second on), at the caller and at the callee, in ms.
    pub(crate) concealed: [f64; 2],
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

    /// Sends a signal.
    fn signal(&self, which: &str) -> Result<(), String> {
        let sent = Command::new("kill").args([which, &self.child.id().to_string()]).status();
        sent.is_ok_and(|status| status.success()).then_some(()).ok_or(format!("kill {which} failed"))
    }

    /// Waits for a line of a program that goes on.
    fn find(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(line) = self.lines().into_iter().find(&fits) {
                return Ok(line);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("expected {what} within {} s, it did not come", PATIENCE.as_secs()))
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
    /// Has A call B for `seconds`, both with `extra` arguments.
    pub(crate) fn begin(
        lab: &Lab,
        programs: &Programs,
        folder: &Path,
        seconds: u64,
        extra: &[&str],
    ) -> Result<Talk, String> {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let (kring, relay) = (programs.kring.to_string_lossy(), programs.relay.to_string_lossy());
        let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let mut command = lab.at_server(&relay);
        command.args(["--bind", &lab.server(443)]);
        let relay = Running::start(command)?;
        std::thread::sleep(Duration::from_millis(300));
        let ticket = at("ticket");
        let mut command = lab.at_home(Home::B, &kring);
        command.args(["answer", "--accept", "all", "--mic", "tone", "--speaker", "none", "--json"]);
        command.args(["--relay", &lab.server(443), "--bind", lab.any(), "--ticket-file", &ticket]);
        command.args(["--home", &at("b"), "--stats", &at("b.stats"), "--record", &at("b.heard")]);
        command.args(extra);
        let mut callee = Running::start(command)?;
        callee.wait("a ticket", |line| is(line, "waiting"))?;
        let mut command = lab.at_home(Home::A, &kring);
        command.args(["call", &format!("@{ticket}"), "--mic", "tone", "--speaker", "none", "--json"]);
        command.args(["--home", &at("a"), "--stats", &at("a.stats"), "--record", &at("a.heard")]);
        command.args(["--bind", lab.any(), "--for", &seconds.to_string()]);
        command.args(extra);
        let caller = Running::start(command)?;
        Ok(Talk { caller, callee, _relay: relay, folder: folder.to_owned() })
    }

    /// The lines of that side's statistics while it talked.
    pub(crate) fn stats(&self, side: &str) -> Vec<Value> {
        let connected = |line: &Value| line["state"] == "connected";
        read(&self.folder.join(format!("{side}.stats"))).into_iter().filter(connected).collect()
    }

    /// When that side first heard the other.
    fn heard(&self, side: &str) -> Option<f64> {
        let log = read(&self.folder.join(format!("{side}.heard")).join("log.jsonl"));
        log.iter().find(|line| is(line, "first-audio")).map(time)
    }
}

/// The lines of a file that are whole.
fn read(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// When that was, in ms.
pub(crate) fn time(line: &Value) -> f64 {
    line["t"].as_f64().unwrap_or_default() * 1000.0
}

/// Has A call B, and says what came of it.
pub(crate) fn call(programs: &Programs, a: Nat, b: Nat, folder: &Path) -> Result<Outcome, String> {
    let lab = Lab::new(a, b, programs.delay)?;
    let mut talk = Talk::begin(&lab, programs, folder, PATIENCE.as_secs(), &[])?;
    let dialled = time(&talk.caller.wait("dialling", |line| is(line, "dial"))?);
    let connected = time(&talk.caller.wait("a call", |line| is(line, "connected"))?) - dialled;
    std::thread::sleep(TALK);
    let lines = talk.caller.lines();
    let moved = lines.iter().rfind(|line| is(line, "path"));
    let relayed = talk.stats("a").last().is_some_and(|line| line["path"] == "relayed");
    let direct = match moved {
        Some(line) if line["path"] == "direct" => Some(time(line) - dialled),
        // From its first packet on.
        _ => (!relayed).then_some(0.0),
    };
    let concealed = [("a", &talk.caller), ("b", &talk.callee)].map(|(side, program)| {
        let (stats, lines) = (talk.stats(side), program.lines());
        let of = |line: Option<&Value>| line.and_then(|line| line["audio_concealed_ms"].as_f64());
        let before = of(lines.iter().rfind(|line| is(line, "path")).or(stats.first()));
        of(stats.last()).unwrap_or_default() - before.unwrap_or_default()
    });
    let heard = ["a", "b"].map(|side| talk.heard(side).map(|heard| heard - dialled));
    Ok(Outcome { connected, heard, direct, relayed, concealed })
}

/// Has the two talk, takes one of them from its network for so long, and puts it into another; gives the ms from there until
/// each side hears the other again, the caller first.
pub(crate) fn change(
    programs: &Programs,
    pair: [Nat; 2],
    (who, away, to): (Home, Duration, Nat),
    folder: &Path,
) -> Result<[f64; 2], String> {
    let lab = Lab::new(pair[0], pair[1], programs.delay)?;
    let mut talk = Talk::begin(&lab, programs, folder, (away + PATIENCE).as_secs(), &[])?;
    talk.caller.wait("a call", |line| is(line, "connected"))?;
    std::thread::sleep(Duration::from_secs(3));
    lab.unplug(who)?;
    std::thread::sleep(away);
    lab.plug(who, to)?;
    let up = now()?;
    let mut after = [0.0; 2];
    for (side, after) in [&mut talk.caller, &mut talk.callee].into_iter().zip(&mut after) {
        let resumed = side.wait("sound", |line| is(line, "resumed") && time(line) > up - 500.0)?;
        *after = time(&resumed) - up;
    }
    Ok(after)
}

/// Has the two talk, lets one of them sleep for so long, and gives the ms from waking up until the other hears it again, and the sound
/// that is made up on either side in the three seconds after the first.
pub(crate) fn sleep(
    programs: &Programs,
    pair: [Nat; 2],
    (who, asleep): (Home, Duration),
    folder: &Path,
) -> Result<(f64, [f64; 2]), String> {
    let lab = Lab::new(pair[0], pair[1], programs.delay)?;
    let mut talk = Talk::begin(&lab, programs, folder, (asleep + PATIENCE).as_secs(), &[])?;
    talk.caller.wait("a call", |line| is(line, "connected"))?;
    std::thread::sleep(Duration::from_secs(3));
    let (sleeper, awake) = match who {
        Home::A => (&talk.caller, &talk.callee),
        Home::B => (&talk.callee, &talk.caller),
    };
    sleeper.signal("-STOP")?;
    std::thread::sleep(asleep);
    sleeper.signal("-CONT")?;
    let woken = now()?;
    let resumed = awake.find("sound", |line| is(line, "resumed") && time(line) > woken - 500.0)?;
    std::thread::sleep(Duration::from_secs(5));
    if let Some(end) =
        [&talk.caller, &talk.callee].iter().flat_map(|side| side.lines()).find(|l| is(l, "ended"))
    {
        return Err(format!("the call ended: {end}"));
    }
    let concealed = ["a", "b"].map(|side| {
        let after = |from: f64| {
            talk.stats(side).into_iter().find(move |line| time(line) > woken + from).unwrap_or_default()
        };
        let of = |line: &Value| line["audio_concealed_ms"].as_f64().unwrap_or(f64::NAN);
        of(&after(4000.0)) - of(&after(1000.0))
    });
    Ok((time(&resumed) - woken, concealed))
}

/// In ms.
fn now() -> Result<f64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    Ok(now.as_secs_f64() * 1000.0)
}

/// Has A call B, both through the relay only if `hidden`; gives who sent to whom on the internet.
pub(crate) fn overhear(
    programs: &Programs,
    pair: [Nat; 2],
    hidden: bool,
    folder: &Path,
) -> Result<BTreeSet<(IpAddr, IpAddr)>, String> {
    let lab = Lab::new(pair[0], pair[1], programs.delay)?;
    let extra: &[&str] = if hidden { &["--relay-only"] } else { &[] };
    let mut talk = Talk::begin(&lab, programs, folder, PATIENCE.as_secs(), extra)?;
    talk.caller.wait("a call", |line| is(line, "connected"))?;
    std::thread::sleep(TALK);
    let heard = talk.stats("a").last().and_then(|line| line["audio_played_ms"].as_f64());
    if heard.is_none_or(|heard| heard < 1000.0) {
        return Err("the two did not hear each other".into());
    }
    Ok(lab.overheard())
}
