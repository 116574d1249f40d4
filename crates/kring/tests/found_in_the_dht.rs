//! In a DHT of the test's own: a contact is found at a relay that was never told; what somebody else leaves there is passed over, and nothing is
//! left for who is no contact any more.
#![cfg(feature = "dht")]
mod common;
use common::person::{Person, become_contacts};
use common::*;
use kring::{End, Endpoint, EndpointBuilder, Home, Identity};
use kring_core::contact::Contacts;
use kring_core::find::{DHT_VALUE, days};
use kring_core::time::WallTime;
use kring_net::dht::{Dht, Testnet};
use kring_relay::{Config, Relay};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

async fn testnet() -> Testnet {
    let build = || Testnet::builder(10).bind_address(Ipv4Addr::LOCALHOST).build().unwrap();
    tokio::task::spawn_blocking(build).await.unwrap()
}

/// The same person in a program that uses the DHT.
fn again(person: &Person, net: &Testnet) -> EndpointBuilder {
    let identity = std::fs::read(person.file("identity")).unwrap();
    let home = Home::in_folder(person.file("identity").parent().unwrap()).unwrap();
    let builder = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).home(home);
    builder.identity(Identity::decode(&identity).unwrap()).dht(true).dht_nodes(net.bootstrap.clone())
}

fn wall() -> WallTime {
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

/// Waits until so many values are left.
async fn has_left(who: &Endpoint, count: usize) {
    let left = async {
        while who.finds().dht_left < count as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(60, left).await;
}

async fn relay() -> Relay {
    let mut config = Config::default();
    config.bind = "127.0.0.1:0".parse().unwrap();
    Relay::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_is_found_at_a_relay_that_was_never_told() {
    let (net, relay) = (testnet().await, relay().await);
    let (a, b) = (Person::new("Anna"), Person::new("Ben"));
    become_contacts(&a, &b).await;
    a.endpoint.close().await;
    b.endpoint.close().await;
    // Ben is at no address that Anna knows.
    let address = format!("{}#{}", relay.address(), relay.pin()).parse().unwrap();
    let ben = again(&b, &net).relay(address).build().unwrap();
    let anna = again(&a, &net).build().unwrap();
    within(10, ben.relay_reached()).await.unwrap();
    has_left(&ben, 1).await;
    let call = anna.dial_contact("Ben", quiet()).unwrap();
    let incoming = rings(&ben).await;
    let answered = incoming.answer(quiet());
    within(10, call.connected()).await.unwrap();
    assert_eq!(call.peer(), Some(ben.identity()));
    assert_eq!(anna.finds().dht_found, 1);
    assert_eq!(anna.finds().dht_left, 0, "who waits at no relay leaves nothing");
    call.hang_up().await;
    end_of(&answered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_for_who_is_no_contact_any_more() {
    let (net, relay) = (testnet().await, relay().await);
    let (a, b, c) = (Person::new("Anna"), Person::new("Ben"), Person::new("Carl"));
    become_contacts(&a, &b).await;
    become_contacts(&c, &b).await;
    let kept = Contacts::decode(&std::fs::read(b.file("contacts")).unwrap()).unwrap();
    b.endpoint.home().remove_contact("Anna").unwrap();
    b.endpoint.close().await;
    let address = format!("{}#{}", relay.address(), relay.pin()).parse().unwrap();
    let ben = again(&b, &net).relay(address).build().unwrap();
    within(10, ben.relay_reached()).await.unwrap();
    let nodes = net.bootstrap.clone();
    let dht = tokio::task::spawn_blocking(move || Dht::new(Some(&nodes)).unwrap()).await.unwrap();
    let (anna, carl) = (a.endpoint.identity().fingerprint(), c.endpoint.identity().fingerprint());
    let own = ben.identity().fingerprint();
    let places = |whose| {
        let mut all = Vec::new();
        for secret in kept.iter().filter(|who| who.fingerprint() == whose).flat_map(|who| who.keys()) {
            all.extend(days(wall()).map(|day| secret.dht_key(&own, day).place()));
        }
        all
    };
    let carls = places(carl);
    has_left(&ben, carls.len()).await;
    for place in carls {
        assert!(dht.get(&place).await.is_some());
    }
    for place in places(anna) {
        assert_eq!(dht.get(&place).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_value_is_counted_and_passed_over() {
    let net = testnet().await;
    let (a, mut b) = (Person::new("Anna"), Person::new("Ben"));
    become_contacts(&a, &b).await;
    a.endpoint.close().await;
    // Whoever has stolen the secret can sign for the place, and leave anything there.
    let stolen = Contacts::decode(&std::fs::read(b.file("contacts")).unwrap()).unwrap();
    let ben = b.endpoint.identity().fingerprint();
    let nodes = net.bootstrap.clone();
    let dht = tokio::task::spawn_blocking(move || Dht::new(Some(&nodes)).unwrap()).await.unwrap();
    let mut places = 0;
    for secret in stolen.iter().flat_map(|contact| contact.keys()) {
        for day in days(wall()) {
            let key = secret.dht_key(&ben, day);
            dht.put(key.seed(), &[1; DHT_VALUE], 1).await.unwrap();
            assert_eq!(dht.get(&key.place()).await, Some(vec![1; DHT_VALUE]));
            places += 1;
        }
    }
    let anna = again(&a, &net).build().unwrap();
    // Nobody is where Ben was, so the DHT is asked to the end.
    b.endpoint.close().await;
    let call = anna.dial_contact("Ben", quiet()).unwrap();
    eventually("it is counted", || (1..=places).contains(&anna.finds().dht_ignored)).await;
    assert!(matches!(within(30, call.ended()).await, End::Unreachable(_)));
    // Ben's own address still serves.
    b.restart(false, |_| {}).await;
    let call = anna.dial_contact("Ben", quiet()).unwrap();
    let _answered = rings(&b.endpoint).await.answer(quiet());
    within(10, call.connected()).await.unwrap();
    assert_eq!(anna.finds().dht_found, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_relay_only_nothing_is_left_or_looked_for() {
    let (net, relay) = (testnet().await, relay().await);
    let (a, b) = (Person::new("Anna"), Person::new("Ben"));
    become_contacts(&a, &b).await;
    b.endpoint.close().await;
    let address = format!("{}#{}", relay.address(), relay.pin()).parse().unwrap();
    let ben = again(&b, &net).relay(address).relay_only(true).build().unwrap();
    within(10, ben.relay_reached()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(ben.finds(), Default::default());
    assert!(ben.dial_contact("Anna", quiet()).is_ok());
    assert_eq!(ben.finds(), Default::default());
}
