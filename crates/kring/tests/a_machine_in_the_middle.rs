//! Someone between the two who ends TLS and passes everything on: both sides notice, and nothing rings.
mod common;
use common::*;
use kring::End;
use kring_net::{Closed, Config, Connection};
use std::net::SocketAddr;

/// Ends TLS towards the caller, begins it towards the callee, and passes on every byte.
async fn proxy(callee: SocketAddr) -> SocketAddr {
    let net = kring_net::Endpoint::bind(&Config::new("127.0.0.1:0".parse().unwrap())).unwrap();
    let address = net.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = net.accept().await {
            let (caller, callee) = (incoming.accept().await.unwrap(), net.connect(callee).await.unwrap());
            tokio::spawn(pass_on(caller, callee));
        }
    });
    address
}

async fn pass_on(caller: Connection, callee: Connection) {
    let (to_caller, from_caller) = caller.accept_stream().await.unwrap();
    let (to_callee, from_callee) = callee.open_stream().await.unwrap();
    for (mut from, mut to) in [(from_caller, to_callee), (from_callee, to_caller)] {
        tokio::spawn(async move {
            while let Ok(Some(chunk)) = from.read_chunk(4096, true).await {
                if to.write_all(&chunk.bytes).await.is_err() {
                    break;
                }
            }
        });
    }
    let code = match callee.closed().await {
        Closed::ByPeer(code) => code,
        _ => 0,
    };
    caller.close(code);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_ends_tls_makes_the_handshake_fail() {
    let (a, b) = (endpoint(), endpoint());
    let middle = proxy(b.local_addr().unwrap()).await;
    let ticket = b.ticket_for(&[middle], HOUR).unwrap();
    let call = a.dial(&ticket, quiet());
    assert_eq!(end_of(&call).await, End::Refused);
    assert_eq!((b.counters().unknown_hint, b.counters().completed), (1, 0));
    let rings = tokio::time::timeout(std::time::Duration::from_millis(200), b.incoming()).await;
    assert!(rings.is_err(), "nothing rings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_garbage_and_half_handshakes_are_dropped_while_a_call_goes_on() {
    let (a, b) = (endpoint(), endpoint());
    let (media, ear, _) = media("Ben", 620.0);
    let (full, ..) = common::media("Anna", 440.0);
    let dialled = a.dial(&ticket(&b), full);
    let answered = rings(&b).await.answer(media);
    eventually("heard", || ear.share_of(440.0, 200) > 0.9).await;

    let target = b.local_addr().unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..2000u32 {
        let garbage: Vec<u8> = (0..(n % 1300)).map(|i| (i * n) as u8 ^ (i >> 3) as u8).collect();
        let _ = socket.send_to(&garbage, target);
    }
    let net = kring_net::Endpoint::bind(&Config::new("127.0.0.1:0".parse().unwrap())).unwrap();
    for n in 0..10usize {
        let connection = net.connect(target).await.unwrap();
        let (mut send, _recv) = connection.open_stream().await.unwrap();
        // A whole frame without a ticket's hint, or half of one.
        let mut frame = vec![0x05, 0x28];
        frame.resize(if n % 2 == 0 { 2 + 0x528 } else { 300 }, n as u8);
        send.write_all(&frame).await.unwrap();
        if n % 2 == 0 {
            assert!(matches!(within(5, connection.closed()).await, Closed::ByPeer(_)));
        }
    }
    assert_eq!(b.counters().unknown_hint, 5);
    assert!(ear.share_of(440.0, 200) > 0.9, "the call has not noticed");
    assert!(answered.stats().audio.concealed_samples < 4800, "{:?}", answered.stats());
    drop((dialled, answered));
}
