//! On the local network: who holds a ticket or is a contact finds the other where no address is known any more; what strangers say there
//! leads nobody astray.
//!
//! Needs Linux and the right to make a network namespace; says so and does nothing where there is none.
#![cfg(all(target_os = "linux", feature = "lan"))]
#![allow(clippy::print_stderr)] // a skipped test has to say so
mod common;
use common::*;
use kring::{Call, End, Endpoint, EndpointBuilder, Ticket};
use kring_core::crypto::default_provider;
use kring_core::find::LanRecord;
use kring_net::lan::{Lan, Said};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const INSIDE: &str = "KRING_TEST_INSIDE_A_NAMESPACE";

/// Runs the test of that name once more, in a network of its own: `lan` is a wire with another end, and the rest of the world leads nowhere.
fn on_a_network_of_its_own(test: &str, inside: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.unwrap().block_on(inside);
    }
    let namespaces = ["-n", "-rn"].into_iter().find(|how| {
        Command::new("unshare").args([how, "true"]).output().is_ok_and(|out| out.status.success())
    });
    let script = "ip link set lo up
        ip link add lan type veth peer name other
        ip addr add 192.0.2.1/24 dev lan
        ip addr add 192.0.2.2/24 dev lan
        ip link set lan up
        ip link set other up
        ip route add default via 192.0.2.254
        exec \"$0\" --exact \"$1\" --nocapture";
    let made = namespaces.is_some_and(|how| {
        let cards = "ip link add lan type veth peer name other";
        Command::new("unshare").args([how, "sh", "-c", cards]).output().is_ok_and(|out| out.status.success())
    });
    let (Some(how), true) = (namespaces, made) else {
        eprintln!(
            "SKIPPED: no network namespace with cards can be made here; run it as root, or allow user namespaces"
        );
        return;
    };
    let me = std::env::current_exe().unwrap();
    let status =
        Command::new("unshare").args([how, "sh", "-ec", script]).arg(me).arg(test).env(INSIDE, "1").status();
    assert!(status.unwrap().success(), "see above");
}

fn anywhere() -> EndpointBuilder {
    Endpoint::builder().bind("0.0.0.0:0".parse().unwrap())
}

/// A ticket with an address where nobody is any more.
fn stale(endpoint: &Endpoint) -> Ticket {
    endpoint.ticket_for(&["192.0.2.77:9".parse().unwrap()], HOUR).unwrap()
}

async fn meets(call: &Call, callee: &Endpoint) {
    let answered = within(20, callee.incoming()).await.expect("the endpoint is open").answer(quiet());
    within(10, call.connected()).await.unwrap();
    assert_eq!(call.peer(), Some(callee.identity()));
    answered.hang_up().await;
}

#[test]
fn who_holds_a_ticket_finds_the_callee_where_its_addresses_are_stale() {
    on_a_network_of_its_own("who_holds_a_ticket_finds_the_callee_where_its_addresses_are_stale", async {
        let (a, b) = (anywhere().lan(true).build().unwrap(), anywhere().lan(true).build().unwrap());
        let ticket = stale(&b);
        let call = a.dial(&ticket, quiet());
        meets(&call, &b).await;
        assert_eq!(a.finds().lan_found, 1);
        // It is found again after its network has changed its address.
        let call = a.dial(&ticket, quiet());
        meets(&call, &b).await;
        // Who has switched it off looks for nobody.
        let c = anywhere().build().unwrap();
        let call = c.dial(&ticket, quiet());
        assert!(matches!(within(20, call.ended()).await, End::Unreachable(_)));
    });
}

#[test]
fn with_a_relay_only_nothing_is_said_and_nobody_found() {
    on_a_network_of_its_own("with_a_relay_only_nothing_is_said_and_nobody_found", async {
        let b = anywhere().lan(true).port_mapping(true).relay_only(true);
        let b = b.relay("192.0.2.88:9".parse().unwrap()).build().unwrap();
        let _ticket = b.ticket(HOUR).unwrap();
        let listener = Lan::new();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(listener.heard().is_empty());
        assert_eq!(within(1, b.port_mapped()).await, Ok(None));
        // The same without it is heard.
        let c = anywhere().lan(true).build().unwrap();
        let _ticket = c.ticket(HOUR).unwrap();
        eventually("something is said", || !listener.heard().is_empty()).await;
    });
}

#[test]
fn what_others_say_leads_nobody_astray() {
    on_a_network_of_its_own("what_others_say_leads_nobody_astray", async {
        let stranger = anywhere().build().unwrap();
        let there = SocketAddr::new("192.0.2.2".parse().unwrap(), stranger.local_addr().unwrap().port());
        let (a, b) = (anywhere().lan(true).build().unwrap(), anywhere().build().unwrap());
        let ticket = stale(&b);
        let say = |record: Vec<u8>| {
            let lan = Lan::new();
            lan.say(vec![Said { record, address: there }]);
            lan
        };
        // What is nothing; what is for others; and what was true once, with another's address in it.
        let key = ticket.lan_key();
        let provider = default_provider();
        let others = LanRecord::new(&[], &[there], &*provider).unwrap().encode();
        let own: SocketAddr = "192.0.2.2:9".parse().unwrap();
        let mut changed = LanRecord::new(std::slice::from_ref(&key), &[own], &*provider).unwrap().encode();
        let port = changed.windows(2).position(|two| two == own.port().to_be_bytes()).unwrap();
        changed[port..port + 2].copy_from_slice(&there.port().to_be_bytes());
        let speakers = [say(b"nothing".to_vec()), say(others), say(changed)];
        let listener = Lan::new();
        eventually("all are heard", || listener.heard().len() == speakers.len()).await;
        let call = a.dial(&ticket, quiet());
        assert!(matches!(within(20, call.ended()).await, End::Unreachable(_)));
        assert_eq!((a.finds().lan_found, a.finds().lan_ignored), (0, 1));
        assert_eq!(stranger.counters(), Default::default(), "nobody came to the stranger");

        // Somebody who holds the ticket as well names the stranger, who refuses; the callee is found all the same.
        let _holder = say(LanRecord::new(&[key], &[there], &*provider).unwrap().encode());
        eventually("the lie is heard", || listener.heard().len() == 4).await;
        let call = a.dial(&ticket, quiet());
        eventually("the stranger was asked", || stranger.counters().unknown_hint == 1).await;
        let callee = SocketAddr::new("192.0.2.1".parse().unwrap(), b.local_addr().unwrap().port());
        let truth = LanRecord::new(&[ticket.lan_key()], &[callee], &*provider).unwrap();
        let lan = Lan::new();
        lan.say(vec![Said { record: truth.encode(), address: callee }]);
        meets(&call, &b).await;
    });
}
