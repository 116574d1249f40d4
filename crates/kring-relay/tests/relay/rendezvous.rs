use crate::setting::{Caller, session, start};
use kring_net::relay::{Client, Event, Mailbox, MailboxKey, Pin, Reason, RequestError};

fn reason<T: std::fmt::Debug>(result: Result<T, RequestError>) -> Reason {
    match result {
        Err(RequestError::Refused(refused)) => refused.reason,
        other => panic!("expected a refusal, came {other:?}"),
    }
}

#[tokio::test]
async fn who_dials_a_mailbox_meets_who_listens_there() {
    let relay = start().await;
    let (caller, callee, [near, far]) = session(&relay).await;
    assert_ne!(near.handle.token, far.handle.token);
    assert_ne!(near.handle, far.handle);
    assert_eq!(near.handle.resume, far.handle.resume);
    assert_eq!(caller.client.observed(), caller.endpoint.local_addr().ok());
    assert_eq!(callee.client.observed(), callee.endpoint.local_addr().ok());
    relay.stop().await;
}

#[tokio::test]
async fn nobody_is_met_where_nobody_listens() {
    let relay = start().await;
    let (callee, key) = Caller::listening(&relay).await;
    let caller = Caller::new(&relay).await;
    assert_eq!(reason(caller.client.dial(Mailbox([1; 32])).await), Reason::NobodyThere);
    callee.client.unlisten(key.mailbox()).await.unwrap();
    // What one client asks for is done in order, so the answer to this comes after that.
    callee.client.listen(&MailboxKey::generate().unwrap()).await.unwrap();
    assert_eq!(reason(caller.client.dial(key.mailbox()).await), Reason::NobodyThere);
    relay.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_listens_no_more() {
    let relay = start().await;
    let (callee, key) = Caller::listening(&relay).await;
    let caller = Caller::new(&relay).await;
    drop(callee.client);
    let left = async {
        while caller.client.dial(key.mailbox()).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    };
    tokio::time::timeout(crate::setting::LONG, left).await.expect("the mailbox is given up");
    relay.stop().await;
}

#[tokio::test]
async fn the_last_who_shows_a_right_to_a_mailbox_has_it() {
    let relay = start().await;
    let (mut first, key) = Caller::listening(&relay).await;
    let mut second = Caller::new(&relay).await;
    second.client.listen(&key).await.unwrap();
    match first.event().await {
        Some(Event::Unheard { mailbox, refused }) => {
            assert_eq!((mailbox, refused.reason), (key.mailbox(), Reason::Displaced));
        }
        other => panic!("expected to be told, came {other:?}"),
    }
    let caller = Caller::new(&relay).await;
    caller.client.dial(key.mailbox()).await.unwrap();
    second.incoming().await;
    relay.stop().await;
}

#[tokio::test]
async fn a_pinned_key_is_asked_for() {
    let relay = start().await;
    let caller = Caller::new(&relay).await;
    assert_eq!(caller.client.pin(), relay.pin());
    let (endpoint, address) = (&caller.endpoint, relay.address());
    assert!(Client::connect(endpoint, address, Some(relay.pin())).await.is_ok());
    let wrong = Client::connect(endpoint, address, Some(Pin([0; 32]))).await.err().expect("an error");
    assert!(wrong.to_string().contains("another key than the pinned one"), "{wrong}");
    let wrong = Client::connect_tcp(address, Some(Pin([0; 32]))).await.err().expect("an error");
    assert!(wrong.to_string().contains("another key than the pinned one"), "{wrong}");
    relay.stop().await;
}

#[tokio::test]
async fn both_sides_learn_that_one_has_ended_the_session() {
    let relay = start().await;
    let (caller, mut callee, [near, far]) = session(&relay).await;
    // One's own handle does, the other side's does not.
    caller.client.close(far.handle.token).await.unwrap();
    caller.client.close(near.handle.token).await.unwrap();
    match callee.event().await {
        Some(Event::Closed { token, reason }) => {
            assert_eq!((token, reason), (far.handle.token, Reason::Ended));
        }
        other => panic!("expected the end, came {other:?}"),
    }
    relay.stop().await;
}

#[tokio::test]
async fn two_find_each_other_again_after_the_relay_has_forgotten_them() {
    let relay = start().await;
    let (caller, callee, [near, far]) = session(&relay).await;
    let address = relay.address();
    relay.stop().await;
    drop((caller, callee));

    let mut config = crate::setting::settings();
    config.bind = address;
    let relay = kring_relay::Relay::start(config).await.unwrap();
    let (caller, callee) = (Caller::new(&relay).await, Caller::new(&relay).await);
    let (one, other) =
        tokio::join!(caller.client.rejoin(&near.handle.resume), callee.client.rejoin(&far.handle.resume));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.handle.resume, other.handle.resume);
    assert_ne!(one.handle.token, near.handle.token);
    relay.stop().await;
}
