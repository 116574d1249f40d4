//! Every control message, legal in itself, from either side and in every phase: what is in order is heeded, what is
//! not ends the call with a protocol error, and nothing in between.

use kring_core::call::{Call, EndedBy, Event};
use kring_core::control::Reason;
use kring_core::time::Time;
use kring_fuzz::{an_offer, pair};

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
        32 => vec![],
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
    let mut calls = calls(talking);
    assert!(calls[from].hostile_control(plaintext, false));
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
            for kind in [1, 2, 3, 4, 6, 7, 8, 9, 30, 31, 32, 34] {
                let expected = match kind {
                    4 => by_peer,
                    1 | 2 if from == CALLEE && !talking => None,
                    3 if from == CALLEE && !talking => by_peer,
                    1..=3 | 30.. => violation,
                    _ => None,
                };
                let end = end_after(from, talking, &message(kind));
                assert_eq!(end, expected, "kind {kind} from {from}, talking: {talking}");
            }
        }
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
