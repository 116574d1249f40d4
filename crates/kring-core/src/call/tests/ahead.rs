//! A callee who answers whoever holds the ticket sends before it knows who that is, and nothing else.

use super::*;
use crate::handshake::Claimed;
use crate::identity::Certificate;

struct Ahead {
    anna: Arc<Identity>,
    ben: Arc<Identity>,
    dial: Dial,
    second: Vec<u8>,
    claimed: Claimed,
}

/// Up to message 2, which lies on the callee's side still.
fn begun() -> Ahead {
    let provider: Arc<dyn Provider> = Arc::new(AwsLc);
    let anna = Arc::new(Identity::generate(&*provider, NOW).unwrap());
    let ben = Arc::new(Identity::generate(&*provider, NOW).unwrap());
    let addresses = ["192.0.2.1:9".parse().unwrap()];
    let ticket = Ticket::issue(&ben, &addresses, WallTime(NOW.0 + 60), &*provider).unwrap();
    let mut acceptor = Acceptor::new(ben.clone(), provider.clone());
    acceptor.add(&ticket);
    let binding = Binding::Quic([7; 32]);
    let (dial, hello) = Dial::new(&anna, &ticket, binding, NOW, &provider).unwrap();
    let mut accept = Accept::new(binding);
    let Ok(Progress::Reply(second)) = accept.handle(&hello, &mut acceptor, NOW) else { panic!("no reply") };
    Ahead { anna, ben, dial, second, claimed: accept.claimed().expect("message 2 is made") }
}

fn answered(claimed: Claimed, ben: &Arc<Identity>) -> Call {
    Call::ahead(claimed, ben, &offer("Ben"), Timeouts::default(), Time::ZERO).unwrap()
}

/// The caller's call once message 2 has come, with what is behind it, and the bytes that it writes: `confirm` and so on.
fn met(anna: &Arc<Identity>, dial: &mut Dial, stream: &[u8]) -> (Call, Vec<u8>) {
    let (session, mut confirm) = dial.handle(stream, &offer("Anna").encode(), NOW).unwrap().unwrap();
    let mut call = Call::new(session, anna, &offer("Anna"), Timeouts::default(), Time::ZERO).unwrap();
    confirm.extend(call.poll_stream().unwrap());
    (call, confirm)
}

fn events(call: &mut Call) -> Vec<Event> {
    std::iter::from_fn(|| call.poll_event()).collect()
}

#[test]
fn the_caller_hears_the_callee_at_once_and_is_heard_once_it_is_proven() {
    let Ahead { anna, ben, mut dial, second, claimed } = begun();
    let mut callee = answered(claimed, &ben);
    assert_eq!(events(&mut callee), [Event::Answered]);
    assert_eq!((callee.peer(), callee.peer_offer()), (None, &Offer::default()));
    let duration = Duration::from_millis(20);
    callee.send_audio(0, Time::ZERO, duration, 30, b"who is it?", &Copies::default()).unwrap();
    let stream = [second, callee.poll_stream().unwrap()].concat();

    let (mut caller, confirm) = met(&anna, &mut dial, &stream);
    assert!(caller.is_talking() && caller.peer() == Some(ben.public()));
    assert_eq!(events(&mut caller)[..2], [Event::Ringing, Event::Answered]);
    caller.handle_datagram(Time::ZERO, &callee.poll_datagram(Time::ZERO).unwrap());
    assert_eq!(caller.poll_frame().unwrap().payload, b"who is it?");

    // What overtakes the proof waits for it.
    caller.send_audio(0, Time::ZERO, duration, 30, b"Anna", &Copies::default()).unwrap();
    callee.handle_datagram(Time::ZERO, &caller.poll_datagram(Time::ZERO).unwrap());
    assert!(callee.poll_frame().is_none() && callee.peer().is_none());
    // One by one: nothing happens before the last byte of confirm.
    for byte in &confirm {
        callee.handle_stream(Time::from_millis(100), &[*byte]);
    }
    assert_eq!(callee.peer(), Some(anna.public()));
    assert_eq!(events(&mut callee), [Event::Proven, Event::Tracks(offer("Anna").tracks)]);
    assert_eq!(callee.peer_offer(), &offer("Anna"));
    assert_eq!(callee.poll_frame().unwrap().payload, b"Anna");
}

#[test]
fn a_caller_who_proves_nothing_is_left_after_three_seconds() {
    let Ahead { ben, claimed, .. } = begun();
    let mut callee = answered(claimed, &ben);
    let mut now = Time::ZERO;
    callee.handle_timeout(now);
    while let Some(due) = callee.poll_timeout() {
        assert!(due > now, "it gets on");
        now = due;
        callee.handle_timeout(now);
    }
    assert_eq!(now, Time::ZERO + PROOF_DEADLINE);
    let ended = Event::Ended { reason: Reason::ProtocolError, by: EndedBy::Local };
    assert_eq!(events(&mut callee), [Event::Answered, ended]);
    assert_eq!(callee.peer(), None);
    let sent = callee.send_audio(0, now, Duration::from_millis(20), 30, b"more", &Copies::default());
    assert_eq!(sent, Err(SendError::NotTalking));
}

#[test]
fn somebody_elses_certificate_or_none_proves_nothing() {
    let stranger = Identity::generate(&AwsLc, NOW).unwrap();
    let of_another: Certificate = stranger.certificate(stranger.noise_key());
    for certificate in [Some(of_another), None] {
        let Ahead { anna, ben, mut dial, second, claimed } = begun();
        let mut callee = answered(claimed, &ben);
        let stream = [second, callee.poll_stream().unwrap()].concat();
        let forged = match certificate {
            Some(certificate) => {
                dial.set_certificate(certificate);
                met(&anna, &mut dial, &stream).1
            }
            // The message after confirm in its place.
            None => {
                let (_, confirm) = met(&anna, &mut dial, &stream);
                let first = 2 + usize::from(u16::from_be_bytes([confirm[0], confirm[1]]));
                confirm[first..].to_vec()
            }
        };
        callee.handle_stream(Time::ZERO, &forged);
        assert!(callee.is_over() && callee.peer().is_none());
        assert!(!events(&mut callee).contains(&Event::Proven));
    }
}

#[test]
fn only_a_handshake_that_has_come_to_message_2_can_be_answered_ahead() {
    assert!(Accept::new(Binding::Quic([7; 32])).claimed().is_none());
}
