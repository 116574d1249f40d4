//! Real callers behind real NATs, in network namespaces: those whom theory lets meet go directly, all others through the relay, and
//! a call goes on in another network. `cargo xtask reach` has all pairs, with times.
//!
//! Needs root, `ip` and `nft`; says so where they are missing.

#![cfg(target_os = "linux")]
#![allow(dead_code, clippy::print_stderr)]

#[path = "../../../xtask/src/reach/lab.rs"]
mod lab;
#[path = "../../../xtask/src/reach/trial.rs"]
mod trial;

use lab::{Home, Nat};
use std::path::PathBuf;
use std::process::Command;
use trial::Programs;

/// The programs, unless there can be no namespaces here.
fn programs() -> Option<Programs> {
    if let Some(missing) = lab::missing() {
        eprintln!("SKIPPED: expected {missing}, found none, so nothing is known of NATs");
        return None;
    }
    let kring = PathBuf::from(env!("CARGO_BIN_EXE_kring"));
    let relay = kring.with_file_name("kring-relay");
    // Another crate's program: there if the whole workspace was built.
    if !relay.exists() {
        let built = Command::new(env!("CARGO")).args(["build", "-p", "kring-relay"]).status();
        assert!(built.is_ok_and(|status| status.success()), "the relay cannot be built");
    }
    Some(Programs { kring, relay })
}

fn meet(a: Nat, b: Nat) {
    let Some(programs) = programs() else { return };
    let folder = tempfile::tempdir().unwrap();
    let outcome = trial::call(&programs, a, b, folder.path()).unwrap();
    assert_eq!(outcome.relayed, !a.can_meet(b), "{outcome:?}");
}

#[test]
fn in_the_open_a_call_is_direct() {
    meet(Nat::Open, Nat::Open);
}

#[test]
fn two_behind_home_routers_meet() {
    meet(Nat::PortRestricted, Nat::PortRestricted);
}

#[test]
fn two_behind_symmetric_nats_talk_through_the_relay() {
    meet(Nat::Symmetric, Nat::Symmetric);
}

#[test]
fn where_udp_is_blocked_a_call_goes_over_tcp() {
    meet(Nat::NoUdp, Nat::PortRestricted);
}

#[test]
fn a_call_goes_on_in_another_network() {
    let Some(programs) = programs() else { return };
    for who in [Home::A, Home::B] {
        let folder = tempfile::tempdir().unwrap();
        let pair = [Nat::PortRestricted; 2];
        trial::change(&programs, pair, who, Nat::Symmetric, folder.path()).unwrap();
    }
}
