//! The shared library exports the functions of the header, and nothing else.
#![cfg(target_os = "linux")]

mod common;

use common::{has, here, left_out, library, tool};
use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn the_library_exports_the_functions_of_the_header_and_nothing_else() {
    if !has("nm") {
        return left_out("exported symbols", "no nm");
    }
    let listed = tool(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(library()));
    assert!(listed.status.success());
    let listed = String::from_utf8_lossy(&listed.stdout);
    let exported: BTreeSet<&str> = listed.lines().filter_map(|line| line.split(' ').next_back()).collect();
    let header = std::fs::read_to_string(here("include/kring.h")).expect("the header");
    // A function is declared at the beginning of a line; callbacks are members and types.
    let declared: BTreeSet<&str> = header
        .lines()
        .filter(|line| {
            line.starts_with("int32_t ") || line.starts_with("uint32_t ") || line.starts_with("const char *")
        })
        .filter_map(|line| Some(&line[line.find("kring_")?..line.find('(')?]))
        .collect();
    assert!(declared.len() > 90, "{declared:?}");
    assert_eq!(exported, declared);
}
