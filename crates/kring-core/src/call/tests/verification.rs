//! The code that two people compare, and what happens to a call whose peer is not the one expected.

use super::*;
use crate::verify::{CODE_DEADLINE, CodeFailure, CodeMessage, Pin, Trust};

fn codes(two: &Two, role: Role) -> Vec<Code> {
    let code = |(r, e): &(Role, Event)| match e {
        Event::Code(code) if *r == role => Some(*code),
        _ => None,
    };
    two.seen.iter().filter_map(code).collect()
}

const NOT_IN_TIME: Event = Event::CodeFailed(CodeFailure::NotInTime);

#[test]
fn while_it_rings_both_come_to_one_code_and_no_two_calls_to_the_same() {
    let mut all = Vec::new();
    for _ in 0..2 {
        let mut two = Two::new();
        two.run(Duration::from_millis(50));
        let code = two.caller.code().expect("one round trip and a half is over");
        assert_eq!(two.callee.code(), Some(code));
        for role in [Role::Caller, Role::Callee] {
            assert_eq!(codes(&two, role), [code], "told once");
        }
        two.run(CODE_DEADLINE);
        assert_eq!(two.saw(Role::Caller, &NOT_IN_TIME) + two.saw(Role::Callee, &NOT_IN_TIME), 0);
        all.push(code);
    }
    assert_ne!(all[0], all[1]);
}

#[test]
fn a_callee_that_does_not_do_its_part_leaves_the_caller_without_a_code_and_that_is_told_once() {
    // Nothing of the callee reaches this one, which waits for it as long as it does for anybody.
    let mut lonely = Two::new().caller;
    let mut events = Vec::new();
    while let Some(at) = lonely.poll_timeout().filter(|at| *at <= Time::ZERO + CODE_DEADLINE) {
        lonely.handle_timeout(at);
        events.extend(std::iter::from_fn(|| lonely.poll_event()));
    }
    assert_eq!(events.iter().filter(|e| **e == NOT_IN_TIME).count(), 1);
    assert!(lonely.code().is_none() && !lonely.is_over());
    let mut two = Two::talking();
    // And a call that has its code keeps it.
    two.run(CODE_DEADLINE);
    assert!(two.caller.code().is_some() && two.saw(Role::Caller, &NOT_IN_TIME) == 0);
}

#[test]
fn a_sabotaged_reveal_is_told_and_ends_the_call() {
    let mut two = Two::new();
    let now = Time::ZERO;
    let from_caller = two.caller.poll_stream().unwrap();
    two.callee.handle_stream(now, &from_caller);
    assert_eq!(two.callee.code(), None);
    // The caller would reveal its nonce now; it sends another.
    two.caller.write(&Message::Code(CodeMessage::Reveal([9; 32])));
    let reveal = two.caller.poll_stream().unwrap();
    two.callee.handle_stream(now, &reveal);
    let events: Vec<_> = std::iter::from_fn(|| two.callee.poll_event()).collect();
    let ended = Event::Ended { reason: Reason::ProtocolError, by: EndedBy::Local };
    assert_eq!(events, [Event::CodeFailed(CodeFailure::Forged), ended]);
    assert_eq!(two.callee.code(), None);
}

#[test]
fn a_second_exchange_ends_the_call() {
    for role in [Role::Caller, Role::Callee] {
        for message in
            [CodeMessage::Commitment([1; 32]), CodeMessage::Nonce([1; 32]), CodeMessage::Reveal([1; 32])]
        {
            let mut two = Two::talking();
            two.side(role).write(&Message::Code(message));
            two.run(Duration::from_millis(30));
            assert_eq!(two.ended(role.other()), Some((Reason::ProtocolError, EndedBy::Local)), "{message:?}");
        }
    }
}

fn stranger() -> Pin {
    Pin { identity: PublicIdentity::from([9; 32]), verified: true }
}

#[test]
fn a_peer_with_a_pin_is_verified_or_not_as_the_pin_says() {
    let mut two = Two::talking();
    let identity = two.caller.peer().unwrap();
    assert_eq!(two.caller.trust(), Some(Trust::Unverified));
    two.caller.expect(Some(Pin { identity, verified: true }));
    assert_eq!(two.caller.trust(), Some(Trust::Verified));
    two.caller.expect(None);
    two.caller.mark_verified();
    assert_eq!(two.caller.trust(), Some(Trust::Verified));
    assert_eq!(two.callee.trust(), Some(Trust::Unverified), "each person judges alone");
}

#[test]
fn a_changed_key_gets_no_media_either_way_until_a_person_accepts_it() {
    let mut two = Two::talking();
    two.caller.expect(Some(stranger()));
    let changed = Trust::KeyChanged { pinned: stranger().identity, was_verified: true };
    assert_eq!(two.caller.trust(), Some(changed));
    let now = two.now;
    let sent = two.caller.send_audio(0, now, Duration::from_millis(20), 30, b"hi", &Copies::default());
    assert_eq!(sent, Err(SendError::KeyChanged));
    two.say(Role::Callee, b"it is me");
    two.run(Duration::from_millis(50));
    assert_eq!(two.heard(Role::Caller), [b""; 0]);
    assert_eq!(two.saw(Role::Caller, &Event::KeyChanged(changed)), 1);
    two.caller.mark_verified();
    assert_eq!(two.caller.trust(), Some(changed), "what has to be accepted is not verified by the way");

    two.caller.accept_changed_key();
    assert_eq!(two.caller.trust(), Some(Trust::Unverified));
    two.say(Role::Callee, b"it is me");
    two.say(Role::Caller, b"hi");
    two.run(Duration::from_millis(50));
    assert_eq!(
        (two.heard(Role::Caller), two.heard(Role::Callee)),
        (vec![&b"it is me"[..]], vec![&b"hi"[..]])
    );
}

#[test]
fn a_caller_with_a_changed_key_is_not_answered_before_a_person_accepts_it() {
    let mut two = Two::new();
    two.callee.expect(Some(stranger()));
    two.run(Duration::from_millis(30));
    two.callee.answer(two.now, &offer("Ben"));
    two.run(Duration::from_millis(30));
    assert!(!two.callee.is_talking() && !two.caller.is_talking());
    two.callee.accept_changed_key();
    two.callee.answer(two.now, &offer("Ben"));
    two.run(Duration::from_millis(30));
    assert!(two.callee.is_talking() && two.caller.is_talking());
}
