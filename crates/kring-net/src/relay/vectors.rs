//! docs/test-vectors/relay.json: what a relay and its clients say to each other when all that is drawn is known.
//!
//! Guarantee: made by the code that runs, as the others are (`kring-core`'s `vectors`); `cargo xtask vectors` writes it anew.

use super::frame;
use super::message::{About, Handle, Reason, Refused, Reply, Request, Resume};
use super::shim::{self, Packet};
use super::{MailboxKey, Pin, SessionSecret, Token};
use crate::path::name_of;
use data_encoding::HEXLOWER;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("\"{}\"", HEXLOWER.encode(bytes.as_ref()))
}

/// Objects of texts in one list.
fn list(items: &[Vec<(&str, String)>]) -> String {
    let object = |fields: &Vec<(&str, String)>| {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("      \"{name}\": {value}")).collect();
        format!("    {{\n{}\n    }}", fields.join(",\n"))
    };
    format!("[\n{}\n  ]", items.iter().map(object).collect::<Vec<_>>().join(",\n"))
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put(frame::MESSAGE, body, &mut out);
    out
}

#[test]
fn what_a_relay_and_its_clients_say() {
    let (key, pin, exporter) = (MailboxKey::from_seed(&[7; 32]), Pin([1; 32]), [2; 32]);
    let (mailbox, signature) = (key.mailbox(), key.sign(&pin, &exporter));
    let secret = SessionSecret(Zeroizing::new(std::array::from_fn(|n| n as u8)));
    let (token, resume) = (Token(0x0102_0304_0506_0708), Resume(Zeroizing::new([0x33; 32])));
    let at: SocketAddr = "192.0.2.1:4433".parse().unwrap();
    let other = vec!["other.example:443".parse().unwrap()];
    let refused = |reason, retry_after, others| Refused { reason, retry_after, others };
    let requests = [
        ("listen", Request::Listen { mailbox, signature: Box::new(signature) }),
        ("unlisten", Request::Unlisten { mailbox }),
        ("dial", Request::Dial { request: 5, mailbox }),
        ("rejoin", Request::Rejoin { request: 6, resume: resume.clone() }),
        ("close", Request::Close { token }),
        ("ping", Request::Ping { number: 70_000 }),
    ];
    let handle = Handle { token, secret: secret.clone(), resume: resume.clone() };
    let within = Some(Duration::from_millis(1500));
    let replies = [
        ("observed", Reply::Observed { address: at }),
        ("listening", Reply::Listening { mailbox }),
        ("session, to the dialler", Reply::Session { about: About::Request(5), handle: handle.clone() }),
        ("session, to the listener", Reply::Session { about: About::Mailbox(mailbox), handle }),
        (
            "refused, a request",
            Reply::Refused { about: About::Request(5), refused: refused(Reason::NobodyThere, None, vec![]) },
        ),
        (
            "refused, a mailbox",
            Reply::Refused {
                about: About::Mailbox(mailbox),
                refused: refused(Reason::Displaced, None, vec![]),
            },
        ),
        (
            "refused, the client",
            Reply::Refused { about: About::Client, refused: refused(Reason::Full, within, other.clone()) },
        ),
        ("closed", Reply::Closed { token, reason: Reason::Ended }),
        ("draining", Reply::Draining { within: Duration::from_secs(60), others: other }),
        ("pong", Reply::Pong { number: 70_000 }),
    ];
    let mut messages = Vec::new();
    for (name, request) in &requests {
        let body = request.encode();
        assert_eq!(Request::decode(&body).as_ref(), Ok(&Some(request.clone())));
        messages.push(vec![("message", format!("\"{name}\"")), ("frame", hex(framed(&body)))]);
    }
    for (name, reply) in &replies {
        let body = reply.encode();
        assert_eq!(Reply::decode(&body).as_ref(), Ok(&Some(reply.clone())));
        messages.push(vec![("message", format!("\"{name}\"")), ("frame", hex(framed(&body)))]);
    }
    let malformed: [(&str, &[u8]); 5] = [
        ("a field cut short", &[6, 3, 11, 4, 1]),
        ("a number not in its shortest form", &[6, 4, 11, 2, 0x40, 1]),
        ("two known messages", &[6, 3, 11, 1, 1, 6, 3, 11, 1, 1]),
        ("a mailbox of one byte", &[2, 3, 1, 1, 7]),
        ("a ping without its number", &[6, 0]),
    ];
    let bad: Vec<_> = malformed
        .map(|(why, body)| {
            assert!(Request::decode(body).is_err(), "{why}");
            vec![("why", format!("\"{why}\"")), ("frame", hex(framed(body)))]
        })
        .into();
    let first = shim::bind(token, &secret, 1, 0);
    let Some(Packet::Bind(bind)) = shim::parse(&first) else { panic!("a bind is one") };
    let answer = shim::bound(&bind, &secret, 0x1122_3344_5566_7788, false, at);
    let second = shim::bind(token, &secret, 2, 0x1122_3344_5566_7788);
    let packet = |name: &str, bytes: &[u8]| vec![("packet", format!("\"{name}\"")), ("bytes", hex(bytes))];
    let packets = [
        packet("data", &shim::wrap(token, b"QUIC")),
        packet("a first bind", &first),
        packet("its answer to 192.0.2.1:4433", &answer),
        packet("a bind with the cookie", &second),
    ];
    let about = "docs/protocol.md, sections 14 and 7.6. Frames begin with their length. `refused` closes the connection with code 1.";
    let fields = [
        ("about", format!("\"{about}\"")),
        ("mailbox seed", hex([7; 32])),
        ("mailbox", hex(mailbox.0)),
        ("pin", hex(pin.0)),
        ("exporter", hex(exporter)),
        ("signature", hex(signature)),
        ("messages", list(&messages)),
        ("refused", list(&bad)),
        ("token", hex(token.0.to_be_bytes())),
        ("secret", hex(*secret.0)),
        ("packets", list(&packets)),
        ("resume", hex(resume.bytes())),
        ("name of the session", hex(name_of(&resume))),
    ];
    let fields: Vec<_> = fields.into_iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
    let text = format!("{{\n{}\n}}\n", fields.join(",\n"));
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/test-vectors/relay.json");
    if std::env::var_os("KRING_WRITE_VECTORS").is_some() {
        return std::fs::write(&path, text).expect("docs is there");
    }
    let kept = std::fs::read_to_string(&path).expect("the file is part of the repository");
    assert!(text == kept, "relay.json differs from what the code does; see `cargo xtask vectors`");
}
