//! A callee's door: a passcode, or a person who lets in. Nothing rings before it opens.

use super::*;
use crate::control::Message;
use crate::passcode::{DoorMessage, PasscodeKey};
use zeroize::Zeroizing;

fn key(byte: u8) -> PasscodeKey {
    PasscodeKey(Zeroizing::new([byte; 32]))
}

impl Two {
    /// Up to where a guess with `key` is to be counted.
    fn guessing(key: &PasscodeKey) -> Two {
        let mut two = Two::at(Some(Door::Passcode(self::key(7))));
        two.run(Duration::from_millis(30));
        assert_eq!(two.saw(Role::Caller, &Event::PasscodeWanted), 1);
        two.caller.enter_passcode(key);
        two.run(Duration::from_millis(30));
        assert_eq!(two.door, [DoorEvent::Guess]);
        two
    }

    fn rings(&self) -> bool {
        self.saw(Role::Caller, &Event::Ringing) > 0
    }
}

fn refused(by: EndedBy) -> Option<(Reason, EndedBy)> {
    Some((Reason::NotAdmitted, by))
}

#[test]
fn with_the_right_passcode_it_rings_and_without_it_does_not() {
    let mut two = Two::guessing(&key(7));
    assert!(two.callee.is_at_the_door() && !two.rings());
    two.callee.answer_guess(true);
    two.run(Duration::from_millis(60));
    assert_eq!(two.door, [DoorEvent::Guess, DoorEvent::Guessed, DoorEvent::Admitted]);
    assert!(two.rings() && !two.callee.is_at_the_door());
    two.callee.answer(two.now, &offer("Ben"));
    two.run(Duration::from_millis(30));
    assert!(two.caller.is_talking());

    let mut two = Two::guessing(&key(8));
    two.callee.answer_guess(true);
    two.run(Duration::from_millis(60));
    assert_eq!(two.ended(Role::Callee), refused(EndedBy::Local));
    assert_eq!(two.ended(Role::Caller), refused(EndedBy::Peer));
    assert!(!two.rings());
    assert_eq!(two.door, [DoorEvent::Guess]);
}

#[test]
fn nothing_goes_on_before_the_guess_is_counted() {
    let mut two = Two::guessing(&key(7));
    two.run(Duration::from_secs(2));
    assert!(two.callee.is_at_the_door() && !two.rings());
    two.callee.answer(two.now, &offer("Ben"));
    two.callee.admit(two.now);
    two.run(Duration::from_millis(60));
    assert!(two.callee.is_at_the_door() && !two.caller.is_talking());
}

#[test]
fn one_guess_too_many_waits_for_a_person_instead() {
    let mut two = Two::guessing(&key(7));
    two.callee.answer_guess(false);
    two.run(Duration::from_millis(30));
    assert_eq!(two.saw(Role::Caller, &Event::Waiting), 1);
    assert_eq!(two.door, [DoorEvent::Guess, DoorEvent::Knock]);
    // The passcode is of no use any more.
    two.caller.enter_passcode(&key(7));
    two.run(Duration::from_millis(30));
    assert!(two.callee.is_at_the_door() && !two.rings());
    two.callee.admit(two.now);
    two.run(Duration::from_millis(30));
    assert!(two.rings());
}

#[test]
fn whoever_waits_in_the_lobby_learns_nothing_of_the_call_until_admitted() {
    let mut two = Two::at(Some(Door::Lobby));
    two.run(Duration::from_secs(5));
    assert_eq!(two.caller.peer_offer(), &Offer::default());
    let told: Vec<_> = two.seen.iter().filter(|(role, _)| *role == Role::Caller).map(|(_, e)| e).collect();
    assert!(
        matches!(told[..], [Event::Waiting, Event::Code(_)] | [Event::Code(_), Event::Waiting]),
        "{told:?}"
    );
    // What is said at the door is not passed on either.
    let now = two.now;
    let sent = two.caller.send_audio(0, now, Duration::from_millis(20), 30, b"let me in", &Copies::default());
    assert_eq!(sent, Err(SendError::NotTalking));
    two.callee.decline(Reason::Declined);
    two.run(Duration::from_millis(30));
    assert_eq!(two.ended(Role::Caller), Some((Reason::Declined, EndedBy::Peer)));
    assert!(!two.rings());
}

#[test]
fn nobody_waits_at_the_door_for_ever_and_ringing_has_its_own_time() {
    let mut two = Two::at(Some(Door::Lobby));
    two.run(Duration::from_secs(61));
    assert_eq!(two.ended(Role::Callee).unwrap().0, Reason::NotAnswered);
    let mut two = Two::at(Some(Door::Lobby));
    two.run(Duration::from_secs(50));
    two.callee.admit(two.now);
    two.run(Duration::from_secs(50));
    assert_eq!((two.ended(Role::Caller), two.ended(Role::Callee)), (None, None));
}

#[test]
fn a_callee_that_does_not_know_the_passcode_is_not_believed() {
    let mut two = Two::guessing(&key(7));
    // It answers with a share of another passcode, and says that the caller's tag was right.
    let Ok((_, share)) = crate::passcode::Joiner::begin(&key(8), two.callee_parties(), &AwsLc) else {
        panic!("no randomness")
    };
    two.callee.write(&Message::Door(DoorMessage::CalleeShare(share)));
    two.callee.write(&Message::Door(DoorMessage::CalleeTag([3; 64])));
    two.callee.write(&Message::Ringing);
    two.run(Duration::from_millis(60));
    assert_eq!(two.ended(Role::Caller), refused(EndedBy::Local));
    assert!(!two.rings());
}

impl Two {
    fn callee_parties(&self) -> crate::passcode::Parties {
        crate::passcode::Parties {
            handshake_hash: self.callee.line.handshake_hash,
            caller: self.caller.identity().fingerprint(),
            callee: self.callee.identity().fingerprint(),
        }
    }
}

#[test]
fn a_callee_that_asks_for_a_passcode_and_rings_without_it_breaks_the_protocol() {
    let mut two = Two::at(Some(Door::Passcode(key(7))));
    two.callee.write(&Message::Ringing);
    two.run(Duration::from_millis(30));
    assert_eq!(two.ended(Role::Caller), Some((Reason::ProtocolError, EndedBy::Local)));
}

#[test]
fn a_passcode_asked_for_twice_or_while_it_rings_breaks_the_protocol() {
    let violation = Some((Reason::ProtocolError, EndedBy::Local));
    let mut two = Two::at(Some(Door::Passcode(key(7))));
    two.callee.write(&Message::Door(DoorMessage::PasscodeWanted));
    two.run(Duration::from_millis(30));
    assert_eq!(two.ended(Role::Caller), violation);
    for late in [DoorMessage::PasscodeWanted, DoorMessage::Wait] {
        let mut two = Two::new();
        two.callee.write(&Message::Door(late));
        two.run(Duration::from_millis(30));
        assert_eq!(two.ended(Role::Caller), violation, "{late:?}");
    }
}
