//! What a relay and its clients read from each other.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use kring_net::relay::message::{MAX_MESSAGE, MAX_OTHERS, Reply, Request};
use kring_net::relay::shim::{self, BIND_LEN, HEADER, Packet};
use kring_net::relay::{RelayAddress, frame};

/// A control stream of frames; one message; a relay's name.
pub fn relay_message(data: &[u8]) {
    one_message(data);
    let mut stream = data;
    loop {
        let before = stream.len();
        let read = pin!(frame::read(&mut stream)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(read) = read else { panic!("all bytes are there") };
        let Ok(Some((_, body))) = read else { break };
        assert!(body.len() <= frame::MAX_BODY && stream.len() < before);
        one_message(&body);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(relay) = text.parse::<RelayAddress>()
    {
        let again = relay.to_string();
        assert_eq!(again.parse(), Ok(relay), "a name reads as it is written");
        assert!(again.len() <= data.len() && again.is_ascii());
    }
}

fn one_message(bytes: &[u8]) {
    if let Ok(Some(request)) = Request::decode(bytes) {
        assert!(bytes.len() <= MAX_MESSAGE);
        let again = request.encode();
        assert!(again.len() <= bytes.len() && Request::decode(&again) == Ok(Some(request)));
    }
    if let Ok(Some(reply)) = Reply::decode(bytes) {
        assert!(bytes.len() <= MAX_MESSAGE);
        if let Reply::Refused { refused, .. } = &reply {
            assert!(refused.others.len() <= MAX_OTHERS);
        }
        let again = reply.encode();
        assert_eq!(Reply::decode(&again), Ok(Some(reply)));
    }
}

/// A datagram at a relay or at its client.
pub fn relay_packet(data: &[u8]) {
    let Some(packet) = shim::parse(data) else { return };
    assert!(shim::is_shim(data), "none is taken for QUIC or STUN");
    match packet {
        Packet::Data { token, payload } => {
            assert_eq!(shim::wrap(token, payload), data, "the payload comes back whole");
            assert_eq!(payload.len() + HEADER, data.len());
        }
        Packet::Bind(bind) => {
            assert_eq!(data.len(), BIND_LEN);
            let secret = kring_net::relay::SessionSecret::generate().expect("the system has randomness");
            assert!(!bind.opens(&secret), "nobody guesses a MAC");
        }
        Packet::Bound(bound) => {
            assert_eq!(data.len(), BIND_LEN);
            let secret = kring_net::relay::SessionSecret::generate().expect("the system has randomness");
            assert!(!bound.opens(&secret), "nobody guesses a MAC");
        }
    }
}
