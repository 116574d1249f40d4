//! What anybody may say on the local network, and what anybody who has stolen a secret may leave in the DHT.

use kring_core::find::{DHT_VALUE, LanRecord, MAX_TAGS, TAG};
use kring_core::fuzzing::contact_key;
use kring_core::identity::PublicIdentity;
use kring_core::ticket::MAX_ADDRESSES;
use std::net::SocketAddr;

use crate::world::{WORLD, provider};

/// The first byte says whether the rest is a record, or what is put into one of this side's own.
pub fn lan_record(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let own = WORLD.ticket.lan_key();
    let addresses = |bytes: &[u8]| -> Vec<SocketAddr> {
        let (parts, _) = bytes.as_chunks::<6>();
        let at = |part: &[u8; 6]| {
            SocketAddr::from((
                [part[0], part[1], part[2], part[3]],
                u16::from_be_bytes([part[4], part[5]]).max(1),
            ))
        };
        parts.iter().map(at).collect()
    };
    let record = match how % 2 {
        0 => match LanRecord::decode(rest) {
            Ok(record) => record,
            Err(_) => return,
        },
        _ => {
            let record = LanRecord::new(std::slice::from_ref(&own), &addresses(rest), &*provider(5));
            let record = record.expect("the seeded provider never fails");
            assert!(record.is_by(&own));
            record
        }
    };
    let encoded = record.encode();
    assert_eq!(
        LanRecord::decode(&encoded).as_ref(),
        Ok(&record),
        "what was read means the same when written again"
    );
    assert!(
        record.addresses().len() <= MAX_ADDRESSES
            && encoded.len() <= 18 + 20 * MAX_ADDRESSES + MAX_TAGS * TAG
    );
    if how % 2 == 0 {
        assert_eq!(encoded, rest, "a record has one encoding");
        assert!(!record.is_by(&contact_key(7, 7).lan_key(&WORLD.callee.fingerprint())), "nobody forges one");
    }
    assert!(
        !format!("{record:?}")
            .contains(&record.addresses().first().map_or("none".into(), ToString::to_string))
    );
}

/// A value, under the secret of two contacts.
pub fn dht_value(data: &[u8]) {
    let publisher = PublicIdentity::from([9; 32]).fingerprint();
    let key = contact_key(1, 1).dht_key(&publisher, 20_000);
    // What was left with this secret reads; whatever else reads has the form of it.
    if let Ok(relay) = key.open(data) {
        assert_eq!(data.len(), DHT_VALUE);
        let again = key.seal(&relay, &*provider(6)).expect("the seeded provider never fails");
        assert_eq!(key.open(&again), Ok(relay));
        assert!(contact_key(1, 2).dht_key(&publisher, 20_000).open(data).is_err());
    }
    // The same bytes as what stands inside the seal: whoever has stolen a secret can seal anything.
    if let Some(relay) = kring_core::fuzzing::relay_in(data) {
        assert!(relay.address().len() <= kring_core::mailbox::MAX_RELAY);
        let sealed = key.seal(&relay, &*provider(6)).expect("the seeded provider never fails");
        assert_eq!(key.open(&sealed), Ok(relay));
    }
}
