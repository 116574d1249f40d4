//! What the header promises to programs that are built already, compared with the committed abi/kring.abi.
//!
//! The library's own debug information describes Rust; so each function of the header is given an empty body in C, and abidw describes
//! that. That the library exports these functions and no others is another test (only_kring_symbols.rs), that the header fits the source is
//! `cargo xtask lint`'s.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use common::{has, here, left_out, tool};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A bit of abidiff's exit code: programs that are built already may break.
const INCOMPATIBLE: i32 = 8;

/// Every function of the header, with a body that does nothing.
fn bodies(header: &str) -> String {
    let declared = header.split("extern \"C\" {").nth(1).expect("declarations");
    let mut source = String::from("#include <kring.h>\n");
    let mut rest = declared;
    while let Some(start) = rest
        .find("\nint32_t kring_")
        .into_iter()
        .chain(rest.find("\nuint32_t kring_"))
        .chain(rest.find("\nconst char *kring_"))
        .min()
    {
        let end = start + rest[start..].find(';').expect("an end of the declaration");
        source.push_str(&rest[start..end]);
        source.push_str(" { __builtin_trap(); }\n");
        rest = &rest[end..];
    }
    source
}

/// What abidw says of a library with that header.
fn describe(folder: &Path, header: &str) -> PathBuf {
    let (library, abi) = (folder.join("libkring.so"), folder.join("kring.abi"));
    std::fs::write(folder.join("kring.h"), header).expect("a file");
    std::fs::write(folder.join("abi.c"), bodies(header)).expect("a file");
    let compiled = tool(
        Command::new("cc")
            .args(["-std=c11", "-g", "-O0", "-shared", "-fPIC", "-I.", "abi.c", "-o", "libkring.so"])
            .current_dir(folder),
    );
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    // Without places and paths, which say nothing about the ABI.
    let described = tool(
        Command::new("abidw")
            .args(["--no-show-locs", "--no-corpus-path", "--no-comp-dir-path", "--out-file"])
            .arg(&abi)
            .arg(&library),
    );
    assert!(described.status.success(), "{}", String::from_utf8_lossy(&described.stderr));
    abi
}

fn compare(committed: &Path, now: &Path) -> (i32, String) {
    let compared = tool(Command::new("abidiff").arg(committed).arg(now));
    (compared.status.code().expect("not killed"), String::from_utf8_lossy(&compared.stdout).into_owned())
}

fn header() -> String {
    std::fs::read_to_string(here("include/kring.h")).expect("the header")
}

fn lacks_tools() -> bool {
    let lacks = !has("abidw") || !has("abidiff") || !has("cc");
    if lacks {
        left_out("the ABI", "no abigail-tools or no cc");
    }
    lacks
}

#[test]
fn the_abi_is_as_committed() {
    if lacks_tools() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let now = describe(folder.path(), &header());
    let committed = here("abi/kring.abi");
    if std::env::var_os("KRING_WRITE_ABI").is_some() {
        std::fs::copy(&now, &committed).expect("a file");
    }
    let (code, said) = compare(&committed, &now);
    assert!(code & INCOMPATIBLE == 0, "programs that are built already would break:\n{said}");
    assert!(
        code == 0,
        "the ABI has changed: if it only grew, raise the minor version of KRING_ABI_VERSION and run this test with \
         KRING_WRITE_ABI=1; else programs that are built already break:\n{said}"
    );
}

#[test]
fn a_change_that_breaks_programs_would_be_seen() {
    if lacks_tools() {
        return;
    }
    let changes = [
        ("double hertz", "float hertz"),
        ("uint32_t track;", "uint64_t track;"),
        ("int32_t kring_call_hang_up(", "int32_t kring_call_hung_up("),
    ];
    for (from, to) in changes {
        let folder = tempfile::tempdir().expect("a folder");
        let changed = header().replace(from, to);
        assert_ne!(changed, header(), "{from} is in the header");
        let (code, said) = compare(&here("abi/kring.abi"), &describe(folder.path(), &changed));
        assert_ne!(code, 0, "{from} became {to}: {said}");
    }
}
