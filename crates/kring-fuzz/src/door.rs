//! A caller in front of a callee's door, and what either of them says there.
//!
//! Guarantee that is checked: whatever the caller does, nothing rings without the right passcode, once, in a counted guess, or a person
//! who lets in; whatever the callee does, a caller is asked once and gives one guess.

use kring_core::call::{Call, Door, DoorEvent, Event};
use kring_core::control::Reason;
use kring_core::fuzzing::passcode_key;
use kring_core::time::Time;
use std::time::Duration;

use crate::input::{Input, damage};
use crate::world::{offer, pair_at};

/// Most acts of one run.
const MAX_STEPS: usize = 64;

struct At {
    now: Time,
    calls: [Call; 2],
    /// On its way to each.
    streams: [Vec<u8>; 2],
    /// What either has sealed that its own program would not.
    hostile: [bool; 2],
    events: [Vec<Event>; 2],
    door: Vec<DoorEvent>,
}

impl At {
    fn settle(&mut self) {
        for me in 0..2 {
            if self.calls[me].poll_timeout().is_some_and(|due| due <= self.now) {
                self.calls[me].handle_timeout(self.now);
            }
            let bytes = self.calls[me].poll_stream().unwrap_or_default();
            self.streams[1 - me].extend(bytes);
            while self.calls[me].poll_datagram(self.now).is_some() {}
            let call = &mut self.calls[me];
            self.events[me].extend(std::iter::from_fn(|| call.poll_event()));
            assert!(self.calls[me].poll_frame().is_none(), "nobody talks here");
        }
        let callee = &mut self.calls[1];
        self.door.extend(std::iter::from_fn(|| callee.poll_door()));
    }

    fn seen(&self, side: usize, event: &Event) -> usize {
        self.events[side].iter().filter(|seen| *seen == event).count()
    }
}

/// Both ends of a door.
pub fn door(data: &[u8]) {
    let mut input = Input(data);
    let lobby = input.flag();
    let door = if lobby { Door::Lobby } else { Door::Passcode(passcode_key([7; 32])) };
    let mut at = At {
        now: Time::ZERO,
        calls: pair_at(Some(door)),
        streams: Default::default(),
        hostile: [false; 2],
        events: Default::default(),
        door: Vec::new(),
    };
    // What may open it.
    let (mut knew, mut counted, mut admitted) = (false, false, false);
    at.settle();
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        let op = input.u8();
        let me = usize::from(op >> 7);
        match op & 0x0f {
            0..=3 => {
                let bytes = std::mem::take(&mut at.streams[me]);
                at.calls[me].handle_stream(at.now, &bytes);
            }
            4 => {
                let count = usize::from(input.u8()).min(at.streams[me].len());
                let bytes: Vec<u8> = at.streams[me].drain(..count).collect();
                at.calls[me].handle_stream(at.now, &bytes);
            }
            5 => {
                damage(&mut input, &mut at.streams[me]);
            }
            6 => {
                let right = input.flag();
                knew |= right;
                at.calls[0].enter_passcode(&passcode_key([if right { 7 } else { 8 }; 32]));
            }
            7 => {
                let fine = input.flag();
                counted |= fine && at.door.contains(&DoorEvent::Guess);
                at.calls[1].answer_guess(fine);
            }
            8 => {
                admitted = true;
                at.calls[1].admit(at.now);
            }
            9 => at.calls[1].decline(Reason::from_code(input.u8().into())),
            10 => at.calls[1].answer(at.now, &offer("Ben")),
            11 => {
                // Of the right form, with a value of its own.
                let (kind, byte) = (13 + input.u8() % 6, input.u8());
                let message: Vec<u8> = match kind {
                    13 | 18 => vec![kind, 0],
                    14 | 15 => [&[kind, 34, 1, 32][..], &[byte; 32]].concat(),
                    _ => [&[kind, 0x40, 67, 1, 0x40, 64][..], &[byte; 64]].concat(),
                };
                at.hostile[me] |= at.calls[me].hostile_control(&message, false);
            }
            12 => at.hostile[me] |= at.calls[me].hostile_control(input.short(), false),
            13 => at.now += Duration::from_millis(u64::from(input.u16())),
            14 => at.calls[me].hang_up(Reason::HungUp),
            _ => at.calls[me].handle_stream(at.now, input.short()),
        }
        at.settle();
        let [caller, callee] = &at.calls;
        let opened = at.door.contains(&DoorEvent::Admitted);
        // A caller that seals anything still cannot make the tag without the passcode.
        assert!(!opened || admitted || (knew && counted && !lobby), "the door opens by itself");
        assert!(opened || !callee.is_talking(), "answered at the door");
        for once in [DoorEvent::Guess, DoorEvent::Guessed, DoorEvent::Knock, DoorEvent::Admitted] {
            assert!(at.door.iter().filter(|event| **event == once).count() <= 1, "{once:?} twice");
        }
        for once in [Event::PasscodeWanted, Event::Waiting] {
            assert!(at.seen(0, &once) <= 1 && at.seen(1, &once) == 0, "{once:?} twice");
        }
        let rang = at.seen(0, &Event::Ringing) > 0 || caller.is_talking();
        assert!(!rang || opened || at.hostile[1], "it rings at a closed door");
    }
    // Nobody waits for ever.
    for _ in 0..80 {
        at.now += Duration::from_secs(1);
        at.streams = Default::default();
        at.settle();
    }
    assert!(at.calls.iter().all(Call::is_over));
}
