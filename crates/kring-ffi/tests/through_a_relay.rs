//! Programs in C and Python meet at a relay, with and without a direct way.

mod common;

use common::{Program, Watch, has, here, left_out, library};
use kring_relay::{Config, Relay};
use std::process::Command;

/// A relay of this process's, and how it is named.
async fn relay() -> (Relay, String) {
    let mut config = Config::default();
    config.bind = "127.0.0.1:0".parse().expect("an address");
    let relay = Relay::start(config).await.expect("a relay");
    let name = format!("{}#{}", relay.address(), relay.pin());
    (relay, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_c() {
    let Some(program) = Program::compile("tests/c/relay.c", Watch::Nothing) else { return };
    let (_relay, name) = relay().await;
    let said = tokio::task::spawn_blocking(move || program.run(&[&name])).await.expect("no panic");
    assert_eq!(said, "well\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_python() {
    if !has("python3") {
        return left_out("Python at a relay", "no python3");
    }
    let (_relay, name) = relay().await;
    let mut test = Command::new("python3");
    test.args(["-B", "-X", "dev"]).arg(here("python/tests/at_a_relay.py"));
    test.env("KRING_LIBRARY", library()).env("KRING_RELAY", name);
    let ran = tokio::task::spawn_blocking(move || test.output()).await.expect("no panic").expect("it starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
