//! identity.json, ticket.json and handshake.json: from two seeds to an established channel.

use super::held;
use super::json::{Json, hex};
use super::random::Source;
use crate::crypto::noise::tapped;
use crate::handshake::{Accept, Acceptor, Binding, Dial, NOISE_NAME, Progress, Session};
use crate::identity::{Certificate, Identity};
use crate::mailbox::new_mailbox;
use crate::ticket::Ticket;
use crate::time::WallTime;
use data_encoding::HEXLOWER;
use std::sync::Arc;

pub(super) const NOW: WallTime = WallTime(1_800_000_000);
const BINDING: Binding = Binding::Quic([0xe7; 32]);

/// Two people, a ticket, and what each draws.
pub(super) struct People {
    pub(super) caller: Source,
    pub(super) callee: Source,
    pub(super) anna: Arc<Identity>,
    pub(super) ben: Arc<Identity>,
    pub(super) ticket: Ticket,
    drawn: [Vec<(&'static str, Json)>; 3],
}

const KEYS: [(&str, usize); 2] = [("Ed25519 seed", 32), ("X25519 secret", 32)];

impl People {
    pub(super) fn new() -> People {
        let (caller, callee) =
            (Source::new("kring test vectors: caller"), Source::new("kring test vectors: callee"));
        let identity = |source: &Source| Arc::new(Identity::generate(&*source.provider, NOW).expect("drawn"));
        let (anna, ben) = (identity(&caller), identity(&callee));
        let keys = [caller.named(&KEYS), callee.named(&KEYS)];
        let addresses = ["192.0.2.1:4433".parse().expect("v4"), "[2001:db8::1]:4433".parse().expect("v6")];
        let until = WallTime(NOW.0 + 86_400);
        let ticket = Ticket::issue(&ben, &addresses, until, &*callee.provider).expect("a ticket");
        let [caller_keys, callee_keys] = keys;
        let drawn = [caller_keys, callee_keys, callee.named(&[("link secret", 16)])];
        People { caller, callee, anna, ben, ticket, drawn }
    }

    /// The two sessions, and what went over the stream: hint and message 1, message 2, `confirm`.
    pub(super) fn meet(&self, offer: &[u8]) -> ([Session; 2], [Vec<u8>; 3]) {
        let mut acceptor = Acceptor::new(self.ben.clone(), self.callee.provider.clone());
        acceptor.add(&self.ticket);
        let (mut dial, hello) =
            Dial::new(&self.anna, &self.ticket, BINDING, NOW, &self.caller.provider).expect("it is live");
        let mut accept = Accept::new(BINDING);
        let Ok(Progress::Reply(second)) = accept.handle(&hello, &mut acceptor, NOW) else {
            panic!("no reply")
        };
        let (session, confirm) = dial.handle(&second, offer, NOW).expect("it opens").expect("it is whole");
        let Ok(Progress::Done(answered)) = accept.handle(&confirm, &mut acceptor, NOW) else {
            panic!("not confirmed")
        };
        ([*answered, session], [hello, second, confirm])
    }
}

/// All that the ciphers sealed, one after another.
pub(super) fn sealed(log: Vec<tapped::Sealed>) -> Json {
    Json::list(log.into_iter().map(|s| {
        Json::Fields(vec![
            ("key", hex(s.key)),
            ("nonce", hex(s.nonce)),
            ("associated data", hex(s.ad)),
            ("plaintext", hex(s.plaintext)),
            ("ciphertext", hex(s.ciphertext)),
        ])
    }))
}

fn certificate(identity: &Identity) -> Vec<u8> {
    let mut out = Vec::new();
    identity.certificate(identity.noise_key()).encode(&mut out);
    out
}

#[test]
fn identities_and_certificates() {
    let people = People::new();
    let [caller, callee, _] = people.drawn.clone();
    let person = |identity: &Identity, drawn: Vec<(&'static str, Json)>| {
        let rest = vec![
            ("Ed25519 public key", hex(identity.public().as_bytes())),
            ("fingerprint", hex(identity.fingerprint().as_bytes())),
            ("fingerprint shown", identity.fingerprint().to_string()[..].into()),
            ("X25519 public key", hex(identity.noise_key().public)),
            ("not after", identity.noise_key().not_after.0.into()),
            ("certificate", hex(certificate(identity))),
            ("identity file", hex(&*identity.encode())),
        ];
        Json::Fields([drawn, rest].concat())
    };
    let good = certificate(&people.anna);
    let noise = people.anna.noise_key().public;
    let other = certificate(&people.ben);
    let late = WallTime(NOW.0 + 365 * 86_400);
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // The neutral point signs anything where verification is not strict.
    let mut neutral = flipped(0);
    neutral[..32].copy_from_slice(&[&[1][..], &[0; 31]].concat());
    neutral[72..].copy_from_slice(&[&[1][..], &[0; 63]].concat());
    let bad = [
        ("expired", good.clone(), late),
        ("over another Noise key than the proven one", other, NOW),
        ("another identity", flipped(0), NOW),
        ("another Noise key", flipped(32), NOW),
        ("another end", flipped(71), NOW),
        ("another signature", flipped(135), NOW),
        ("the neutral point as identity", neutral, NOW),
    ];
    let refused = bad.map(|(why, bytes, now)| {
        assert!(Certificate::decode(&bytes).is_ok_and(|c| c.check(&noise, now).is_err()), "{why}");
        Json::Fields(vec![("why", why.into()), ("certificate", hex(bytes)), ("now", now.0.into())])
    });
    held(
        "identity.json",
        "docs/protocol.md, section 2. `refused` is checked against the first person's X25519 public key at `now`.",
        vec![
            ("people", Json::list([person(&people.anna, caller), person(&people.ben, callee)])),
            ("refused", Json::list(refused)),
        ],
    );
}

/// Where the holders of a ticket of the second person find it at a relay, if it was issued now and ends in a day.
fn mailbox(people: &People) -> [u8; 32] {
    new_mailbox(&people.ben, NOW, WallTime(NOW.0 + 86_400))
}

#[test]
fn tickets() {
    let people = People::new();
    let ticket = &people.ticket;
    let text = ticket.to_string();
    let body = |text: &str| {
        let code = data_encoding::BASE32_NOPAD.decode(text[6..].to_uppercase().as_bytes()).expect("base32");
        code[..code.len() - 4].to_vec()
    };
    let of_body = |body: &[u8]| {
        let sum = crate::crypto::kdf::hash("", &[body]);
        let code = data_encoding::BASE32_NOPAD.encode(&[body, &sum[..4]].concat());
        format!("kring1{}", code.to_lowercase())
    };
    let plain = body(&text);
    let with = |fields: &[u8]| of_body(&[&plain[..73], fields].concat());
    let read = |text: &str| {
        let ticket: Ticket = text.parse().expect("a ticket");
        let addresses = ticket.addresses().iter().map(|a| a.to_string()[..].into());
        Json::Fields(vec![
            ("text", text.into()),
            ("body", hex(body(text))),
            ("X25519 public key", hex(ticket.noise())),
            ("fingerprint", hex(ticket.fingerprint().as_bytes())),
            ("expires", ticket.expires().0.into()),
            ("addresses", Json::list(addresses)),
            ("ticket id", ticket.id().to_string()[..].into()),
            ("psk0", hex(*ticket.psk0())),
        ])
    };
    let relayed = |kind: u8, pin: &[u8]| {
        let value = [&mailbox(&people)[..], pin, b"relay.example:443"].concat();
        with(&[&[kind, value.len() as u8][..], &value].concat())
    };
    let unknown_field = with(&[99, 3, 1, 2, 3, 4, 6, 192, 0, 2, 1, 17, 81]);
    let mut flags = plain.clone();
    flags[0] = 1;
    let refused = [
        ("checksum", format!("{}{}", &text[..text.len() - 1], if text.ends_with('a') { 'b' } else { 'a' })),
        ("flags", of_body(&flags)),
        ("cut short", of_body(&plain[..70])),
        ("a field without its end", with(&[4, 6, 192, 0, 2])),
        ("an IPv4 address of 5 bytes", with(&[4, 5, 192, 0, 2, 1, 17])),
        ("port 0", with(&[4, 6, 192, 0, 2, 1, 0, 0])),
        ("nine addresses", with(&[4, 6, 192, 0, 2, 1, 17, 81].repeat(9))),
        ("two relays", with(&[&[7, 35][..], &[7; 32], b"a:1", &[7, 35], &[7; 32], b"a:1"].concat())),
        ("a relay of 31 bytes", with(&[&[7, 31][..], &[7; 31]].concat())),
        ("another version", text.replacen("kring1", "kring2", 1)),
        ("another prefix", text.replacen("kring1", "klang1", 1)),
    ];
    let refused = refused.map(|(why, text)| {
        assert!(text.parse::<Ticket>().is_err(), "{why}");
        Json::Fields(vec![("why", why.into()), ("text", text[..].into())])
    });
    let [.., drawn] = people.drawn.clone();
    held(
        "ticket.json",
        "docs/protocol.md, section 3. The first ticket is the second person's of identity.json.",
        [
            drawn,
            vec![
                (
                    "tickets",
                    Json::list([
                        read(&text),
                        read(&unknown_field),
                        read(&relayed(7, &[])),
                        read(&relayed(8, &[0x88; 32])),
                    ]),
                ),
                ("issued", NOW.0.into()),
                ("mailbox of the last two", hex(mailbox(&people))),
                ("refused", Json::list(refused)),
            ],
        ]
        .concat(),
    );
}

#[test]
fn handshakes() {
    let people = People::new();
    tapped::since();
    let offer = HEXLOWER.decode(b"0104416e6e61").expect("hex");
    let (sessions, [hello, second, confirm]) = people.meet(&offer);
    let log = tapped::since();
    let ids = sessions.each_ref().map(|s| s.call_id());
    assert_eq!(ids[0], ids[1]);
    let prologue = BINDING.prologue();
    let caller = people.caller.named(&[
        ("call id", 16),
        ("ML-KEM-768 seed d ‖ z", 64),
        ("GREASE of message 1", 12),
        ("X25519 ephemeral secret", 32),
        ("GREASE of confirm", 12),
    ]);
    let callee = people.callee.named(&[
        ("GREASE of message 2", 12),
        ("X25519 ephemeral secret", 32),
        ("ML-KEM-768 m", 32),
    ]);
    held(
        "handshake.json",
        "docs/protocol.md, section 5, between the two of identity.json with the first ticket of ticket.json. The frames \
         begin with their length. `sealed` lists every use of ChaCha20-Poly1305 in order: of message 1 the ML-KEM key, \
         the static key and the payload, of message 2 the ML-KEM ciphertext and the payload, then confirm. The associated \
         data are Noise's h.",
        vec![
            ("protocol", NOISE_NAME.into()),
            ("exporter", hex(BINDING.bytes())),
            ("prologue", hex(prologue)),
            ("psk0", hex(*people.ticket.psk0())),
            ("hint", hex(BINDING.hint(&people.ticket.psk0()))),
            ("time", NOW.0.into()),
            ("caller draws", Json::Fields(caller)),
            ("callee draws", Json::Fields(callee)),
            ("offer in confirm", hex(offer)),
            ("frame with hint and message 1", hex(hello)),
            ("frame with message 2", hex(second)),
            ("frame with confirm", hex(confirm)),
            ("handshake hash", hex(sessions[0].line.handshake_hash)),
            ("sealed", sealed(log)),
        ],
    );
}
