//! Every control message, legal in itself, from either side and in every phase: what is in order is heeded, what is
//! not ends the call with a protocol error, and nothing in between.

use kring_core::call::{Call, Door, EndedBy, Event};
use kring_core::control::Reason;
use kring_core::fuzzing::passcode_key;
use kring_core::time::Time;
use kring_core::verify::CodeFailure;
use kring_fuzz::{an_offer, certificate_of, pair, pair_at};

const CALLER: usize = 0;
const CALLEE: usize = 1;

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    // Lengths of two bytes, as long ones need.
    let len = value.len() as u16;
    let len = if len < 64 { vec![len as u8] } else { (len | 0x4000).to_be_bytes().to_vec() };
    [&[kind][..], &len, value].concat()
}

/// A message by its kind: docs/protocol.md, section 7.2.
fn message(kind: u8) -> Vec<u8> {
    let value = match kind {
        1 => vec![],
        2 | 6 => an_offer("Eve").encode(),
        3 | 4 => field(1, &[1]),
        7 => [field(1, &[0]), field(2, &[1])].concat(),
        8 => field(1, &[0]),
        30 => [field(1, &[1]), field(4, &[6; 32]), field(5, &[7; 1300])].concat(),
        31 => [field(1, &[1]), field(5, &[7; 1200])].concat(),
        10..=12 | 14 | 15 => field(1, &[5; 32]),
        16 | 17 => field(1, &[5; 64]),
        13 | 18 | 32 => vec![],
        40 => [field(1, &[8; 6]), field(2, &[9; 18]), field(10, &[0, 0, 0, 1, 192, 0, 2, 1, 1, 1])].concat(),
        41 => field(1, &[8; 16]),
        42 => field(7, &[&[9; 32][..], b"a:443"].concat()),
        _ => field(1, &[1]),
    };
    field(kind, &value)
}

fn exchange(calls: &mut [Call; 2]) {
    for _ in 0..3 {
        for from in [CALLER, CALLEE] {
            let bytes = calls[from].poll_stream().unwrap_or_default();
            calls[1 - from].handle_stream(Time::ZERO, &bytes);
        }
    }
}

/// The two calls while it rings, or talking.
fn calls(talking: bool) -> [Call; 2] {
    let mut calls = pair();
    exchange(&mut calls);
    if talking {
        calls[CALLEE].answer(Time::ZERO, &an_offer("Ben"));
        exchange(&mut calls);
    }
    calls.iter_mut().for_each(|call| while call.poll_event().is_some() {});
    assert_eq!(calls.each_ref().map(Call::is_talking), [talking; 2]);
    calls
}

/// How the other side's call ends when `from` sends that message.
fn end_after(from: usize, talking: bool, plaintext: &[u8]) -> Option<(Reason, EndedBy)> {
    end_after_all(from, talking, &[(plaintext, false)])
}

/// The same for several, each with whether the direction is rekeyed after it.
fn end_after_all(from: usize, talking: bool, messages: &[(&[u8], bool)]) -> Option<(Reason, EndedBy)> {
    let mut calls = calls(talking);
    for (plaintext, secret) in messages {
        assert!(calls[from].hostile_control(plaintext, *secret));
    }
    exchange(&mut calls);
    let other = &mut calls[1 - from];
    let mut end = None;
    while let Some(event) = other.poll_event() {
        assert_eq!(end, None, "{event:?} after the end");
        if let Event::Ended { reason, by } = event {
            end = Some((reason, by));
        }
    }
    assert_eq!(end.is_some(), other.is_over());
    end
}

#[test]
fn a_message_out_of_order_ends_the_call_and_one_in_order_does_not() {
    let violation = Some((Reason::ProtocolError, EndedBy::Local));
    let by_peer = Some((Reason::Declined, EndedBy::Peer));
    for talking in [false, true] {
        for from in [CALLER, CALLEE] {
            for kind in
                [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 30, 31, 32, 34, 40, 41, 42]
            {
                let expected = match kind {
                    4 => by_peer,
                    1 | 2 if from == CALLEE && !talking => None,
                    3 if from == CALLEE && !talking => by_peer,
                    // The code is settled before anybody answers, and there is no door.
                    // Who has answered may tell where it is; only the caller knows which session it dialled by.
                    40 if talking || from == CALLER => None,
                    41 if from == CALLER => None,
                    42 if talking => None,
                    1..=3 | 10..=18 | 30.. => violation,
                    _ => None,
                };
                // What carries a secret is followed by a new key.
                let end = end_after_all(from, talking, &[(&message(kind), kind == 40)]);
                assert_eq!(end, expected, "kind {kind} from {from}, talking: {talking}");
            }
        }
    }
}

/// What there is to say at the door, and how far the two have come: each message is heeded in its place only.
#[test]
fn at_the_door_each_message_is_heeded_in_its_place_only() {
    let key = || passcode_key([7; 32]);
    // A closed door, by how many of the steps to the open one are done.
    let at = |steps: usize| {
        let mut calls = pair_at(Some(Door::Passcode(key())));
        let acts: [fn(&mut [Call; 2]); 3] = [
            |calls| exchange(calls),
            |calls| {
                calls[CALLER].enter_passcode(&passcode_key([7; 32]));
                exchange(calls);
            },
            |calls| {
                calls[CALLEE].answer_guess(true);
                // The callee's share is under way still.
                let share = calls[CALLEE].poll_stream().expect("its share");
                calls[CALLER].handle_stream(Time::ZERO, &share);
                drop(calls[CALLER].poll_stream());
            },
        ];
        acts.iter().take(steps).for_each(|act| act(&mut calls));
        calls
    };
    // To whom, after how many steps, and what may follow.
    let places =
        [(CALLER, 1, vec![18]), (CALLER, 2, vec![15, 18]), (CALLEE, 1, vec![14]), (CALLEE, 2, vec![])];
    for (to, steps, legal) in places {
        for kind in 13..=18 {
            let mut calls = at(steps);
            assert!(calls[1 - to].hostile_control(&message(kind), false));
            let bytes = calls[1 - to].poll_stream().expect("the message");
            calls[to].handle_stream(Time::ZERO, &bytes);
            // The share of 32 equal bytes is no group element, which a caller finds out at once.
            let ends = !legal.contains(&kind) || (to == CALLER && kind == 15);
            assert_eq!(calls[to].is_over(), ends, "kind {kind} to {to} after {steps} steps");
        }
    }
    // After the tag is under way: nothing but the callee's own.
    for kind in [13, 14, 15, 16, 18] {
        let mut calls = at(3);
        assert!(calls[CALLEE].hostile_control(&message(kind), false));
        let bytes = calls[CALLEE].poll_stream().expect("the message");
        calls[CALLER].handle_stream(Time::ZERO, &bytes);
        assert!(calls[CALLER].is_over(), "kind {kind}");
    }
    // A tag that was made up: the one from the caller is lost here.
    let mut calls = at(3);
    assert!(calls[CALLEE].hostile_control(&message(17), false));
    let bytes = calls[CALLEE].poll_stream().expect("the tag");
    calls[CALLER].handle_stream(Time::ZERO, &bytes);
    let ended = Event::Ended { reason: Reason::NotAdmitted, by: EndedBy::Local };
    assert!(std::iter::from_fn(|| calls[CALLER].poll_event()).any(|event| event == ended));
}

#[test]
fn while_the_code_is_being_made_each_of_its_messages_is_heeded_in_its_place_only() {
    for kind in 10..=12 {
        // The caller has committed and waits for a nonce.
        let [mut caller, mut callee] = pair();
        assert!(callee.hostile_control(&message(kind), false));
        let bytes = callee.poll_stream().expect("sender key, ringing and the message");
        caller.handle_stream(Time::ZERO, &bytes);
        assert_eq!((caller.is_over(), caller.code().is_some()), (kind != 11, kind == 11), "kind {kind}");

        // The callee has sent its nonce and waits for the reveal; the right one is not known to whoever writes this.
        let [mut caller, mut callee] = pair();
        let bytes = caller.poll_stream().expect("sender key and commitment");
        callee.handle_stream(Time::ZERO, &bytes);
        assert!(caller.hostile_control(&message(kind), false));
        let bytes = caller.poll_stream().expect("the message");
        callee.handle_stream(Time::ZERO, &bytes);
        assert!(callee.is_over() && callee.code().is_none(), "kind {kind}");
        let failed = Event::CodeFailed(CodeFailure::Forged);
        let told = std::iter::from_fn(|| callee.poll_event()).any(|event| event == failed);
        assert_eq!(told, kind == 12, "kind {kind}");
    }
}

#[test]
fn a_contacts_secret_comes_once_after_the_answer_and_with_the_peers_own_certificate() {
    let violation = Some((Reason::ProtocolError, EndedBy::Local));
    for from in [CALLER, CALLEE] {
        let secret = |side| field(20, &[field(1, &[7; 32]), field(2, &certificate_of(side))].concat());
        let (own, others) = (secret(from), secret(1 - from));
        // What follows shows that both ends rekeyed.
        let after = message(9);
        assert_eq!(end_after_all(from, true, &[(&own, true), (&after, false)]), None);
        assert_eq!(end_after_all(from, true, &[(&own, false), (&after, false)]), violation);
        assert_eq!(end_after_all(from, true, &[(&own, true), (&own, true)]), violation);
        assert_eq!(end_after_all(from, true, &[(&others, true)]), violation);
        assert_eq!(end_after_all(from, false, &[(&own, true)]), violation);
        let mut forged = own.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(end_after_all(from, true, &[(&forged, true)]), violation);
        assert_eq!(end_after(from, true, &field(20, &field(1, &[7; 32]))), violation);
    }
}

#[test]
fn addresses_come_after_the_answer_only_and_eight_at_most() {
    let violation = Some((Reason::ProtocolError, EndedBy::Local));
    let address = [4, 6, 192, 0, 2, 1, 17, 81];
    for from in [CALLER, CALLEE] {
        assert_eq!(end_after(from, true, &field(21, &address.repeat(8))), None);
        assert_eq!(end_after(from, true, &field(21, &[])), None);
        assert_eq!(end_after(from, true, &field(21, &address.repeat(9))), violation);
        assert_eq!(end_after(from, true, &field(21, &[4, 6, 192, 0, 2, 1, 0, 0])), violation);
        assert_eq!(end_after(from, false, &field(21, &address)), violation);
    }
}

#[test]
fn two_messages_in_one_or_none_that_can_be_read_end_the_call() {
    let violation = Some((Reason::ProtocolError, EndedBy::Local));
    for from in [CALLER, CALLEE] {
        let two = [message(7), message(8)].concat();
        assert_eq!(end_after(from, true, &two), violation);
        assert_eq!(end_after(from, true, &[7, 60, 1]), violation);
        // What nobody knows is passed over.
        assert_eq!(end_after(from, true, &field(33, b"grease")), None);
    }
}

#[test]
fn a_sender_key_that_was_sent_before_ends_the_call() {
    let [mut caller, mut callee] = pair();
    let first = caller.poll_stream().expect("the sender key");
    callee.handle_stream(Time::ZERO, &first);
    assert!(!callee.is_over());
    // The bytes once more: their place in the stream is part of what authenticates them.
    callee.handle_stream(Time::ZERO, &first);
    assert!(callee.is_over());
}
