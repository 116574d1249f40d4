//! A call sends packets to its peer and to nobody else, and asks no name server: seen by the kernel's own counters, in a network
//! namespace of the test's own.
//!
//! Needs Linux and the right to make a network namespace; says so and does nothing where there is none.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr)] // a skipped test has to say so
mod common;
use common::*;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

const INSIDE: &str = "KRING_TEST_INSIDE_A_NAMESPACE";

fn shell(script: &str) -> bool {
    Command::new("sh").args(["-ec", script]).status().is_ok_and(|status| status.success())
}

/// Packets that left for the world outside, and packets that found nobody on this machine.
fn strays() -> (u64, u64) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let sent = read("/sys/class/net/outside/statistics/tx_packets").trim().parse().unwrap();
    // Two lines begin with "Udp:": names, then numbers.
    let snmp = read("/proc/thread-self/net/snmp");
    let udp: Vec<Vec<&str>> =
        snmp.lines().filter(|l| l.starts_with("Udp:")).map(|l| l.split_whitespace().collect()).collect();
    let at = udp[0].iter().position(|name| *name == "NoPorts").unwrap();
    (sent, udp[1][at].parse().unwrap())
}

#[test]
fn a_call_sends_to_its_peer_alone_and_asks_no_name_server() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.unwrap().block_on(inside());
    }
    let namespaces = ["-n", "-rn"].into_iter().find(|how| {
        Command::new("unshare").args([how, "true"]).output().is_ok_and(|out| out.status.success())
    });
    let Some(how) = namespaces else {
        eprintln!("SKIPPED: no network namespace can be made here; run it as root, or allow user namespaces");
        return;
    };
    let me = std::env::current_exe().unwrap();
    let test = "a_call_sends_to_its_peer_alone_and_asks_no_name_server";
    // /sys shows the namespace that it was mounted in, so it is mounted anew.
    let script = "mount -t sysfs sysfs /sys && exec \"$0\" --exact \"$1\" --nocapture";
    let status = Command::new("unshare")
        .args([how, "-m", "sh", "-c", script])
        .arg(me)
        .arg(test)
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "see above");
}

async fn inside() {
    // All that is not for this machine goes to a wire that leads nowhere. IPv6 would greet its neighbours by itself; ARP
    // would ask for the router once somebody sends to it.
    let ready = shell(
        "ip link set lo up
         ip link add outside type veth peer name nowhere
         for card in outside nowhere; do echo 1 > /proc/sys/net/ipv6/conf/$card/disable_ipv6; ip link set $card up; done
         ip addr add 192.0.2.1/24 dev outside
         ip route add default via 192.0.2.254
         ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:01 dev outside",
    );
    if !ready {
        eprintln!("SKIPPED: the namespace has no virtual network cards");
        return;
    }
    let before = strays();
    let (a, b) = (endpoint(), endpoint());
    let ((media_a, ear_a, _), (media_b, ear_b, _)) = (media("Anna", 440.0), media("Ben", 620.0));
    let dialled = a.dial(&ticket(&b), media_a);
    let answered = rings(&b).await.answer(media_b);
    eventually("both are heard", || ear_a.share_of(620.0, 200) > 0.9 && ear_b.share_of(440.0, 200) > 0.9)
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    dialled.hang_up().await;
    end_of(&answered).await;
    assert_eq!(strays(), before, "(packets that left, packets that found nobody)");

    // Whoever does send elsewhere is seen.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.send_to(b"?", "198.51.100.1:53").unwrap();
    socket.send_to(b"?", "127.0.0.53:53").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (left, lost) = strays();
    assert!(left > before.0 && lost > before.1, "the counters stand still");
}
