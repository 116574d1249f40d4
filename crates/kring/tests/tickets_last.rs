//! Tickets outlive the program that gave them out, until they end, are revoked or spent.
mod common;
use common::person::Person;
use common::*;
use kring::{End, EndedBy, Home, Ticket};
use std::fs;

/// Somebody with that ticket calls; whether it rings.
async fn rings_with(callee: &Person, ticket: &Ticket) -> bool {
    let caller = endpoint();
    let call = caller.dial(ticket, quiet());
    tokio::select! {
        incoming = rings(&callee.endpoint) => {
            incoming.decline();
            assert_eq!(end_of(&call).await, End::Declined { by: EndedBy::Peer });
            true
        }
        end = end_of(&call) => {
            assert_eq!(end, End::Refused);
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_holds_over_a_restart_and_one_for_one_call_is_spent_over_it_too() {
    let mut b = Person::new("Ben");
    let (lasting, once, later) = (
        ticket(&b.endpoint),
        b.endpoint.ticket_for_one_call(HOUR).unwrap(),
        b.endpoint.ticket_for_one_call(HOUR).unwrap(),
    );
    assert!(rings_with(&b, &lasting).await && rings_with(&b, &once).await);
    assert!(!rings_with(&b, &once).await);
    b.restart(false, |_| {}).await;
    assert!(rings_with(&b, &lasting).await && rings_with(&b, &later).await);
    assert!(!rings_with(&b, &once).await && !rings_with(&b, &later).await);
    let left: Vec<_> = b.endpoint.home().tickets().iter().map(|t| (t.id, t.one_use)).collect();
    assert_eq!(left, [(lasting.id(), false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_callers_with_one_ticket_for_one_call_one_gets_through() {
    let b = Person::new("Ben");
    let once = b.endpoint.ticket_for_one_call(HOUR).unwrap();
    let callers: Vec<_> = (0..6).map(|_| endpoint()).collect();
    // Everybody is answered who gets through.
    let answering = b.endpoint.answer_next(quiet());
    let calls: Vec<_> = callers.iter().map(|c| c.dial(&once, quiet())).collect();
    let mut through = 0;
    for call in &calls {
        match within(10, call.connected()).await {
            Ok(_) => through += 1,
            Err(end) => assert_eq!(end, End::Refused),
        }
    }
    assert_eq!(through, 1);
    drop(answering);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_revoked_by_another_process_lets_nobody_through() {
    let b = Person::new("Ben");
    let ticket = ticket(&b.endpoint);
    assert!(rings_with(&b, &ticket).await);
    assert!(b.elsewhere().revoke(ticket.id()).unwrap());
    assert!(!rings_with(&b, &ticket).await);
    assert!(b.endpoint.home().tickets().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_whose_spending_cannot_be_saved_lets_nobody_through() {
    let b = Person::new("Ben");
    let (once, lasting) = (b.endpoint.ticket_for_one_call(HOUR).unwrap(), ticket(&b.endpoint));
    let folder = b.file("tickets").parent().unwrap().to_owned();
    // Nothing can be written there any more, whoever tries.
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "a file").unwrap();
    assert!(!rings_with(&b, &once).await);
    let _ = lasting;
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
}

#[test]
fn damaged_lists_are_refused_with_a_clear_error_and_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tickets", "contacts"] {
        let path = folder.path().join(name);
        for bytes in [&b"no such list"[..], b"", b"kring ct", b"kring tk\x01\0\0", b"kring ct\x02"] {
            fs::write(&path, bytes).unwrap();
            set_private(&path);
            let error = Home::in_folder(folder.path()).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains("left as it is"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        fs::remove_file(&path).unwrap();
    }
    assert!(Home::in_folder(folder.path()).is_ok());
}

#[cfg(unix)]
#[test]
fn the_lists_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let home = Home::in_folder(folder.path()).unwrap();
    home.block("00".repeat(20).parse().unwrap()).unwrap();
    let path = folder.path().join("contacts");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Home::in_folder(folder.path()).err().unwrap().to_string().contains("mode 640"));
}

#[cfg(unix)]
fn set_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn set_private(_: &std::path::Path) {}

#[test]
fn two_processes_that_change_one_list_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|s| {
        for n in 0..4_u8 {
            let path = folder.path();
            s.spawn(move || {
                let home = Home::in_folder(path).unwrap();
                for m in 0..10_u8 {
                    home.block(format!("{n:02x}{m:02x}").repeat(10).parse().unwrap()).unwrap();
                }
            });
        }
    });
    assert_eq!(Home::in_folder(folder.path()).unwrap().blocked().len(), 40);
}
