//! verify.json and passcode.json: what people compare, and what they agree on beforehand.

use super::held;
use super::json::{Json, hex};
use super::setup::People;
use crate::handshake::Role;
use crate::passcode::{Host, Joiner, Parties, Passcode};
use crate::verify::{Code, CodeExchange, CodeMessage, SafetyNumber, SafetyScan, Step};

/// Stands for the handshake's hash.
const HASH: [u8; 32] = [0x77; 32];

fn bytes(message: &CodeMessage) -> Json {
    let (CodeMessage::Commitment(bytes) | CodeMessage::Nonce(bytes) | CodeMessage::Reveal(bytes)) = message;
    hex(bytes)
}

/// Both ends of one exchange, on the way to one code.
fn code(people: &People) -> (Vec<(&'static str, Json)>, Code) {
    let [caller, callee] = [&people.caller.provider, &people.callee.provider];
    let (mut anna, first) = CodeExchange::begin(Role::Caller, HASH, &**caller).expect("drawn");
    let (mut ben, _) = CodeExchange::begin(Role::Callee, HASH, &**callee).expect("drawn");
    let commitment = first.expect("the caller commits");
    let Ok(Step::Send(nonce)) = ben.take(commitment, &**callee) else { panic!("no nonce") };
    let Ok(Step::Reveal(reveal, code)) = anna.take(nonce, &**caller) else { panic!("no reveal") };
    let Ok(Step::Code(there)) = ben.take(reveal, &**callee) else { panic!("no code") };
    assert_eq!(code, there);
    let messages = vec![("commitment", bytes(&commitment)), ("nB", bytes(&nonce)), ("nA", bytes(&reveal))];
    (messages, code)
}

#[test]
fn what_people_compare() {
    let people = People::new();
    let (own, peer) = (people.anna.public(), people.ben.public());
    let mut exchange = vec![("h", hex(HASH))];
    let (messages, code) = code(&people);
    exchange.extend(messages);
    exchange.push(("words", code.to_string().as_str().into()));
    exchange.push(("emoji", Json::list(code.emoji().map(|emoji| Json::from(emoji.to_string().as_str())))));
    held(
        "verify.json",
        "docs/protocol.md, sections 2 and 7.3. Bytes are in hexadecimal.",
        vec![
            ("caller", hex(own.as_bytes())),
            ("callee", hex(peer.as_bytes())),
            ("safety number", SafetyNumber::of(&own, &peer).to_string().as_str().into()),
            ("as the caller's QR code", SafetyScan::new(own, peer).to_qr_text().as_str().into()),
            ("code", Json::Fields(exchange)),
        ],
    );
}

#[test]
fn a_passcode() {
    let people = People::new();
    let text = "tulips 4711";
    let key = Passcode::new(text).expect("long enough").key(people.ticket.id()).expect("there is memory");
    let parties =
        Parties { handshake_hash: HASH, caller: people.anna.fingerprint(), callee: people.ben.fingerprint() };
    let (joiner, ya) = Joiner::begin(&key, parties, &*people.caller.provider).expect("drawn");
    let answer = Host::answer(&key, parties, &ya, &*people.callee.provider).expect("drawn");
    let (host, yb) = answer.expect("a share");
    let (joined, ta) = joiner.answered(&yb).expect("a share");
    let tb = host.admit(&ta).expect("the right passcode");
    assert!(joined.holds(&tb));
    held(
        "passcode.json",
        "docs/protocol.md, section 7.5. Bytes are in hexadecimal. A scalar is what was drawn, little-endian, its top four bits cleared.",
        vec![
            ("passcode", text.into()),
            ("ticket id", hex(people.ticket.id().0)),
            ("PRS", hex(*key.0)),
            ("sid", hex(HASH)),
            ("fingerprint of the caller", hex(parties.caller.as_bytes())),
            ("fingerprint of the callee", hex(parties.callee.as_bytes())),
            ("drawn by the caller", people.caller.list()),
            ("drawn by the callee", people.callee.list()),
            ("Ya", hex(ya)),
            ("Yb", hex(yb)),
            ("Ta", hex(ta)),
            ("Tb", hex(tb)),
        ],
    );
}
