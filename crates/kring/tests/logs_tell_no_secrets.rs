//! What is logged at the finest level, by Kring and all below it, while calls succeed and fail: no key, no ticket, no passcode and no
//! address; but for quinn's, which names addresses at its finest level, where each packet has a line.
#![allow(clippy::print_stdout)]
mod common;
use common::*;
use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use kring::{Endpoint, Identity, Passcode, Ticket};
use std::fmt::{Debug, Write};
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps all that is logged: who says it, and what.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<(&'static Metadata<'static>, String)>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Ledger {
    fn add(&self, about: &'static Metadata<'static>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(String::new());
        record(&mut line);
        self.0.lock().unwrap().push((about, line.0));
    }
}

impl Subscriber for Ledger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.add(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }
    fn record(&self, span: &Id, values: &Record<'_>) {
        panic!("a value is added to {span:?} later, which this test does not follow: {values:?}");
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.add(event.metadata(), |line| event.record(line));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// How bytes may be written down.
fn spellings(secret: &[u8]) -> Vec<String> {
    let decimal = format!("{secret:?}");
    let hexadecimal = format!("{secret:02x?}");
    let whole = [
        HEXLOWER.encode(secret),
        HEXUPPER.encode(secret),
        BASE32_NOPAD.encode(secret),
        BASE32_NOPAD.encode(secret).to_lowercase(),
        BASE64.encode(secret),
        BASE64URL_NOPAD.encode(secret),
        decimal.trim_matches(['[', ']']).to_owned(),
        hexadecimal.trim_matches(['[', ']']).to_owned(),
    ];
    // A part is as bad as the whole, and padding at an end may be another.
    whole.map(|text| text[text.len() / 8..text.len() * 7 / 8].to_owned()).to_vec()
}

fn body(ticket: &Ticket) -> Vec<u8> {
    let text = ticket.to_string().to_uppercase();
    BASE32_NOPAD.decode(&text.as_bytes()["KRING1".len()..]).unwrap()
}

fn endpoint_of(identity: &[u8]) -> Endpoint {
    let identity = Identity::decode(identity).unwrap();
    Endpoint::builder().identity(identity).bind("127.0.0.1:0".parse().unwrap()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_logged_is_a_secret() {
    let ledger = Ledger::default();
    tracing::subscriber::set_global_default(ledger.clone()).unwrap();
    tracing::trace!(target: "kring::test", mark = "the ledger is open");

    let identities: Vec<_> = (0..3)
        .map(|_| {
            let identity = Identity::generate(&*kring_core::crypto::default_provider(), now()).unwrap();
            identity.encode().to_vec()
        })
        .collect();
    let [a, b, c] = [0, 1, 2].map(|n| endpoint_of(&identities[n]));
    let mut tickets = vec![ticket(&b), ticket(&b), b.ticket(Duration::from_secs(1)).unwrap()];

    // A call that is answered, carries media both ways and ends.
    let ((media_a, ear_a, _), (media_b, ..)) = (media("Anna", 440.0), media("Ben", 620.0));
    let dialled = a.dial(&tickets[0], media_a);
    let answered = rings(&b).await.answer(media_b);
    eventually("it is heard", || ear_a.share_of(620.0, 200) > 0.9).await;
    dialled.hang_up().await;
    end_of(&answered).await;
    // One that is declined, one that is answered ahead.
    let declined = c.dial(&tickets[0], quiet());
    rings(&b).await.decline();
    end_of(&declined).await;
    let ahead = b.answer_next(quiet());
    let dialled = c.dial(&tickets[0], quiet());
    within(10, dialled.connected()).await.unwrap();
    dialled.hang_up().await;
    end_of(&ahead).await;
    // One with a passcode: guessed wrong, then right.
    let passcodes = ["umbrella 9073", "zeppelin 4418"];
    let passcode = |text| Passcode::new(text).unwrap();
    let guarded = ticket(&b);
    b.home().set_passcode(guarded.id(), &passcode(passcodes[0])).unwrap();
    for (text, lets_in) in [(passcodes[1], false), (passcodes[0], true)] {
        let dialled = c.dial(&guarded, quiet());
        dialled.enter_passcode(passcode(text));
        if lets_in {
            rings(&b).await.decline();
        }
        end_of(&dialled).await;
    }
    // Tickets that do not hold: revoked, out of date, of somebody who is not there, changed.
    assert!(b.revoke(tickets[1].id()).unwrap());
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    tickets.push(b.ticket_for(&[nobody.local_addr().unwrap()], HOUR).unwrap());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for ticket in &tickets[1..3] {
        end_of(&a.dial(ticket, quiet())).await;
    }
    let unheard = a.dial(&tickets[3], quiet());
    tokio::time::sleep(Duration::from_millis(500)).await;
    unheard.hang_up().await;
    tickets.push(guarded);
    let mut text = tickets[0].to_string();
    text.pop();
    assert!(text.parse::<Ticket>().is_err());
    // Garbage, and a true packet of QUIC that leads nowhere.
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for len in [1, 20, 1200] {
        stranger.send_to(&vec![0xc3; len], b.local_addr().unwrap()).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;

    let mut secrets = Vec::new();
    for identity in &identities {
        // "kring id", version, seed; a count, and the Noise key.
        secrets.extend([&identity[9..41], &identity[42..74]].map(spellings).concat());
    }
    for ticket in &tickets {
        let text = ticket.to_string();
        secrets.extend([text[6..].to_owned(), text[6..].to_uppercase()].map(|t| t[80..110].to_owned()));
        secrets.extend(spellings(&body(ticket)[53..69]));
    }
    for text in passcodes {
        secrets.push(text.to_owned());
        secrets.extend(spellings(text.as_bytes()));
    }
    let ports = [&a, &b, &c].map(|e| format!(":{}", e.local_addr().unwrap().port()));
    let lines = ledger.0.lock().unwrap();
    assert!(lines.iter().any(|(about, _)| about.target() == "kring::test"), "nothing is kept");
    let mut own = 0;
    for (about, line) in &*lines {
        let target = about.target();
        for secret in &secrets {
            assert!(!line.contains(secret.as_str()), "{target} logs a secret: {line}");
        }
        own += u32::from(target.starts_with("kring"));
        let told = line.contains("127.0.0.1") || ports.iter().any(|port| line.contains(port.as_str()));
        let quinn = target.starts_with("quinn") && *about.level() == Level::TRACE;
        assert!(!told || quinn, "{target} logs an address: {line}");
    }
    println!("{} lines, {own} of them Kring's own", lines.len());
    assert!(own > 1 && lines.len() > 100, "{own} of {}", lines.len());
}

fn now() -> kring_core::time::WallTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    kring_core::time::WallTime(since.as_secs())
}
