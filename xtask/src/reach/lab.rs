//! A small internet in network namespaces: two homes, each behind a router of some kind, and a server.
//!
//! Guarantee: everything it makes has names of its own and is gone when the [`Lab`] is dropped.
//!
//! Needs root, `ip`, `nft` and TAP devices. Homes are 10.0.1.2 and 10.0.2.2 behind routers 203.0.113.1 and .2; with [`Nat::Open`] a
//! home is on the internet itself, at 203.0.113.101 or .102, with [`Nat::Open6`] at 2001:db8::101 or ::102. The server is
//! 203.0.113.10 and 2001:db8::10. On the internet each frame takes the lab's delay, whoever it is for.

use super::wan::Wan;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where the server is.
const SERVER: &str = "203.0.113.10";
const SERVER6: &str = "2001:db8::10";

/// What stands between a home and the internet (RFC 4787 calls these mapping and filtering behaviours).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    /// Nothing.
    Open,
    /// Whoever knows the mapped port gets in.
    FullCone,
    /// Only whom one has sent to gets in; the mapped port is the same for all.
    PortRestricted,
    /// Another mapped port for each whom one sends to, and only they get in.
    Symmetric,
    /// As before, and no UDP passes.
    NoUdp,
    /// Nothing, and all is IPv6.
    Open6,
}

impl Nat {
    /// Those of which all pairs make sense.
    pub(crate) const ALL: [Nat; 5] =
        [Nat::Open, Nat::FullCone, Nat::PortRestricted, Nat::Symmetric, Nat::NoUdp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Nat::Open => "open",
            Nat::FullCone => "full-cone",
            Nat::PortRestricted => "port-restricted",
            Nat::Symmetric => "symmetric",
            Nat::NoUdp => "no-udp",
            Nat::Open6 => "open-v6",
        }
    }

    /// Whether theory has two who are behind these reach each other directly, each being told where the other is seen.
    pub(crate) fn can_meet(self, other: Nat) -> bool {
        use Nat::{FullCone, NoUdp, Open, Open6, PortRestricted, Symmetric};
        match (self, other) {
            (Open6, _) | (_, Open6) => self == other,
            (NoUdp, _) | (_, NoUdp) => false,
            (Symmetric, PortRestricted | Symmetric) | (PortRestricted, Symmetric) => false,
            (Open | FullCone | PortRestricted | Symmetric, _) => true,
        }
    }

    /// The router's rules.
    fn rules(self) -> String {
        let mapping = match self {
            Nat::Open | Nat::Open6 => return String::new(),
            // What was sent from stands open for all, for as long as home routers mostly keep it.
            Nat::FullCone => {
                "table ip nat {
                    map opened { type inet_service : ipv4_addr . inet_service; flags dynamic, timeout; timeout 5m; size 4096; }
                    chain inwards {
                        type nat hook prerouting priority dstnat;
                        iifname wan meta l4proto udp dnat ip to udp dport map @opened
                    }
                    chain outwards {
                        type nat hook postrouting priority srcnat;
                        oifname wan meta l4proto udp update @opened { udp sport : ip saddr . udp sport }
                        oifname wan masquerade
                    }
                }"
            }
            // Linux keeps the port where it can, so it is the same for all.
            Nat::PortRestricted => {
                "table ip nat {
                    chain outwards {
                        type nat hook postrouting priority srcnat;
                        oifname wan masquerade
                    }
                }"
            }
            Nat::Symmetric | Nat::NoUdp => {
                "table ip nat {
                    chain outwards {
                        type nat hook postrouting priority srcnat;
                        oifname wan masquerade random,fully-random
                    }
                }"
            }
        };
        let wanted = match self {
            Nat::FullCone => "",
            Nat::NoUdp => {
                "meta l4proto udp drop
                iifname wan ct state established,related accept
                iifname wan drop"
            }
            _ => {
                "iifname wan ct state established,related accept
                iifname wan drop"
            }
        };
        // What comes for the router itself must leave no trace: the kernel would take that port for used and map to another.
        format!(
            "{mapping}
            table ip filter {{
                chain through {{
                    type filter hook forward priority filter;
                    {wanted}
                }}
                chain own {{
                    type filter hook input priority filter;
                    iifname wan ct state new drop
                }}
            }}"
        )
    }
}

/// One of the two homes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    A,
    B,
}

impl Home {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Home::A => "caller",
            Home::B => "callee",
        }
    }

    fn number(self) -> u8 {
        match self {
            Home::A => 1,
            Home::B => 2,
        }
    }
}

/// The namespaces, until it is dropped.
pub(crate) struct Lab {
    prefix: String,
    wan: Wan,
    v6: bool,
}

/// What is missing to have a lab here.
pub(crate) fn missing() -> Option<String> {
    for (program, flag) in [("ip", "-V"), ("nft", "--version")] {
        let found = Command::new(program).arg(flag).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Some(format!("the program {program}"));
        }
    }
    // A name of its own, so that two who try at once do not meet.
    let name = format!("krt{}", std::process::id());
    if let Err(error) = run("ip", &["netns", "add", &name]) {
        return Some(format!("the right to make network namespaces ({error})"));
    }
    let natted = nft(&name, &Nat::FullCone.rules());
    let _ = run("ip", &["netns", "del", &name]);
    if let Err(error) = natted {
        return Some(format!("a kernel with NAT by nftables ({error})"));
    }
    let tapped = Wan::new(Duration::ZERO).port(&name);
    let _ = run("ip", &["link", "del", &name]);
    tapped.err().map(|error| format!("the right to make TAP devices ({error})"))
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

fn nft(namespace: &str, rules: &str) -> Result<(), String> {
    let mut child = Command::new("ip")
        .args(["netns", "exec", namespace, "nft", "-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(rules.as_bytes()));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    match (written, output.status.success()) {
        (Some(Ok(())), true) => Ok(()),
        _ => Err(format!("nft: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

impl Lab {
    /// Builds it.
    pub(crate) fn new(a: Nat, b: Nat, delay: Duration) -> Result<Lab, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Names of devices have at most 15 characters.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("k{}x{number}", std::process::id() % 1_000_000);
        let lab = Lab { prefix, wan: Wan::new(delay), v6: a == Nat::Open6 };
        lab.namespace("srv")?;
        lab.wire("srv", "eth0", &[&format!("{SERVER}/24"), &format!("{SERVER6}/64")])?;
        lab.home(Home::A, a)?;
        lab.home(Home::B, b)?;
        Ok(lab)
    }

    fn name(&self, place: &str) -> String {
        format!("{}{place}", self.prefix)
    }

    fn namespace(&self, place: &str) -> Result<(), String> {
        run("ip", &["netns", "add", &self.name(place)])?;
        self.inside(place, &["link", "set", "lo", "up"])
    }

    fn inside(&self, place: &str, arguments: &[&str]) -> Result<(), String> {
        let name = self.name(place);
        let mut all = vec!["-n", &name];
        all.extend_from_slice(arguments);
        run("ip", &all)
    }

    /// Connects a place to the internet.
    fn wire(&self, place: &str, device: &str, addresses: &[&str]) -> Result<(), String> {
        let (end, port) = (self.name(place), self.name(&format!("{place}{}", device.len())));
        self.wan.port(&port).map_err(|error| format!("the device {port}: {error}"))?;
        run("ip", &["link", "set", &port, "netns", &end, "name", device])?;
        for address in addresses {
            // Nobody else has it: no second is spent on finding out (RFC 4862, section 5.4).
            let at_once: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            self.inside(place, &[&["addr", "add", address, "dev", device], at_once].concat())?;
        }
        self.inside(place, &["link", "set", device, "up"])
    }

    fn home(&self, home: Home, nat: Nat) -> Result<(), String> {
        let n = home.number();
        let place = format!("h{n}");
        self.namespace(&place)?;
        match nat {
            Nat::Open => self.wire(&place, "eth0", &[&format!("203.0.113.10{n}/24")]),
            Nat::Open6 => self.wire(&place, "eth0", &[&format!("2001:db8::10{n}/64")]),
            _ => self.router(home, nat, "eth0", n),
        }
    }

    /// Where that port of the server is.
    pub(crate) fn server(&self, port: u16) -> String {
        if self.v6 { format!("[{SERVER6}]:{port}") } else { format!("{SERVER}:{port}") }
    }

    /// The address without a port.
    pub(crate) fn server_ip(&self) -> &'static str {
        if self.v6 { SERVER6 } else { SERVER }
    }

    /// Any port of a home.
    pub(crate) fn any(&self) -> &'static str {
        if self.v6 { "[::]:0" } else { "0.0.0.0:0" }
    }

    /// A router at 203.0.113.`n` with the network 10.0.`n`.0/24, to which the home is connected by `device`.
    fn router(&self, home: Home, nat: Nat, device: &str, n: u8) -> Result<(), String> {
        let (place, router) = (format!("h{}", home.number()), format!("r{n}"));
        self.namespace(&router)?;
        self.wire(&router, "wan", &[&format!("203.0.113.{n}/24")])?;
        let (inner, outer) = (self.name(&place), self.name(&router));
        run(
            "ip",
            &["link", "add", "lan", "netns", &outer, "type", "veth", "peer", "name", device, "netns", &inner],
        )?;
        self.inside(&router, &["addr", "add", &format!("10.0.{n}.1/24"), "dev", "lan"])?;
        self.inside(&router, &["link", "set", "lan", "up"])?;
        self.inside(&place, &["addr", "add", &format!("10.0.{n}.2/24"), "dev", device])?;
        self.inside(&place, &["link", "set", device, "up"])?;
        self.inside(&place, &["route", "add", "default", "via", &format!("10.0.{n}.1")])?;
        run("ip", &["netns", "exec", &outer, "sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
        nft(&outer, &nat.rules())
    }

    /// Takes a home from the network that it has.
    pub(crate) fn unplug(&self, home: Home) -> Result<(), String> {
        self.inside(&format!("h{}", home.number()), &["link", "del", "eth0"])
    }

    /// Connects a home that was unplugged to another network, behind a router of its own.
    pub(crate) fn plug(&self, home: Home, nat: Nat) -> Result<(), String> {
        self.router(home, nat, "eth1", home.number() + 20)
    }

    /// Who has sent to whom on the internet so far.
    pub(crate) fn overheard(&self) -> BTreeSet<(IpAddr, IpAddr)> {
        self.wan.seen()
    }

    /// A program in a home.
    pub(crate) fn at_home(&self, home: Home, program: &str) -> Command {
        self.at(&format!("h{}", home.number()), program)
    }

    /// A program on the server.
    pub(crate) fn at_server(&self, program: &str) -> Command {
        self.at("srv", program)
    }

    fn at(&self, place: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(place), program]);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for place in ["h1", "h2", "r1", "r2", "r21", "r22", "srv"] {
            let _ = run("ip", &["netns", "del", &self.name(place)]);
        }
    }
}
