//! find.json: what is said on the local network, and left in the DHT.

use super::held;
use super::json::{Json, hex};
use super::random::Source;
use super::setup::People;
use crate::contact::ContactKey;
use crate::find::LanRecord;
use crate::mailbox::RelayHint;
use zeroize::Zeroizing;

#[test]
fn what_is_said_and_left() {
    let people = People::new();
    let secret = |byte| Zeroizing::new([byte; 32]);
    let noise = (people.anna.noise_key().public, people.ben.noise_key().public);
    let key = ContactKey::derive((&secret(0x11), 4), &[0x22; 32], (&secret(0x33), &secret(0x44)), noise);
    let ben = people.ben.fingerprint();
    let source = Source::new("kring test vectors: find");

    let keys = [people.ticket.lan_key(), key.lan_key(&ben)];
    let record = LanRecord::new(&keys, people.ticket.addresses(), &*source.provider).expect("drawn");
    let drawn = source.list();
    let relay = RelayHint::new("relay.example:443", Some([0x55; 32]), [0x66; 32]).expect("a relay");
    let place = key.dht_key(&ben, 20_833);
    let value = place.seal(&relay, &*source.provider).expect("drawn");
    assert_eq!(place.open(&value), Ok(relay));
    held(
        "find.json",
        "docs/protocol.md, section 15: the callee of ticket.json says where it is, to whoever holds that ticket and to a contact with the \
         secret of contact.json, and leaves for that contact in the DHT, on day 20833, that it waits at the relay \
         relay.example:443 with pin 55… and mailbox 66….",
        vec![
            ("psk0 of the ticket", hex(*people.ticket.psk0())),
            ("psk0 of the contact", hex(**key.psk0())),
            ("fingerprint", hex(ben.as_bytes())),
            ("drawn for the record: nonce, tags to fill up", drawn),
            ("record", hex(record.encode())),
            ("day", Json::from(20_833)),
            ("seed", hex(**place.seed())),
            ("place", hex(place.place())),
            ("drawn for the value: nonce", source.list()),
            ("value", hex(value)),
        ],
    );
}
