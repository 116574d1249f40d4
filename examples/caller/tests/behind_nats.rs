//! Real callers behind real NATs, in network namespaces: those whom theory lets meet go directly, all others through the relay, and
//! a call goes on in another network. `cargo xtask reach` has all pairs, with times.
//!
//! Needs root, `ip`, `nft` and TAP devices; says so where they are missing.

#![cfg(target_os = "linux")]
#![allow(dead_code, clippy::print_stderr)]

#[path = "../../../xtask/src/reach/lab.rs"]
mod lab;
#[path = "../../../xtask/src/reach/trial.rs"]
mod trial;
#[path = "../../../xtask/src/reach/wan.rs"]
mod wan;

use lab::{Home, Nat};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use trial::Programs;

/// Between any two places.
const DELAY: Duration = Duration::from_millis(10);

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
    Some(Programs { kring, relay, delay: DELAY })
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
        let away = Duration::from_secs(3);
        trial::change(&programs, pair, (who, away, Nat::Symmetric), folder.path()).unwrap();
    }
}

#[test]
fn who_wakes_up_goes_on_talking() {
    let Some(programs) = programs() else { return };
    let folder = tempfile::tempdir().unwrap();
    let asleep = (Home::A, Duration::from_secs(20));
    trial::sleep(&programs, [Nat::PortRestricted; 2], asleep, folder.path()).unwrap();
}

/// All that was sent on the internet is looked at, as it was there.
#[test]
fn with_a_relay_only_no_packet_goes_from_one_to_the_other() {
    let Some(programs) = programs() else { return };
    let (a, b, server) = ("203.0.113.101", "203.0.113.102", "203.0.113.10");
    let [a, b, server] = [a, b, server].map(|address| address.parse::<IpAddr>().unwrap());
    for hidden in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let seen = trial::overhear(&programs, [Nat::Open; 2], hidden, folder.path()).unwrap();
        for home in [a, b] {
            assert!(seen.contains(&(home, server)) && seen.contains(&(server, home)), "{seen:?}");
        }
        let met = seen.contains(&(a, b)) && seen.contains(&(b, a));
        // Were it not seen where they do meet, it would mean nothing.
        assert_eq!(met, !hidden, "{seen:?}");
        let ticket = std::fs::read_to_string(folder.path().join("ticket")).unwrap();
        let ticket: kring::Ticket = ticket.trim().parse().unwrap();
        assert_eq!(ticket.addresses().is_empty(), hidden);
        if hidden {
            let own = |ip: &IpAddr| [a, b].contains(ip);
            let strange =
                |(from, to): &&(IpAddr, IpAddr)| (own(from) && *to != server) || (own(to) && *from != server);
            assert_eq!(seen.iter().find(strange), None, "{seen:?}");
            // Nor does anybody ask the LAN by mDNS (RFC 6762).
            let asked = ["224.0.0.251", "ff02::fb"].map(|group| group.parse::<IpAddr>().unwrap());
            assert!(seen.iter().all(|(_, to)| !asked.contains(to)), "{seen:?}");
        }
    }
}
