//! Secrets sealed with a key in the system's key store: a real one on Linux, GNOME's, on a D-Bus of its own. Says so and passes
//! where that is missing.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

use kring::store::{FileStore, Item, KeyStore, StoreError, best, load_or_create_in, os_store};
use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the process that has a key store.
const INSIDE: &str = "KRING_TEST_KEY_STORE";

/// Runs this program's test of that name once more, on a D-Bus of its own, where a key store is open.
fn with_key_store(test: &str) -> bool {
    let there = |program: &str| {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    };
    if !there("dbus-run-session") || !there("gnome-keyring-daemon") {
        println!("SKIPPED: there is no dbus-run-session or gnome-keyring-daemon to try a key store with");
        return false;
    }
    let home = tempfile::tempdir().unwrap();
    let script =
        "printf pass | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec \"$0\" \"$@\"";
    let exe = std::env::current_exe().unwrap();
    let status = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", script])
        .arg(exe)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .env_remove("XDG_DATA_HOME")
        .status();
    assert!(status.unwrap().success());
    true
}

fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn sealed(folder: &Path, name: &str) -> bool {
    std::fs::read(folder.join(name)).unwrap().starts_with(b"kring sl")
}

#[test]
fn what_is_kept_is_sealed_with_a_key_that_the_system_holds() {
    if !inside() {
        with_key_store("what_is_kept_is_sealed_with_a_key_that_the_system_holds");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (identity, new) = load_or_create_in(&os_store(folder.path()).unwrap()).unwrap();
    assert!(new && sealed(folder.path(), "identity"));
    let home = kring::Home::open(os_store(folder.path()).unwrap()).unwrap();
    home.block(identity.fingerprint()).unwrap();
    assert!(sealed(folder.path(), "contacts"));

    // Another process finds the key again.
    let store = best(folder.path()).unwrap();
    let (again, new) = load_or_create_in(&*store).unwrap();
    assert!(!new && again.public() == identity.public());
    assert_eq!(kring::Home::open(store).unwrap().blocked().len(), 1);

    // A copy elsewhere opens nothing, and no new key is made for it.
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("contacts"), copy.path().join("contacts")).unwrap();
    let error = os_store(copy.path()).err().unwrap();
    assert!(matches!(error, StoreError::OtherKey { .. }), "{error}");
    assert!(best(copy.path()).is_err());
}

#[test]
fn plain_files_are_taken_over() {
    if !inside() {
        with_key_store("plain_files_are_taken_over");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (identity, _) = kring::store::load_or_create(&folder.path().join("identity")).unwrap();
    let store = os_store(folder.path()).unwrap();
    let (same, new) = load_or_create_in(&store).unwrap();
    assert!(!new && same.public() == identity.public());
    store.save(Item::Identity, &same.encode()).unwrap();
    assert!(sealed(folder.path(), "identity"));
}

#[test]
fn without_a_key_store_files_are_plain_and_sealed_ones_are_left_alone() {
    // Nobody answers there.
    let nobody = "unix:path=/nonexistent/bus";
    if std::env::var("DBUS_SESSION_BUS_ADDRESS").as_deref() != Ok(nobody) {
        let test = "without_a_key_store_files_are_plain_and_sealed_ones_are_left_alone";
        let again = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env("DBUS_SESSION_BUS_ADDRESS", nobody)
            .status();
        assert!(again.unwrap().success());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(os_store(folder.path()), Err(StoreError::NoKeyStore { .. })));
    load_or_create_in(&*best(folder.path()).unwrap()).unwrap();
    assert!(!sealed(folder.path(), "identity"));
    FileStore::new(folder.path()).save(Item::Tickets, b"kring sl\x01 and so on").unwrap();
    assert!(matches!(best(folder.path()), Err(StoreError::NoKeyStore { .. })));
}
