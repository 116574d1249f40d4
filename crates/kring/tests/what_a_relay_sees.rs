//! What a relay has before it of a call, opened as the relay opens it: mailboxes, tokens and QUIC's packets; nobody's ticket, identity,
//! name or candidate, and nothing of what is said.

mod common;
#[path = "common/crooked.rs"]
mod crooked;

use common::{HOUR, eventually, media, within};
use crooked::{Crooked, Mischief};
use kring::{Endpoint, Path};
use kring_net::relay::frame::PACKET;
use kring_net::relay::message::Request;
use kring_net::relay::shim::{self, Packet};
use std::net::SocketAddr;

fn holds(seen: &[u8], what: &[u8]) -> bool {
    seen.windows(what.len()).any(|window| window == what)
}

/// An address in the forms in which Kring and STUN write it.
fn written(address: SocketAddr) -> Vec<Vec<u8>> {
    let SocketAddr::V4(v4) = address else { panic!("IPv4 here") };
    let port = v4.port().to_be_bytes();
    let plain = [&v4.ip().octets()[..], &port].concat();
    let xored = {
        let ip = (u32::from(*v4.ip()) ^ 0x2112_a442).to_be_bytes();
        [&(v4.port() ^ 0x2112).to_be_bytes()[..], &ip].concat()
    };
    vec![plain, xored, address.to_string().into_bytes()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_sees_tokens_and_sealed_packets_and_no_names() {
    let relay = Crooked::start(Mischief::Looks).await;
    let ben = relay.endpoint().build().unwrap();
    let ann = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap();
    within(20, ben.relay_reached()).await.unwrap();
    // Nothing listens at the discard port, so the call begins at the relay; then candidates are exchanged through it.
    let ticket = ben.ticket_for(&["127.0.0.1:9".parse().unwrap()], HOUR).unwrap();
    let (theirs, ear, _) = media("Benedict the Callee", 620.0);
    let call = ann.dial(&ticket, media("Annabel the Caller", 440.0).0);
    let answered = within(20, ben.incoming()).await.unwrap().answer(theirs);
    within(20, call.connected()).await.unwrap();
    eventually("it is a call", || ear.share_of(440.0, 200) > 0.9).await;
    eventually("candidates were exchanged", || call.stats().transport.path == Path::Direct).await;
    call.hang_up().await;
    drop(answered);

    let state = relay.state.lock().unwrap();
    let seen: Vec<u8> = state.seen.iter().flat_map(|(_, body)| body.clone()).collect();
    let text = ticket.to_string();
    let mut secrets: Vec<(&str, Vec<u8>)> = vec![
        ("a ticket", text.as_bytes()[6..40].to_vec()),
        ("a name", b"Annabel".to_vec()),
        ("a name", b"Benedict".to_vec()),
    ];
    for endpoint in [&ann, &ben] {
        secrets.push(("an identity", endpoint.identity().as_bytes().to_vec()));
        secrets.push(("a fingerprint", endpoint.identity().fingerprint().as_bytes().to_vec()));
        let address = endpoint.local_addr().unwrap();
        secrets.extend(written(address).into_iter().map(|form| ("a candidate", form)));
    }
    for (what, bytes) in &secrets {
        assert!(!holds(&seen, bytes), "{what} is in it: {bytes:02x?}");
    }
    // What does not look like it is found where it is: the search works.
    let mailbox = state.seen.iter().find_map(|(_, body)| match Request::decode(body) {
        Ok(Some(Request::Dial { mailbox, .. })) => Some(mailbox),
        _ => None,
    });
    assert!(holds(&seen, &mailbox.expect("somebody dialled").0));
    // All that goes through are packets of QUIC, none of media.
    let packets = state.seen.iter().filter(|(class, _)| *class == PACKET);
    for (_, body) in packets {
        if let Some(Packet::Data { payload, .. }) = shim::parse(body) {
            assert!(payload.first().is_some_and(|first| first & 0x40 != 0), "{payload:02x?}");
        }
    }
    assert!(state.count > 20);
}
