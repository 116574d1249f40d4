//! The program calls the one in `examples/c`, which is built against the C library, and is called by it.
#![cfg(unix)]

mod common;

use common::{Desk, until};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The caller in C, compiled into the desk's folder.
struct InC<'a>(&'a Desk);

impl InC<'_> {
    fn compile(desk: &Desk) -> InC<'_> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let beside = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
        let compiled = Command::new("cc")
            .arg("-I")
            .arg(here.join("../../crates/kring-ffi/include"))
            .arg(here.join("../c/caller.c"))
            .arg("-o")
            .arg(desk.path("caller"))
            .arg(format!("-L{}", beside.display()))
            .arg("-lkring_ffi")
            .arg(format!("-Wl,-rpath,{}", beside.display()))
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        InC(desk)
    }

    fn start(&self, arguments: &str) -> Child {
        Command::new(self.0.path("caller"))
            .args(arguments.split_whitespace())
            .args(["--bind", "127.0.0.1:0"])
            .current_dir(self.0.path("."))
            .stdin(Stdio::null())
            .stdout(File::create(self.0.path("c.out")).unwrap())
            .spawn()
            .unwrap()
    }

    fn out(&self) -> String {
        std::fs::read_to_string(self.0.path("c.out")).unwrap()
    }
}

fn ended(program: &mut Child) -> i32 {
    let mut code = None;
    until("the end of the program in C", || {
        code = program.try_wait().unwrap();
        code.is_some()
    });
    code.and_then(|status| status.code()).expect("not killed")
}

/// Whether a second of sound came through.
fn heard(path: &Path) -> bool {
    let mut file = hound::WavReader::open(path).unwrap();
    let loud = file.samples::<i16>().filter(|sample| sample.as_ref().unwrap().unsigned_abs() > 500);
    loud.count() > 48_000 / 2
}

#[test]
fn it_calls_one_in_c() {
    let desk = Desk::new();
    let in_c = InC::compile(&desk);
    let mut answering = in_c.start("answer --accept all --ticket-file ticket --name Ben --speaker c.wav");
    until("a ticket", || desk.path("ticket").exists());
    let (code, out, err) =
        desk.run("call", "call @ticket --mic tone --camera testcard --record here --json --for 5");
    assert_eq!((code, ended(&mut answering)), (0, 0), "{out}{err}{}", in_c.out());
    assert!(in_c.out().contains("the other side records this call"), "{}", in_c.out());
    assert!(heard(&desk.path("c.wav")) && heard(&desk.path("here/recv-audio.wav")));
    // Both read the same words to each other.
    let words =
        in_c.out().lines().find_map(|line| Some(line.strip_prefix("read this to each other: ")?.to_owned()));
    let words = words.expect("a code");
    for word in words.split(' ').take(4) {
        assert!(out.contains(&format!("\"{word}\"")), "{words} in {out}");
    }
}

#[test]
fn it_is_called_by_one_in_c() {
    let desk = Desk::new();
    let in_c = InC::compile(&desk);
    let mut answering = desk.answer("--accept all --mic tone --record here --json --for 20");
    let ticket = std::fs::read_to_string(desk.path("ticket")).unwrap();
    let mut calling = in_c.start(&format!("call {} --speaker c.wav --for 4", ticket.trim()));
    assert_eq!((ended(&mut calling), answering.wait()), (0, 0), "{}{}", in_c.out(), answering.err());
    assert!(in_c.out().contains("ended: this side hung up"), "{}", in_c.out());
    assert!(heard(&desk.path("c.wav")) && heard(&desk.path("here/recv-audio.wav")));
}
