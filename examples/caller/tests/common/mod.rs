//! Runs the program as people do: real processes over loopback, in folders of their own. A process that outlives its
//! test is killed, and no wait is without an end.
#![allow(dead_code, reason = "no test file uses all of it")]

use serde_json::Value;
use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes, even on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(40);

/// A folder for one test.
pub(crate) struct Desk {
    folder: TempDir,
    /// What programs find in their environment.
    environment: RefCell<Vec<(String, String)>>,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        Desk { folder: tempfile::tempdir().unwrap(), environment: RefCell::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts something into the environment of the programs that are started from now on.
    pub(crate) fn set(&self, name: &str, value: &str) {
        self.environment.borrow_mut().push((name.into(), value.into()));
    }

    /// Starts `kring` with these arguments, as `who`, whose home it gets. A first word beginning with `call` or
    /// `answer` gets a loopback address.
    pub(crate) fn start(&self, who: &str, arguments: &str) -> Program {
        self.start_by(Command::new(env!("CARGO_BIN_EXE_kring")), who, arguments)
    }

    /// Runs `kring` to its end in a shell that did `script` before, which ends by `exec "$0" "$@"`.
    pub(crate) fn run_under(&self, who: &str, script: &str, arguments: &str) -> (i32, String, String) {
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_kring")]);
        let mut program = self.start_by(command, who, arguments);
        let code = program.wait();
        (code, program.out(), program.err())
    }

    fn start_by(&self, mut command: Command, who: &str, arguments: &str) -> Program {
        let home = self.path(&format!("home-{who}"));
        let (out, err) = (self.path(&format!("{who}.out")), self.path(&format!("{who}.err")));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        command.envs(self.environment.borrow().iter().map(|(name, value)| (name, value)));
        if !arguments.starts_with("devices") {
            command.arg("--home").arg(home);
        }
        if !arguments.contains("--bind") && ["call", "answer"].iter().any(|c| arguments.starts_with(c)) {
            command.args(["--bind", "127.0.0.1:0"]);
        }
        command.env_remove("KRING_TICKET").env_remove("KRING_HOME").stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        Program { child: command.spawn().unwrap(), out, err }
    }

    /// Starts `kring answer` and waits for its ticket, which is then in the file `ticket`.
    pub(crate) fn answer(&self, arguments: &str) -> Program {
        let _ = fs::remove_file(self.path("ticket"));
        let program = self.start("answer", &format!("answer --ticket-file ticket {arguments}"));
        until("a ticket", || self.path("ticket").exists());
        program
    }

    /// Runs `kring` to its end; gives exit code, standard output and standard error.
    pub(crate) fn run(&self, who: &str, arguments: &str) -> (i32, String, String) {
        let mut program = self.start(who, arguments);
        let code = program.wait();
        (code, program.out(), program.err())
    }
}

pub(crate) struct Program {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Program {
    pub(crate) fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    pub(crate) fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Waits until standard output holds `text`.
    pub(crate) fn says(&self, text: &str) {
        until(text, || self.out().contains(text));
    }

    /// Asks it to end, as a system does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; gives the exit code.
    pub(crate) fn wait(&mut self) -> i32 {
        let mut code = None;
        let err = self.err.clone();
        until("the end of a program", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        let code = code.and_then(|status| status.code());
        code.unwrap_or_else(|| panic!("killed: {}", fs::read_to_string(err).unwrap()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something.
pub(crate) fn until(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < LONG, "no sign of {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A recording's log.
pub(crate) struct Log(pub(crate) Vec<Value>);

impl Log {
    pub(crate) fn read(folder: &Path) -> Log {
        let text = fs::read_to_string(folder.join("log.jsonl")).unwrap();
        assert!(text.ends_with('\n'), "the log ends within a line");
        Log(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// All lines of one kind.
    pub(crate) fn all(&self, ev: &str) -> Vec<&Value> {
        self.0.iter().filter(|line| line["ev"] == ev).collect()
    }

    /// The time of the only line of this kind.
    pub(crate) fn time(&self, ev: &str) -> f64 {
        let all = self.all(ev);
        assert_eq!(all.len(), 1, "lines of {ev}");
        all[0]["t"].as_f64().unwrap()
    }
}
