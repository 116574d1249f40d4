//! A callee behind the worst kind of NAT is called without any relay, by a port that its router forwards because it was asked to; the router
//! gets the port back at the end.
//!
//! Needs root, `ip`, `nft` and TAP devices; says so where they are missing.

#![cfg(all(target_os = "linux", feature = "port-mapping"))]
#![allow(dead_code, clippy::print_stderr, clippy::print_stdout)]

#[path = "../../../xtask/src/reach/lab.rs"]
mod lab;
#[path = "../../../xtask/src/reach/trial.rs"]
mod trial;
#[path = "../../../xtask/src/reach/wan.rs"]
mod wan;

use lab::{Home, Lab, Nat};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use trial::{Running, is};

/// What the router speaks, for the copy of this program that is the router.
const ROUTER: &str = "KRING_TEST_ROUTER";
/// Between any two places.
const DELAY: Duration = Duration::from_millis(10);
/// The router's address towards the home, and towards the world.
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

fn at_router(lab: &Lab, program: &str) -> Command {
    let home = lab.at_home(Home::B, program);
    let mut command = Command::new("ip");
    command.args(home.get_args().map(|arg| arg.to_string_lossy().replace("h2", "r2")));
    command
}

fn nft(rules: &str) {
    let done = Command::new("nft").arg(rules).output().expect("nft is there");
    assert!(done.status.success(), "{rules}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A router that forwards what it is asked to, by PCP (RFC 6887) or NAT-PMP (RFC 6886) alone, and prints what it does. In a namespace of
/// its own; by itself, it does nothing.
#[test]
fn plays_the_router() {
    let Ok(speaks) = std::env::var(ROUTER) else { return };
    nft("add table ip mapped");
    nft("add chain ip mapped inwards { type nat hook prerouting priority dstnat; }");
    nft("insert rule ip filter through ct status dnat accept");
    let socket = UdpSocket::bind((INSIDE, 5351)).unwrap();
    println!("ready");
    let mut buffer = [0; 1100];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        if let Some(answer) = answer(&buffer[..length], from, &speaks) {
            socket.send_to(&answer, from).unwrap();
        }
    }
}

fn answer(asked: &[u8], from: SocketAddr, speaks: &str) -> Option<Vec<u8>> {
    let port = |at: usize| u16::from_be_bytes([asked[at], asked[at + 1]]);
    let life = |at: usize| u32::from_be_bytes(asked[at..at + 4].try_into().unwrap());
    match (asked, speaks) {
        // A version that is not known: the highest that is.
        ([2, ..], "nat-pmp") => Some(vec![0, 129, 0, 1, 0, 0, 0, 9]),
        ([0, 0], "nat-pmp") => Some([&[0, 128, 0, 0, 0, 0, 0, 9], &OUTSIDE.octets()[..]].concat()),
        ([0, 1, ..], "nat-pmp") if asked.len() == 12 => {
            let outer = forward(from, port(4), life(8))?;
            let mut out = vec![0, 129, 0, 0, 0, 0, 0, 9, asked[4], asked[5]];
            out.extend_from_slice(&outer.to_be_bytes());
            out.extend_from_slice(&asked[8..12]);
            Some(out)
        }
        ([2, 1, ..], "pcp") if asked.len() == 60 => {
            let outer = forward(from, port(40), life(4))?;
            let mut out = vec![2, 129, 0, 0];
            out.extend_from_slice(&asked[4..8]);
            out.extend_from_slice(&[0, 0, 0, 9]);
            out.extend_from_slice(&[0; 12]);
            out.extend_from_slice(&asked[24..42]);
            out.extend_from_slice(&outer.to_be_bytes());
            out.extend_from_slice(&OUTSIDE.to_ipv6_mapped().octets());
            Some(out)
        }
        _ => None,
    }
}

/// Forwards a port of the router's own choice, or no more.
fn forward(to: SocketAddr, port: u16, life: u32) -> Option<u16> {
    const OUTER: u16 = 40_123;
    nft("flush chain ip mapped inwards");
    if life == 0 {
        println!("unmapped {port}");
        return Some(0);
    }
    nft(&format!("add rule ip mapped inwards iifname wan udp dport {OUTER} dnat to {}:{port}", to.ip()));
    println!("mapped {port}");
    Some(OUTER)
}

/// Ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, fits: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !fits() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Has a caller behind a symmetric NAT call one behind another, without a relay.
fn call_by_a_forwarded_port(lab: &Lab, folder: &Path) {
    let kring = env!("CARGO_BIN_EXE_kring");
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut command = lab.at_home(Home::B, kring);
    command.args(["answer", "--accept", "all", "--mic", "tone", "--speaker", "none", "--json", "--map-port"]);
    command.args(["--ticket-file", &at("ticket"), "--home", &at("b"), "--for", "30"]);
    let mut callee = Running::start(command).unwrap();
    let mapped = callee.wait("a port", |line| is(line, "port-mapped")).unwrap();
    let address: SocketAddr = mapped["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(address.ip(), OUTSIDE);
    callee.wait("a ticket", |line| is(line, "waiting")).unwrap();
    let mut command = lab.at_home(Home::A, kring);
    command.args(["call", &format!("@{}", at("ticket")), "--mic", "tone", "--speaker", "none", "--json"]);
    command.args(["--home", &at("a"), "--stats", &at("a.stats"), "--for", "8"]);
    let mut caller = Running::start(command).unwrap();
    caller.wait("a call", |line| is(line, "connected")).unwrap();
    caller.wait("its end", |line| is(line, "ended")).unwrap();
    let stats = std::fs::read_to_string(folder.join("a.stats")).unwrap();
    assert!(stats.contains(r#""path":"direct""#), "{stats}");
    // It hangs up cleanly, and closes.
    callee.wait("its end", |line| is(line, "ended")).unwrap();
    callee.wait("no more", |_| false).unwrap_err();
}

fn by_a_router_that_speaks(what: &str) {
    if let Some(missing) = lab::missing() {
        eprintln!("SKIPPED: expected {missing}, found none, so nothing is known of forwarded ports");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::new(Nat::Symmetric, Nat::Symmetric, DELAY).unwrap();
    let said = folder.path().join("router");
    let mut router = at_router(&lab, std::env::current_exe().unwrap().to_str().unwrap());
    router.args(["--exact", "plays_the_router", "--nocapture"]).env(ROUTER, what);
    router.stdin(Stdio::null()).stdout(std::fs::File::create(&said).unwrap());
    let _router = Ended(router.spawn().unwrap());
    let says = |text: &str| std::fs::read_to_string(&said).unwrap().contains(text);
    until("the router is ready", || says("ready"));
    call_by_a_forwarded_port(&lab, folder.path());
    assert!(says("\nmapped "));
    until("the port is given back", || says("unmapped "));
}

#[test]
fn a_port_by_pcp() {
    by_a_router_that_speaks("pcp");
}

#[test]
fn a_port_by_nat_pmp() {
    by_a_router_that_speaks("nat-pmp");
}
