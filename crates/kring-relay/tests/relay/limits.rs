use crate::setting::{Caller, LONG, SHORT, settings, sides};
use kring_net::relay::{Client, MailboxKey, Reason, Refused, RequestError};
use kring_relay::Relay;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

fn refused<T: std::fmt::Debug>(result: Result<T, RequestError>) -> Refused {
    match result {
        Err(RequestError::Refused(refused)) => refused,
        other => panic!("expected a refusal, came {other:?}"),
    }
}

#[tokio::test]
async fn a_full_relay_says_so_and_when_to_come_back_and_where_else_to_go() {
    let mut config = settings();
    config.limits.max_sessions = 1;
    config.others = vec!["relay2.example:443".parse().unwrap()];
    let relay = Relay::start(config.clone()).await.unwrap();
    let (_caller, _callee, near, far) = sides(&relay).await;
    let (_other, key) = Caller::listening(&relay).await;
    let dialler = Caller::new(&relay).await;
    let why = refused(dialler.client.dial(key.mailbox()).await);
    assert_eq!((why.reason, &why.others), (Reason::Full, &config.others));
    assert!(why.retry_after > Some(Duration::ZERO));
    // Those who talk go on.
    near.send(b"undisturbed").await;
    assert_eq!(far.receive().await, b"undisturbed");
    assert_eq!(relay.metrics().refused_full_total.load(Relaxed), 1);
    relay.stop().await;
}

/// Dials at a relay with little room while a call goes on there, until it refuses, and says how.
async fn refused_while_busy(limits: impl Fn(&mut kring_relay::Limits)) -> Refused {
    let mut config = settings();
    limits(&mut config.limits);
    config.limits.session_rate_per_address = 1e6;
    config.limits.session_mbit = 1e3;
    config.others = vec!["relay2.example:443".parse().unwrap()];
    let relay = Relay::start(config).await.unwrap();
    let (_caller, _callee, near, far) = sides(&relay).await;
    let (mut other, key) = Caller::listening(&relay).await;
    let reading = tokio::spawn(async move { while other.events.next().await.is_some() {} });
    let dialler = Caller::new(&relay).await;
    let why = within(async {
        loop {
            for _ in 0..400 {
                near.send(&[0; 1200]).await;
            }
            match dialler.client.dial(key.mailbox()).await {
                Err(RequestError::Refused(why)) => break why,
                other => dialler.client.close(other.unwrap().handle.token).await.unwrap(),
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    })
    .await;
    reading.abort();
    // Those who talk go on, both ways.
    let end = [7; 100];
    within(async {
        loop {
            // What came before may fill the other's buffer, which drops what comes then.
            near.send(&end).await;
            while let Some(came) = far.receive_within(SHORT).await {
                if came == end {
                    return;
                }
            }
        }
    })
    .await;
    far.send(b"undisturbed").await;
    assert_eq!(near.receive().await, b"undisturbed");
    relay.stop().await;
    why
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work).await.expect("it comes about in time")
}

#[tokio::test]
async fn a_relay_that_works_too_much_or_sends_too_much_refuses_new_sessions_and_keeps_the_old() {
    for why in [
        refused_while_busy(|limits| limits.max_load = 0.0005).await,
        refused_while_busy(|limits| limits.max_mbit = 0.1).await,
    ] {
        assert_eq!((why.reason, why.others.len()), (Reason::Full, 1));
        assert!(why.retry_after > Some(Duration::ZERO));
    }
}

#[tokio::test]
async fn more_clients_than_there_may_be_are_told_so() {
    let mut config = settings();
    config.limits.max_clients = 1;
    let relay = Relay::start(config).await.unwrap();
    let (first, _) = Caller::listening(&relay).await;
    let second = Caller::new(&relay).await;
    let why = refused(second.client.listen(&MailboxKey::generate().unwrap()).await);
    assert_eq!(why.reason, Reason::Full);
    let third = Client::connect_tcp(relay.address(), None).await.unwrap();
    let why = refused(third.0.listen(&MailboxKey::generate().unwrap()).await);
    assert_eq!(why.reason, Reason::Full);
    first.client.listen(&MailboxKey::generate().unwrap()).await.unwrap();
    relay.stop().await;
}

#[tokio::test]
async fn a_mailbox_that_is_flooded_has_a_bound_and_its_owner_is_still_reached() {
    let mut config = settings();
    config.limits.sessions_per_mailbox = 3;
    let relay = Relay::start(config).await.unwrap();
    let (mut callee, key) = Caller::listening(&relay).await;
    let flooder = Caller::new(&relay).await;
    let mut came = 0;
    for _ in 0..10 {
        match flooder.client.dial(key.mailbox()).await {
            Ok(_) => came += 1,
            other => assert_eq!(refused(other).reason, Reason::TooMuch),
        }
    }
    assert_eq!(came, 3);
    // Whom nobody wants is sent away, and there is room for the next.
    let session = callee.incoming().await;
    callee.client.close(session.handle.token).await.unwrap();
    callee.client.listen(&MailboxKey::generate().unwrap()).await.unwrap();
    assert!(flooder.client.dial(key.mailbox()).await.is_ok());
    relay.stop().await;
}

#[tokio::test]
async fn one_address_dials_and_connects_only_so_often() {
    let mut config = settings();
    config.limits.session_rate_per_address = 0.1;
    config.limits.clients_per_address = 3;
    let relay = Relay::start(config).await.unwrap();
    let (_callee, key) = Caller::listening(&relay).await;
    let dialler = Caller::new(&relay).await;
    assert!(dialler.client.dial(key.mailbox()).await.is_ok());
    assert_eq!(refused(dialler.client.dial(key.mailbox()).await).reason, Reason::TooMuch);
    let _third = Caller::listening(&relay).await;
    let fourth = Caller::new(&relay).await;
    assert_eq!(refused(fourth.client.dial(key.mailbox()).await).reason, Reason::TooMuch);
    relay.stop().await;
}

#[tokio::test]
async fn a_side_that_sends_too_much_loses_packets_and_the_other_does_not() {
    let mut config = settings();
    config.limits.session_mbit = 1.0;
    let relay = Relay::start(config).await.unwrap();
    let (_caller, _callee, near, far) = sides(&relay).await;
    // 256 kbit at once are let through: 26 packets of these, and what a few milliseconds add.
    for n in 0..200u8 {
        near.send(&[n; 1200]).await;
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut through = 0;
    while far.receive_within(SHORT).await.is_some() {
        through += 1;
    }
    assert!((26..190).contains(&through), "{through}");
    assert_eq!(relay.metrics().dropped_rate_total.load(Relaxed), 200 - through);
    far.send(b"back").await;
    assert_eq!(near.receive().await, b"back");
    relay.stop().await;
}

#[tokio::test]
async fn a_client_has_so_many_mailboxes() {
    let mut config = settings();
    config.limits.mailboxes_per_client = 2;
    let relay = Relay::start(config).await.unwrap();
    let (caller, key) = Caller::listening(&relay).await;
    caller.client.listen(&MailboxKey::generate().unwrap()).await.unwrap();
    caller.client.listen(&key).await.expect("the same once more is none more");
    let why = refused(caller.client.listen(&MailboxKey::generate().unwrap()).await);
    assert_eq!(why.reason, Reason::TooMuch);
    relay.stop().await;
}
