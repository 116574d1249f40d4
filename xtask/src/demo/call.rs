//! Two `kring` programs that call each other over loopback. Whatever happens, both are gone when this returns: told
//! to end, and after three seconds made to.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Failure;

/// What one side says and shows.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) mic: PathBuf,
    pub(crate) camera: PathBuf,
}

/// Both sides.
#[derive(Clone, Debug)]
pub(crate) struct Sides {
    pub(crate) answer: Side,
    pub(crate) call: Side,
}

/// How long the answering side may take to write its ticket.
const TICKET: Duration = Duration::from_secs(10);
/// How much longer than asked for the two may take in all.
const GRACE: Duration = Duration::from_secs(15);
/// How long a program may take to end when told to.
const FAREWELL: Duration = Duration::from_secs(3);

/// Where a side's recording goes, and below it its keys. The role is `answer` or `call`.
pub(crate) fn recording(out: &Path, role: &str) -> PathBuf {
    // By the caller, by the answerer.
    out.join(format!("recorded-by-{role}er"))
}

/// Holds a call of that many seconds; the two [`recording`]s, of `answer` and of `call`, are then there.
pub(crate) fn hold(kring: &Path, out: &Path, sides: &Sides, seconds: u32) -> Result<(), Failure> {
    let interrupted = Interrupted::watch()?;
    for role in ["answer", "call"] {
        clear(&recording(out, role))?;
    }
    let ticket_file = out.join("ticket");
    let _ = fs::remove_file(&ticket_file);
    println!("==> a call of {seconds} s between two programs on this machine");
    let (say, said) = channel();
    let mut show = Progress::new(said, seconds);

    // The answering side waits a little longer, so that it is the caller who hangs up.
    let mut command = caller(kring, "answer", out, &sides.answer, seconds + 4);
    command.args(["--accept", "all", "--bind", "127.0.0.1:0", "--ticket-file"]).arg(&ticket_file);
    let mut answer = Running::start("answer", command, &say)?;
    let began = Instant::now();
    while !has_ticket(&ticket_file) {
        show.lines();
        interrupted.check()?;
        if let Some(status) = answer.ended()? {
            return Err(unexpected_end("answer", status, "before it had written its ticket"));
        }
        if began.elapsed() > TICKET {
            return Err(Failure::failed(format!(
                "expected a ticket in {} within {} s, but there is none; what `kring answer` said is above",
                ticket_file.display(),
                TICKET.as_secs()
            )));
        }
        thread::sleep(Duration::from_millis(20));
    }

    let mut command = caller(kring, "call", out, &sides.call, seconds + 1);
    // The ticket itself is a secret, and command lines are there for all to see.
    let mut at_file = OsString::from("@");
    at_file.push(&ticket_file);
    command.arg(at_file);
    let mut call = Running::start("call", command, &say)?;
    let began = Instant::now();
    show.begin();
    let deadline = began + Duration::from_secs(u64::from(seconds)) + GRACE;
    loop {
        show.lines();
        interrupted.check()?;
        let (called, answered) = (call.ended()?, answer.ended()?);
        for (name, status) in [("call", called), ("answer", answered)] {
            if let Some(status) = status.filter(|s| !s.success()) {
                return Err(unexpected_end(name, status, "instead of holding the call"));
            }
        }
        if called.is_some() && answered.is_some() {
            show.end();
            return Ok(());
        }
        if Instant::now() > deadline {
            println!("    the programs did not end by themselves in time and were told to");
            answer.stop();
            call.stop();
            show.end();
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn caller(kring: &Path, role: &str, out: &Path, side: &Side, seconds: u32) -> Command {
    let mut command = Command::new(kring);
    let folder = recording(out, role);
    command.arg(role).arg("--home").arg(folder.join("home")).arg("--record").arg(folder);
    command.arg("--mic").arg(&side.mic).arg("--camera").arg(&side.camera);
    command.args(["--speaker", "none", "--view", "none", "--for", &seconds.to_string()]);
    command
}

/// An empty folder where the last run's recording was; the last run's keys go with it.
fn clear(folder: &Path) -> Result<(), Failure> {
    let bad = |e: io::Error| Failure::failed(format!("could not make {} empty: {e}", folder.display()));
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(bad(e)),
        _ => {}
    }
    fs::create_dir_all(folder.join("home")).map_err(bad)
}

fn has_ticket(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|m| m.len() > 0)
}

fn unexpected_end(role: &str, status: ExitStatus, when: &str) -> Failure {
    Failure::failed(format!("`kring {role}` ended with {status} {when}; what it said is above"))
}

/// A program under way. When dropped it is stopped.
struct Running {
    role: &'static str,
    child: Child,
}

impl Running {
    fn start(role: &'static str, mut command: Command, say: &Sender<String>) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| {
            Failure::failed(format!("expected to start {}, but: {e}", command.get_program().display()))
        })?;
        if let Some(out) = child.stdout.take() {
            listen(role, out, say.clone());
        }
        if let Some(err) = child.stderr.take() {
            listen(role, err, say.clone());
        }
        Ok(Self { role, child })
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child
            .try_wait()
            .map_err(|e| Failure::failed(format!("`kring {}` can't be waited for: {e}", self.role)))
    }

    /// Asks it to end, so that its recording is whole; after [`FAREWELL`] it is killed.
    fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // The standard library can only kill; the shell knows how to ask.
        let ask = format!("kill -TERM {}", self.child.id());
        let asked = Command::new("sh").args(["-c", &ask]).status();
        let until = Instant::now() + FAREWELL;
        while asked.is_ok() && Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // An error means that it has ended after all.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Passes on each line that a program prints.
fn listen(role: &'static str, from: impl Read + Send + 'static, say: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if say.send(format!("    {role:<6} | {}", line.trim_end())).is_err() {
                return;
            }
        }
    });
}

/// The programs' lines, and under them on a terminal how far the call is.
struct Progress {
    said: Receiver<String>,
    began: Option<Instant>,
    seconds: u32,
    shown: Option<u64>,
    terminal: bool,
}

impl Progress {
    fn new(said: Receiver<String>, seconds: u32) -> Self {
        Self { said, began: None, seconds, shown: None, terminal: io::stdout().is_terminal() }
    }

    fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    fn lines(&mut self) {
        while let Ok(line) = self.said.try_recv() {
            self.wipe();
            println!("{line}");
        }
        let Some(began) = self.began else { return };
        let second = began.elapsed().as_secs().min(u64::from(self.seconds));
        if self.shown == Some(second) {
            return;
        }
        if self.terminal {
            self.wipe();
            print!("    {second} s of {}", self.seconds);
            // Progress that can't be shown is no reason to end the call.
            let _ = io::stdout().flush();
        } else if second.is_multiple_of(5) {
            println!("    {second} s of {}", self.seconds);
        }
        self.shown = Some(second);
    }

    fn wipe(&mut self) {
        if self.terminal && self.shown.take().is_some() {
            print!("\r\x1b[K");
        }
    }

    fn end(&mut self) {
        // What was printed last is still on its way.
        thread::sleep(Duration::from_millis(50));
        self.lines();
        self.wipe();
    }
}

/// Ctrl-C (and a request to end), noticed rather than obeyed while two programs have to be stopped first.
struct Interrupted {
    seen: Arc<AtomicBool>,
    obey: Arc<AtomicBool>,
}

impl Interrupted {
    fn watch() -> Result<Self, Failure> {
        let (seen, obey) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&obey))
                .and_then(|_| flag::register(signal, Arc::clone(&seen)))
                .map_err(|e| Failure::failed(format!("could not prepare for Ctrl-C: {e}")))?;
        }
        Ok(Self { seen, obey })
    }

    fn check(&self) -> Result<(), Failure> {
        if self.seen.load(Ordering::Relaxed) {
            return Err(Failure::failed("interrupted; both programs were ended"));
        }
        Ok(())
    }
}

impl Drop for Interrupted {
    fn drop(&mut self) {
        self.obey.store(true, Ordering::Relaxed);
    }
}
