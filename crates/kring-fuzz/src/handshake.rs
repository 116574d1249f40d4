//! The handshake, with the other side on the fuzzer's bytes: garbage, damaged true messages, and true messages with
//! payloads that no honest side writes.

use kring_core::call::{Call, Timeouts};
use kring_core::fuzzing::{hostile_confirm, hostile_hello, hostile_reply};
use kring_core::handshake::{Accept, HandshakeError, Progress};
use kring_core::offer::Offer;
use kring_core::time::{Time, WallTime};

use crate::input::{Input, damage};
use crate::world::{BINDING, NOW, WORLD, offer, provider};

/// The callee and what claims to be message 1.
pub fn accept(data: &[u8]) {
    let world = &*WORLD;
    let mut input = Input(data);
    let mode = input.below(4);
    let mut bytes = world.hello.clone();
    let mut now = NOW;
    let mut payload = false;
    let damaged = match mode {
        0 => {
            bytes = input.bytes(usize::from(u16::MAX)).to_vec();
            bytes != world.hello
        }
        1 => damage(&mut input, &mut bytes),
        2 => {
            // A clock that is off, and a cut somewhere.
            now = WallTime(input.u64());
            false
        }
        _ => {
            payload = true;
            let payload = input.bytes(2048);
            match hostile_hello(&world.caller, &world.ticket, BINDING, &provider(5), payload) {
                Ok(made) => bytes = made,
                Err(_) => return,
            }
            true
        }
    };
    let mut acceptor = world.acceptor();
    let mut accept = Accept::new(BINDING);
    // In two pieces, as streams come.
    let (head, tail) = bytes.split_at(usize::from(input.u16()) % (bytes.len() + 1));
    let first = accept.handle(head, &mut acceptor, now);
    let result = match first {
        Ok(Progress::Waiting) => accept.handle(tail, &mut acceptor, now),
        other => other,
    };
    let counters = acceptor.counters();
    assert_eq!(counters.completed, 0, "nothing rings after message 1");
    match result {
        Ok(Progress::Done(_)) => panic!("done before confirm"),
        Ok(Progress::Reply(reply)) => {
            let whole = bytes.starts_with(&world.hello);
            assert!(payload || whole || !damaged, "a changed message 1 was answered");
            assert!(now.0.abs_diff(NOW.0) <= 600, "a message 1 of another day was answered");
            assert!(reply.len() <= 2 + 4096);
            let again = Accept::new(BINDING).handle(&bytes, &mut acceptor, now);
            assert_eq!(again.err(), Some(HandshakeError::Replayed));
        }
        Ok(Progress::Waiting) => assert!(damaged && !payload),
        Err(_) => {
            let dropped = counters.unknown_hint + counters.replayed + counters.clock + counters.invalid;
            assert_eq!(dropped, 1);
            assert!(damaged || now != NOW, "a good message 1 was refused");
            let after = accept.handle(&world.hello, &mut acceptor, NOW);
            assert_eq!(after.err(), Some(HandshakeError::Failed));
        }
    }
}

/// The caller and what claims to be message 2.
pub fn dial(data: &[u8]) {
    let world = &*WORLD;
    let mut input = Input(data);
    let mode = input.below(3);
    let (mut dial, hello) = world.dial();
    assert_eq!(hello, world.hello, "the seed decides everything");
    let mut bytes = world.second.clone();
    let damaged = match mode {
        0 => {
            bytes = input.bytes(usize::from(u16::MAX)).to_vec();
            !bytes.starts_with(&world.second)
        }
        1 => damage(&mut input, &mut bytes) && !bytes.starts_with(&world.second),
        _ => {
            let payload = input.bytes(2048);
            match hostile_reply(&world.callee, &world.ticket, BINDING, &provider(6), &hello, payload) {
                Ok(made) => bytes = made,
                Err(_) => return,
            }
            false
        }
    };
    match dial.handle(&bytes, &offer("Anna").encode(), NOW) {
        Ok(Some((session, _))) => {
            assert!(!damaged, "a changed message 2 was taken");
            assert_eq!(session.peer(), world.callee.public(), "someone else answers");
            assert_eq!(session.version(), 1);
            assert!(
                Call::new(session, &world.caller, &offer("Anna"), Timeouts::default(), Time::ZERO).is_ok()
            );
        }
        Ok(None) => assert!(damaged),
        Err(_) => {
            assert!(damaged || mode == 2, "a good message 2 was refused");
            let after = dial.handle(&world.second, b"", NOW);
            assert!(after.is_err(), "a failed handshake goes on");
        }
    }
}

/// The callee and what claims to be `confirm`.
pub fn confirm(data: &[u8]) {
    let world = &*WORLD;
    let mut input = Input(data);
    let mode = input.below(4);
    let mut acceptor = world.acceptor();
    let mut accept = Accept::new(BINDING);
    let Ok(Progress::Reply(second)) = accept.handle(&world.hello, &mut acceptor, NOW) else {
        panic!("an undisturbed message 1 is answered")
    };
    let mut bytes = world.confirm.clone();
    let damaged = match mode {
        0 => {
            bytes = input.bytes(usize::from(u16::MAX)).to_vec();
            !bytes.starts_with(&world.confirm)
        }
        1 => damage(&mut input, &mut bytes) && !bytes.starts_with(&world.confirm),
        2 => {
            // An honest caller's confirm with any offer.
            let (mut dial, _) = world.dial();
            match dial.handle(&second, input.bytes(4096), NOW) {
                Ok(Some((_, made))) => bytes = made,
                _ => panic!("an undisturbed message 2 opens"),
            }
            false
        }
        _ => {
            let (mut dial, _) = world.dial();
            match hostile_confirm(&mut dial, &second, input.bytes(4096)) {
                Ok(made) => bytes = made,
                Err(_) => return,
            }
            false
        }
    };
    match accept.handle(&bytes, &mut acceptor, NOW) {
        Ok(Progress::Done(session)) => {
            assert!(!damaged, "a changed confirm was taken");
            assert_eq!(session.peer(), world.caller.public(), "someone else calls");
            assert_eq!(acceptor.counters().completed, 1);
            let call = Call::new(*session, &world.callee, &Offer::default(), Timeouts::default(), Time::ZERO);
            if let Ok(call) = call {
                crate::parse::check_offer(call.peer_offer());
            }
        }
        Ok(Progress::Reply(_)) => panic!("nothing follows confirm"),
        Ok(Progress::Waiting) => assert!(damaged),
        Err(_) => {
            assert!(damaged || mode >= 2, "a good confirm was refused");
            assert_eq!(acceptor.counters().completed, 0);
            let after = accept.handle(&world.confirm, &mut acceptor, NOW);
            assert_eq!(after.err(), Some(HandshakeError::Failed));
        }
    }
}
