use crate::setting::{Caller, Side, session, settings, sides, start};
use kring_net::relay::shim::{self, BIND_LEN, HEADER, Packet};
use kring_net::relay::{MailboxKey, SessionSecret, Token};
use kring_relay::Relay;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use tokio::net::UdpSocket;

#[tokio::test]
async fn packets_arrive_whole_in_both_directions() {
    let relay = start().await;
    let (_caller, _callee, near, far) = sides(&relay).await;
    for len in [0, 1, 700, 1200, shim::MAX_PAYLOAD] {
        let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
        near.send(&payload).await;
        assert_eq!(far.receive().await, payload);
        far.send(&payload).await;
        assert_eq!(near.receive().await, payload);
    }
    relay.stop().await;
}

#[tokio::test]
async fn a_burst_keeps_its_order_and_its_lengths() {
    let relay = start().await;
    let (_caller, _callee, near, far) = sides(&relay).await;
    let lengths = [1200, 1200, 1200, 300, 1200, 1, 1200, 1200];
    for (i, len) in lengths.iter().enumerate() {
        near.send(&vec![i as u8; *len]).await;
    }
    for (i, len) in lengths.iter().enumerate() {
        assert_eq!(far.receive().await, vec![i as u8; *len]);
    }
    relay.stop().await;
}

#[tokio::test]
async fn a_session_begins_bound_to_where_the_control_connection_comes_from() {
    let relay = start().await;
    let (caller, _callee, [near, far]) = session(&relay).await;
    let far = Side::new(far).await;
    // The socket of QUIC is this test's from now on; the session does not need the control connection.
    let address = caller.endpoint.local_addr().unwrap();
    drop(caller);
    let socket = crate::hostile::eventually(|| std::net::UdpSocket::bind(address).ok()).await;
    socket.set_nonblocking(true).unwrap();
    let socket = UdpSocket::from_std(socket).unwrap();
    far.send(b"to where QUIC was").await;
    let mut buffer = [0; 2048];
    loop {
        let (len, _) =
            tokio::time::timeout(crate::setting::LONG, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        if let Some(Packet::Data { token, payload }) = shim::parse(&buffer[..len]) {
            assert_eq!((token, payload), (near.handle.token, &b"to where QUIC was"[..]));
            break;
        }
    }
    relay.stop().await;
}

#[tokio::test]
async fn a_side_may_move_and_what_comes_from_its_old_address_counts_no_more() {
    let relay = start().await;
    let (_caller, _callee, mut near, far) = sides(&relay).await;
    let old = std::mem::replace(&mut near.socket, UdpSocket::bind("127.0.0.1:0").await.unwrap());
    near.send(b"unannounced").await;
    assert!(far.hears_nothing().await);
    near.change_socket().await;
    near.send(b"announced").await;
    assert_eq!(far.receive().await, b"announced");
    far.send(b"answer").await;
    assert_eq!(near.receive().await, b"answer");
    old.send_to(&near.session.wrap(b"old"), relay.address()).await.unwrap();
    assert!(far.hears_nothing().await);
    assert_eq!(relay.metrics().dropped_place_total.load(Relaxed), 2);
    relay.stop().await;
}

#[tokio::test]
async fn guessed_tokens_and_forged_words_have_no_effect() {
    let relay = start().await;
    let (_caller, _callee, near, far) = sides(&relay).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = relay.address();
    for token in [Token(0), Token(1), near.session.handle.token, far.session.handle.token] {
        stranger.send_to(&shim::wrap(token, b"forged"), to).await.unwrap();
        let forged = shim::bind(token, &SessionSecret::generate().unwrap(), u64::MAX, 0);
        stranger.send_to(&forged, to).await.unwrap();
    }
    assert!(far.hears_nothing().await && near.hears_nothing().await);
    near.send(b"still here").await;
    assert_eq!(far.receive().await, b"still here");
    assert_eq!(relay.metrics().dropped_token_total.load(Relaxed), 2);
    relay.stop().await;
}

#[tokio::test]
async fn an_overheard_word_is_of_no_use_to_whoever_repeats_it() {
    let relay = start().await;
    let (_caller, _callee, near, far) = sides(&relay).await;
    let handle = &near.session.handle;
    let word = shim::bind(handle.token, &handle.secret, 1000, 0);
    near.socket.send_to(&word, relay.address()).await.unwrap();
    let mut buffer = [0; 2048];
    let (len, _) = near.socket.recv_from(&mut buffer).await.unwrap();
    assert!(matches!(shim::parse(&buffer[..len]), Some(Packet::Bound(bound)) if bound.bound));

    let thief = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    thief.send_to(&word, relay.address()).await.unwrap();
    // Overheard in time, and held back from the relay: it gets a cookie, but cannot use it without the secret.
    let fresh = shim::bind(handle.token, &handle.secret, 1001, 0);
    thief.send_to(&fresh, relay.address()).await.unwrap();
    let (len, _) = thief.recv_from(&mut buffer).await.unwrap();
    assert!(matches!(shim::parse(&buffer[..len]), Some(Packet::Bound(bound)) if !bound.bound));
    far.send(b"for the one who is meant").await;
    assert_eq!(near.receive().await, b"for the one who is meant");
    relay.stop().await;
}

#[tokio::test]
async fn no_datagram_has_an_answer_longer_than_itself() {
    let relay = start().await;
    let (_caller, _callee, near, _far) = sides(&relay).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let handle = &near.session.handle;
    let mut sent = 0;
    for counter in 1..50 {
        let word = shim::bind(handle.token, &handle.secret, 1_000 + counter, 0);
        sent += socket.send_to(&word, relay.address()).await.unwrap();
        for len in [0, 1, HEADER, BIND_LEN, 1200] {
            for first in [0, 1, shim::DATA, shim::BIND, shim::BOUND, 0x13, 0x20, 0x3f] {
                let mut datagram = vec![counter as u8; len];
                datagram.iter_mut().take(1).for_each(|byte| *byte = first);
                sent += socket.send_to(&datagram, relay.address()).await.unwrap();
            }
        }
    }
    let (mut received, mut buffer) = (0, [0; 2048]);
    while let Ok(Ok(len)) = tokio::time::timeout(crate::setting::SHORT, socket.recv(&mut buffer)).await {
        assert_eq!(len, BIND_LEN);
        received += len;
    }
    assert_eq!(received, 49 * BIND_LEN, "one answer for each true word");
    assert!(received < sent);
    relay.stop().await;
}

// Elsewhere a machine has only one address of its own.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_relay_at_all_addresses_forwards_over_ipv4_from_the_one_that_was_asked() {
    let mut config = settings();
    config.bind = "[::]:0".parse().unwrap();
    let relay = Relay::start(config).await.unwrap();
    // Not the address from which the system would send of itself.
    let address = SocketAddr::from(([127, 0, 0, 2], relay.address().port()));
    let (mut callee, caller) = (Caller::at(address).await, Caller::at(address).await);
    let key = MailboxKey::generate().unwrap();
    callee.client.listen(&key).await.unwrap();
    let near = Side::new(caller.client.dial(key.mailbox()).await.unwrap()).await;
    let far = Side::new(callee.incoming().await).await;
    // Sides look at where packets come from.
    for (n, len) in [1200, 1200, 1200, 300, 300, 1200, 1].into_iter().enumerate() {
        near.send(&vec![n as u8; len]).await;
    }
    for (n, len) in [1200, 1200, 1200, 300, 300, 1200, 1].into_iter().enumerate() {
        assert_eq!(far.receive().await, vec![n as u8; len]);
    }
    relay.stop().await;
}
