//! Keys turn over while people talk, unheard, and whoever does not take part is given up.

use super::*;
use crate::handshake::{Renew, Renewed};
use zeroize::Zeroizing;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Two who talk, with keys that live so long.
fn two(sender_key: u64, handshake: u64) -> Two {
    let mut two = Two::talking();
    let lifetimes = KeyLifetimes { sender_key: millis(sender_key), handshake: millis(handshake) };
    for role in [Role::Caller, Role::Callee] {
        let now = two.now;
        two.side(role).set_key_lifetimes(now, lifetimes);
    }
    two
}

/// Both say something every 20 ms.
fn talk(two: &mut Two, time: Duration) {
    let until = two.now + time;
    while two.now < until {
        for role in [Role::Caller, Role::Callee] {
            let said = two.now.as_micros().to_be_bytes();
            two.say(role, &said);
        }
        two.run(millis(20));
    }
}

fn turned(two: &Two) -> [(u32, u32); 2] {
    [&two.caller, &two.callee].map(|call| (call.stats().sender_keys, call.stats().handshakes))
}

#[test]
fn sender_keys_are_fresh_every_five_minutes_and_handshakes_every_hour() {
    let mut two = Two::talking();
    two.step = millis(50);
    two.run(Duration::from_secs(299));
    assert_eq!(turned(&two), [(0, 0); 2]);
    two.run(Duration::from_secs(2));
    assert_eq!(turned(&two), [(1, 0); 2]);
    two.run(Duration::from_secs(300));
    assert_eq!(turned(&two), [(2, 0); 2]);
    two.run(Duration::from_secs(3000));
    // One came with the handshake, not for its age.
    assert_eq!(turned(&two), [(13, 1); 2]);
    assert_eq!(two.seen, [], "nobody notices");
}

#[test]
fn no_frame_waits_for_a_key_or_is_lost_when_keys_turn_over() {
    let mut two = two(500, 2000);
    talk(&mut two, Duration::from_secs(30));
    two.run(millis(50));
    for (keys, handshakes) in turned(&two) {
        assert!(keys > 50 && handshakes > 12, "{keys} keys, {handshakes} handshakes");
    }
    for role in [Role::Caller, Role::Callee] {
        let frames: Vec<_> = two.frames.iter().filter(|(r, _)| *r == role).map(|(_, f)| f).collect();
        assert!(frames.iter().map(|f| f.header.frame_id).eq(0..1500), "each once and in order");
        for frame in frames {
            let said = u64::from_be_bytes(frame.payload[..].try_into().unwrap());
            assert_eq!(frame.arrived.as_micros() - said, 11_000, "at once");
        }
    }
    assert_eq!(two.seen, []);
}

#[test]
fn no_counter_of_a_key_is_used_twice() {
    let mut two = two(500, 2000);
    talk(&mut two, Duration::from_secs(10));
    let mut used = std::collections::HashSet::new();
    for (_, wire) in &two.recorded {
        let Wire::Datagram(bytes) = wire else { continue };
        let Ok(packet) = crate::media::parse(bytes) else { continue }; // padding
        let header = sframe::header::SframeHeader::deserialize(packet.payload).unwrap();
        assert!(used.insert((header.key_id(), header.counter())), "{header:?}");
    }
    assert!(used.len() > 1000, "{}", used.len());
}

#[test]
fn a_key_is_not_used_before_the_other_side_has_it() {
    let mut two = two(500, 3_600_000);
    two.stuck = Some(Role::Callee);
    talk(&mut two, Duration::from_secs(10));
    assert_eq!(two.caller.stats().sender_keys, 0, "nothing says that it has come");
    assert_eq!(two.heard(Role::Callee).len(), 499 + 1, "the old one does until then");
    two.stuck = None;
    talk(&mut two, millis(100));
    assert!(two.caller.stats().sender_keys > 0);
}

#[test]
fn a_peer_that_keeps_its_keys_is_given_up_after_a_minute() {
    let mut two = two(500, 3_600_000);
    two.step = millis(5);
    two.stuck = Some(Role::Callee);
    two.run(Duration::from_secs(60));
    assert_eq!(two.ended(Role::Caller), None);
    two.run(Duration::from_secs(1));
    assert_eq!(two.ended(Role::Caller), Some((Reason::ProtocolError, EndedBy::Local)));
}

#[test]
fn a_silent_network_is_not_the_peers_fault() {
    let mut two = two(500, 3_600_000);
    for role in [Role::Caller, Role::Callee] {
        two.side(role).timeouts.vanished = Duration::from_secs(600);
    }
    two.step = millis(5);
    // The answer is on its way when the network falls silent, and comes a moment after something else.
    two.stuck = Some(Role::Callee);
    two.run(millis(600));
    two.connected = false;
    two.run(Duration::from_secs(300));
    two.connected = true;
    two.run(Duration::from_secs(2));
    assert_eq!(two.saw(Role::Caller, &Event::Resumed), 1);
    two.stuck = None;
    two.run(Duration::from_secs(1));
    assert_eq!(two.ended(Role::Caller), None);
    assert!(two.caller.stats().sender_keys > 0);
}

#[test]
fn a_callee_that_is_asked_for_no_handshake_ends_the_call_after_ninety_minutes() {
    let mut two = Two::talking();
    two.step = millis(50);
    // A caller that never asks.
    two.caller.turnover.postpone();
    two.run(Duration::from_secs(90 * 60 - 1));
    assert_eq!(two.ended(Role::Callee), None);
    two.run(Duration::from_secs(2));
    assert_eq!(two.ended(Role::Callee), Some((Reason::ProtocolError, EndedBy::Local)));
}

fn renew(counter: u64, message: &[u8]) -> Message {
    Message::Renew(Renew { counter, seed: Zeroizing::new([1; 32]), message: message.to_vec() })
}

fn renewed(counter: u64) -> Message {
    Message::Renewed(Renewed { counter, message: vec![7; 1200] })
}

#[test]
fn what_belongs_to_no_handshake_ends_the_call() {
    let wrong: [(Role, Message); 8] = [
        (Role::Callee, renew(1, &[7; 1300])),
        (Role::Caller, renew(2, &[7; 1300])),
        (Role::Caller, renew(1, &[7; 1300])),
        (Role::Caller, renew(1, &[7; 5000])),
        (Role::Caller, Message::Switched),
        (Role::Callee, renewed(1)),
        (Role::Caller, Message::KeyTaken { rotation: 1 }),
        (Role::Callee, Message::KeyTaken { rotation: 0 }),
    ];
    for (role, message) in wrong {
        let mut two = Two::talking();
        two.run(Duration::from_secs(2));
        two.side(role).write(&message);
        two.run(millis(30));
        assert_eq!(two.ended(role.other()), Some((Reason::ProtocolError, EndedBy::Local)));
    }
}

#[test]
fn a_handshake_may_not_follow_another_at_once() {
    let mut two = two(300_000, 2000);
    two.run(millis(2100));
    assert_eq!(turned(&two), [(1, 1); 2]);
    let (_, message) = two.caller.line.renew(&two.caller.turnover.identity()).unwrap();
    two.caller.write(&Message::Renew(message));
    two.run(millis(30));
    assert_eq!(two.ended(Role::Callee), Some((Reason::ProtocolError, EndedBy::Local)));
}

#[test]
fn a_new_handshake_by_another_device_ends_the_call() {
    let mut two = Two::talking();
    two.run(Duration::from_secs(2));
    // Whoever took over the caller's session, but lacks its static key.
    let thief = Identity::generate(&AwsLc, NOW).unwrap();
    two.caller.line.chain.own = thief.noise_key().public;
    let (_, message) = two.caller.line.renew(&thief).unwrap();
    two.caller.write(&Message::Renew(message));
    two.run(millis(30));
    assert_eq!(two.ended(Role::Callee), Some((Reason::ProtocolError, EndedBy::Local)));
}

#[test]
fn a_control_message_that_is_never_whole_ends_the_call_after_a_minute() {
    let mut two = Two::talking();
    two.step = millis(5);
    let whole = |two: &mut Two| {
        two.caller.announce_recording(true);
        two.caller.poll_stream().unwrap()
    };
    // Whole ones in many pieces are no trouble, however many there are.
    for _ in 0..8 {
        for byte in whole(&mut two) {
            let now = two.now;
            two.callee.handle_stream(now, &[byte]);
            two.run(millis(250));
        }
    }
    assert_eq!(two.ended(Role::Callee), None);
    let (now, last) = (two.now, whole(&mut two));
    two.callee.handle_stream(now, &last[..last.len() - 1]);
    two.run(Duration::from_secs(59));
    assert_eq!(two.ended(Role::Callee), None);
    two.run(Duration::from_secs(2));
    assert_eq!(two.ended(Role::Callee), Some((Reason::ProtocolError, EndedBy::Local)));
}
