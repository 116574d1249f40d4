use super::*;
use crate::contact::ContactKey;
use crate::crypto::Secret32;
use crate::crypto::aws_lc::AwsLc;
use crate::identity::{Fingerprint, Identity};
use crate::issued::IssuedTickets;
use crate::mailbox::{MAX_RELAY, RelayHint};
use crate::ticket::Ticket;
use crate::time::WallTime;
use std::net::SocketAddr;

const NOW: WallTime = WallTime(1_800_000_000);

fn who(byte: u8) -> Fingerprint {
    Fingerprint([byte; 20])
}

fn key(secret: u8, announcer: u8) -> LanKey {
    LanKey::new(&Secret32::new([secret; 32]), &who(announcer))
}

fn addresses() -> Vec<SocketAddr> {
    vec!["192.0.2.7:4433".parse().unwrap(), "[2001:db8::7]:4433".parse().unwrap()]
}

fn contact_key(old: u8) -> ContactKey {
    let secret = |n| Secret32::new([n; 32]);
    ContactKey::derive((&secret(old), 0), &[1; 32], (&secret(2), &secret(3)), ([4; 32], [5; 32]))
}

#[test]
fn those_who_share_a_secret_know_who_is_there_and_nobody_else_does() {
    let record = LanRecord::new(&[key(1, 9), key(2, 9)], &addresses(), &AwsLc).unwrap();
    let read = LanRecord::decode(&record.encode()).unwrap();
    assert_eq!(read, record);
    assert_eq!(read.addresses(), addresses());
    assert!(read.is_by(&key(1, 9)) && read.is_by(&key(2, 9)));
    assert!(!read.is_by(&key(3, 9)), "another secret");
    assert!(!read.is_by(&key(1, 8)), "what one of two says is not taken for what the other says");
}

#[test]
fn a_record_that_was_changed_in_any_byte_is_by_nobody() {
    let record = LanRecord::new(&[key(1, 9)], &addresses(), &AwsLc).unwrap().encode();
    let tag = LanRecord::decode(&record).unwrap();
    assert!(tag.is_by(&key(1, 9)));
    let said = record.len() - 16 * TAG;
    for at in 0..said {
        let mut changed = record.clone();
        changed[at] ^= 1;
        let recognised = LanRecord::decode(&changed).is_ok_and(|record| record.is_by(&key(1, 9)));
        assert!(!recognised, "byte {at}");
    }
}

#[test]
fn two_records_of_one_side_have_nothing_in_common_but_where_it_is() {
    let keys: Vec<_> = (0..40).map(|n| key(n, 9)).collect();
    let [one, two] = [(); 2].map(|()| LanRecord::new(&keys, &addresses(), &AwsLc).unwrap().encode());
    assert_eq!(one.len(), two.len());
    let tags = |record: &[u8]| record[record.len() - 48 * TAG..].as_chunks::<TAG>().0.to_vec();
    assert!(tags(&one).iter().all(|tag| !tags(&two).contains(tag)));
    assert!(tags(&one).is_sorted(), "the order says which were drawn");
    assert_ne!(one[1..17], two[1..17]);
}

#[test]
fn how_many_secrets_there_are_shows_in_steps_of_sixteen() {
    let length = |count: u8| {
        let keys: Vec<_> = (0..count).map(|n| key(n, 9)).collect();
        LanRecord::new(&keys, &addresses(), &AwsLc).unwrap().encode().len()
    };
    assert_eq!((length(0), length(1), length(16)), (length(16), length(16), length(16)));
    assert_eq!(length(17), length(16) + 16 * TAG);
    assert_eq!(length(200), length(64));
    let many = vec![addresses()[1]; 20];
    let keys: Vec<_> = (0..200).map(|n| key(n, 9)).collect();
    let longest = LanRecord::new(&keys, &many, &AwsLc).unwrap();
    assert!(LanRecord::decode(&longest.encode()).unwrap().is_by(&key(MAX_TAGS as u8 - 1, 9)));
}

#[test]
fn what_is_no_record_is_refused() {
    let record = LanRecord::new(&[key(1, 9)], &addresses(), &AwsLc).unwrap().encode();
    for length in 0..record.len() {
        assert!(LanRecord::decode(&record[..length]).is_err(), "{length} bytes");
    }
    assert_eq!(LanRecord::decode(&[2]), Err(NoRecord::Version { came: 2 }));
    let mut tags = record.clone();
    tags.resize(record.len() + 64 * TAG, 0);
    assert_eq!(LanRecord::decode(&tags), Err(NoRecord::Malformed), "80 tags");
    let mut count = record.clone();
    count[17] = 9;
    assert_eq!(LanRecord::decode(&count), Err(NoRecord::Malformed), "nine addresses");
    let mut port = record;
    port[24..26].fill(0);
    assert_eq!(LanRecord::decode(&port), Err(NoRecord::Malformed), "port 0");
}

#[test]
fn both_ends_of_a_ticket_and_of_a_contact_have_the_same_key() {
    let identity = Identity::generate(&AwsLc, NOW).unwrap();
    let ticket = Ticket::issue(&identity, &addresses(), WallTime(NOW.0 + 3600), &AwsLc).unwrap();
    let mut issued = IssuedTickets::default();
    issued.add(&ticket, false, NOW);
    let own = issued.iter().next().unwrap().lan_key(&identity);
    assert!(LanRecord::new(&[own], &addresses(), &AwsLc).unwrap().is_by(&ticket.lan_key()));

    let (anna, ben) = (contact_key(1), contact_key(1));
    let record = LanRecord::new(&[anna.lan_key(&who(1))], &addresses(), &AwsLc).unwrap();
    assert!(record.is_by(&ben.lan_key(&who(1))) && !record.is_by(&ben.lan_key(&who(2))));
}

#[test]
fn what_one_leaves_for_a_contact_only_that_contact_finds_and_reads() {
    let (anna, ben) = (contact_key(1), contact_key(1));
    let long = format!("{}:443", "a".repeat(MAX_RELAY - 4));
    for (address, pin) in [("relay.example:443", None), (&long, Some([7; 32]))] {
        let relay = RelayHint::new(address, pin, [8; 32]).unwrap();
        let left = anna.dht_key(&who(1), 20_000);
        let value = left.seal(&relay, &AwsLc).unwrap();
        assert_eq!(value.len(), DHT_VALUE);
        let found = ben.dht_key(&who(1), 20_000);
        assert_eq!((found.place(), found.open(&value)), (left.place(), Ok(relay.clone())));
        assert_ne!(left.seal(&relay, &AwsLc).unwrap(), value, "the same is never sealed alike");
        for other in [
            ben.dht_key(&who(2), 20_000),
            ben.dht_key(&who(1), 20_001),
            contact_key(2).dht_key(&who(1), 20_000),
        ] {
            assert_ne!(other.place(), left.place());
            assert_eq!(other.open(&value), Err(NoRecord::Forged));
        }
    }
}

#[test]
fn a_poisoned_value_is_passed_over() {
    let key = contact_key(1).dht_key(&who(1), 20_000);
    let relay = RelayHint::new("relay.example:443", None, [8; 32]).unwrap();
    let value = key.seal(&relay, &AwsLc).unwrap();
    for at in 1..DHT_VALUE {
        let mut changed = value;
        changed[at] ^= 1;
        assert_eq!(key.open(&changed), Err(NoRecord::Forged), "byte {at}");
    }
    assert_eq!(key.open(&[2; DHT_VALUE]), Err(NoRecord::Version { came: 2 }));
    for value in [&[][..], &value[..DHT_VALUE - 1], &[&value[..], &[0]].concat()] {
        assert_eq!(key.open(value), Err(NoRecord::Malformed));
    }
}

#[test]
fn around_midnight_two_days_count() {
    let at = |hour: u64| days(WallTime(20_000 * 86_400 + hour * 3600 / 2)).collect::<Vec<_>>();
    assert_eq!(at(1), [19_999, 20_000], "half past midnight");
    assert_eq!(at(3), [20_000]);
    assert_eq!(at(45), [20_000]);
    assert_eq!(at(47), [20_000, 20_001]);
    assert!(days(WallTime(0)).count() <= MAX_DAYS && days(WallTime(u64::MAX)).count() <= MAX_DAYS);
}
