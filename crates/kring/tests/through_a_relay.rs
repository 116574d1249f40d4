//! Two who meet at a relay talk, move to a direct way if they may, and survive the relay's restart.

mod common;

use common::{HOUR, event, media, rings, within};
use kring::{Call, Endpoint, EndpointBuilder, Event, Home, Path, Ticket};
use kring_relay::{Config, Relay};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::sleep;

fn at(address: &str) -> EndpointBuilder {
    Endpoint::builder().bind(address.parse().unwrap())
}

async fn relay_at(address: SocketAddr) -> Relay {
    let mut config = Config::default();
    config.bind = address;
    for _ in 0..100 {
        if let Ok(relay) = Relay::start(config.clone()).await {
            return relay;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the port stays taken");
}

async fn relay() -> Relay {
    relay_at("127.0.0.1:0".parse().unwrap()).await
}

fn pinned(relay: &Relay) -> kring::RelayAddress {
    format!("{}#{}", relay.address(), relay.pin()).parse().unwrap()
}

/// A ticket by which nobody can be reached but through the relay.
async fn relayed_ticket(endpoint: &Endpoint) -> Ticket {
    within(10, endpoint.relay_reached()).await.unwrap();
    // Nothing listens at the discard port.
    endpoint.ticket_for(&["127.0.0.1:9".parse().unwrap()], HOUR).unwrap()
}

/// Has the one call the other; both talk.
async fn talk(caller: &Endpoint, callee: &Endpoint, ticket: &Ticket) -> (Call, Call) {
    let call = caller.dial(ticket, media("Ann", 440.0).0);
    let incoming = rings(callee).await;
    assert!(kring::is_relayed(&incoming.from()));
    let answered = incoming.answer(media("Ben", 440.0).0);
    within(10, call.connected()).await.unwrap();
    within(10, answered.connected()).await.unwrap();
    (call, answered)
}

async fn heard(call: &Call) -> u64 {
    let samples = || {
        let audio = call.stats().audio;
        audio.total_samples_received - audio.concealed_samples
    };
    let before = samples();
    within(20, async {
        while samples() < before + 24_000 {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    samples()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_begins_at_the_relay_and_goes_on_directly() {
    let relay = relay().await;
    let callee = at("127.0.0.1:0").relay(pinned(&relay)).build().unwrap();
    let caller = at("127.0.0.1:0").build().unwrap();
    let ticket = relayed_ticket(&callee).await;
    let (call, answered) = talk(&caller, &callee, &ticket).await;
    for side in [&call, &answered] {
        event(side, |event| *event == Event::Path(Path::Direct)).await;
        heard(side).await;
        assert_eq!(side.stats().transport.path, Path::Direct);
    }
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_relay_only_it_stays_there_and_neither_ticket_nor_call_names_an_address() {
    let relay = relay().await;
    let callee = at("127.0.0.1:0").relay(pinned(&relay)).relay_only(true).build().unwrap();
    let caller = at("127.0.0.1:0").build().unwrap();
    within(10, callee.relay_reached()).await.unwrap();
    let ticket = callee.ticket(HOUR).unwrap();
    assert!(ticket.addresses().is_empty());
    let (call, answered) = talk(&caller, &callee, &ticket).await;
    for side in [&call, &answered] {
        heard(side).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(side.stats().transport.path, Path::Relayed);
        assert!(kring::is_relayed(&side.from().unwrap()));
    }
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_at_the_tickets_address_does_not_end_a_dial_that_the_relay_brings_through() {
    let relay = relay().await;
    let stranger = common::endpoint();
    let callee = at("127.0.0.1:0").relay(pinned(&relay)).build().unwrap();
    let caller = at("127.0.0.1:0").build().unwrap();
    within(10, callee.relay_reached()).await.unwrap();
    // As where a ticket names 192.168.1.2, and the caller's own network has somebody there.
    let ticket = callee.ticket_for(&[stranger.local_addr().unwrap()], HOUR).unwrap();
    let (call, _answered) = talk(&caller, &callee, &ticket).await;
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relayed_call_survives_that_its_relay_starts_anew() {
    let relay = relay().await;
    let place = relay.address();
    let unpinned = || place.to_string().parse().unwrap();
    let callee = at("127.0.0.1:0").relay(unpinned()).relay_only(true).build().unwrap();
    let caller = at("127.0.0.1:0").build().unwrap();
    within(10, callee.relay_reached()).await.unwrap();
    let ticket = callee.ticket(HOUR).unwrap();
    let (call, answered) = talk(&caller, &callee, &ticket).await;
    heard(&call).await;
    relay.stop().await;
    let _relay = relay_at(place).await;
    for side in [&call, &answered] {
        heard(side).await;
    }
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_of_one_home_the_first_is_called_through_the_relay_and_then_the_second() {
    let (relay, folder) = (relay().await, tempfile::tempdir().unwrap());
    let process = || {
        let (identity, _) = kring::store::load_or_create(&folder.path().join("identity")).unwrap();
        let home = Home::in_folder(folder.path()).unwrap();
        at("127.0.0.1:0").relay(pinned(&relay)).identity(identity).home(home).build().unwrap()
    };
    let first = process();
    within(10, first.relay_reached()).await.unwrap();
    let second = process();
    let error = within(10, second.relay_reached()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    // A ticket of the second, whose address nobody reaches, rings at the first.
    let ticket = second.ticket_for(&["127.0.0.1:9".parse().unwrap()], HOUR).unwrap();
    sleep(Duration::from_secs(2)).await;
    let caller = at("127.0.0.1:0").build().unwrap();
    let (call, answered) = talk(&caller, &first, &ticket).await;
    call.hang_up().await;
    within(10, answered.ended()).await;
    first.close().await;
    drop((first, answered));
    within(10, async {
        while second.relay_reached().await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    let (call, _answered) = talk(&caller, &second, &ticket).await;
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_relay_a_ticket_says_why_nobody_is_reached() {
    let relay = relay().await;
    let callee = at("127.0.0.1:0").relay(pinned(&relay)).relay_only(true).build().unwrap();
    within(10, callee.relay_reached()).await.unwrap();
    let ticket = callee.ticket(HOUR).unwrap();
    callee.close().await;
    drop(callee);
    sleep(Duration::from_millis(500)).await;
    let caller = at("127.0.0.1:0").build().unwrap();
    let call = caller.dial(&ticket, common::quiet());
    let end = within(15, call.ended()).await;
    assert!(end.to_string().contains("nobody listens there"), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_find_each_other_at_their_relay_without_a_ticket() {
    let relay = relay().await;
    let hidden = || at("127.0.0.1:0").relay(pinned(&relay)).relay_only(true).home(Home::in_memory());
    let (ann, ben) = (hidden().build().unwrap(), hidden().build().unwrap());
    within(10, ben.relay_reached()).await.unwrap();
    ann.keep(&ben.identity(), "Ben").unwrap();
    ben.keep(&ann.identity(), "Ann").unwrap();
    let ticket = ben.ticket(HOUR).unwrap();
    let (call, answered) = talk(&ann, &ben, &ticket).await;
    event(&call, |event| matches!(event, Event::Acquainted { .. })).await;
    event(&answered, |event| matches!(event, Event::Acquainted { .. })).await;
    // What is told behind it is on its way.
    sleep(Duration::from_secs(1)).await;
    call.hang_up().await;
    within(10, answered.ended()).await;
    ben.revoke(ticket.id()).unwrap();
    let again = within(5, async {
        loop {
            let call = ann.dial_contact("Ben", media("Ann", 440.0).0).unwrap();
            // Ben listens at the new mailbox within half a second.
            tokio::select! {
                incoming = ben.incoming() => break (call, incoming.unwrap()),
                _ = call.ended() => sleep(Duration::from_millis(200)).await,
            }
        }
    });
    let (call, incoming) = again.await;
    assert!(kring::is_relayed(&incoming.from()));
    let _answered = incoming.answer(media("Ben", 440.0).0);
    within(10, call.connected()).await.unwrap();
    heard(&call).await;
    call.hang_up().await;
}
