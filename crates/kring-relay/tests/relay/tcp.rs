use crate::setting::{Caller, LONG, Side, settings, start};
use kring_net::relay::shim::{self, Packet};
use kring_net::relay::{Client, Event, Events, MailboxKey, Packets, Session, Way};
use kring_relay::Relay;
use tokio::time::timeout;

async fn incoming(events: &mut Events) -> Session {
    loop {
        match timeout(LONG, events.next()).await.unwrap() {
            Some(Event::Incoming { session, .. }) => return session,
            Some(_) => {}
            None => panic!("the connection is over"),
        }
    }
}

async fn next(packets: &mut Packets, session: &Session) -> Vec<u8> {
    let packet = timeout(LONG, packets.next()).await.unwrap().expect("a packet");
    match shim::parse(&packet) {
        Some(Packet::Data { token, payload }) => {
            assert_eq!(token, session.handle.token);
            payload.to_vec()
        }
        other => panic!("expected a payload, came {other:?}"),
    }
}

#[tokio::test]
async fn two_who_have_only_tcp_talk() {
    let relay = start().await;
    let key = MailboxKey::generate().unwrap();
    let (callee, mut events, mut far_packets) = Client::connect_tcp(relay.address(), None).await.unwrap();
    callee.listen(&key).await.unwrap();
    let (caller, _events, mut near_packets) = Client::connect_tcp(relay.address(), None).await.unwrap();
    let near = caller.dial(key.mailbox()).await.unwrap();
    let far = incoming(&mut events).await;
    assert_eq!((near.way, far.way), (Way::Tcp, Way::Tcp));
    for len in [0, 1, 1200, shim::MAX_PAYLOAD] {
        let payload = vec![len as u8; len];
        assert!(caller.send_packet(near.wrap(&payload)));
        assert_eq!(next(&mut far_packets, &far).await, payload);
        assert!(callee.send_packet(far.wrap(&payload)));
        assert_eq!(next(&mut near_packets, &near).await, payload);
    }
    relay.stop().await;
}

#[tokio::test]
async fn one_on_tcp_talks_with_one_on_udp() {
    let relay = start().await;
    let (mut callee, key) = Caller::listening(&relay).await;
    let (caller, _events, mut packets) = Client::connect_tcp(relay.address(), None).await.unwrap();
    let near = caller.dial(key.mailbox()).await.unwrap();
    let far = Side::new(callee.incoming().await).await;
    caller.send_packet(near.wrap(b"over TCP"));
    assert_eq!(far.receive().await, b"over TCP");
    far.send(b"over UDP").await;
    assert_eq!(next(&mut packets, &near).await, b"over UDP");
    relay.stop().await;
}

#[tokio::test]
async fn a_side_moves_from_tcp_to_udp_and_back() {
    let relay = start().await;
    let (mut callee, key) = Caller::listening(&relay).await;
    let (caller, _events, mut packets) = Client::connect_tcp(relay.address(), None).await.unwrap();
    let near = caller.dial(key.mailbox()).await.unwrap();
    let far = Side::new(callee.incoming().await).await;
    let on_udp = Side::new(near.clone()).await;
    far.send(b"by UDP").await;
    assert_eq!(on_udp.receive().await, b"by UDP");
    caller.send_packet(near.wrap(b"not from here any more"));
    assert!(far.hears_nothing().await);

    let word = shim::bind(near.handle.token, &near.handle.secret, 1000, 0);
    caller.send_packet(word.to_vec());
    let answer = timeout(LONG, packets.next()).await.unwrap().unwrap();
    assert!(matches!(shim::parse(&answer), Some(Packet::Bound(bound)) if bound.bound));
    far.send(b"by TCP").await;
    assert_eq!(next(&mut packets, &near).await, b"by TCP");
    relay.stop().await;
}

#[tokio::test]
async fn without_tcp_there_is_only_udp() {
    let mut config = settings();
    config.tcp = false;
    let relay = Relay::start(config).await.unwrap();
    assert!(Client::connect_tcp(relay.address(), None).await.is_err());
    Caller::new(&relay).await;
    relay.stop().await;
}
