//! Before it rings: a callee that wants a passcode first, or lets callers wait until somebody admits them.
//!
//! Guarantee: nothing rings, is answered or carries media before the door has opened, and a caller in front of it learns nothing of
//! the call but that; one connection gives one guess, which is answered only once [`Call::answer_guess`] says that it was counted.

use super::{Call, EndedBy, Event, Phase};
use crate::control::{Message, Reason};
use crate::handshake::Role;
use crate::passcode::{DoorMessage, Host, Joined, Joiner, Parties, PasscodeKey};
use crate::time::Time;

/// What stands between a proven caller and the bell.
pub enum Door {
    /// The ticket's passcode.
    Passcode(PasscodeKey),
    /// A person who lets in.
    Lobby,
}

/// What happens at a callee's door, for whoever keeps it: an app hears nothing of a call before it rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorEvent {
    /// A guess at the passcode came; count and keep it, then [`Call::answer_guess`].
    Guess,
    /// That guess was right, and is to be given back.
    Guessed,
    /// The caller waits for a person to [let it in](Call::admit).
    Knock,
    /// The caller has passed the door, and it rings.
    Admitted,
}

/// How far the two have come at the callee's door.
pub(super) enum Threshold {
    /// There is none, or it is passed.
    Open,
    /// Callee: has asked for the passcode.
    Asked(PasscodeKey),
    /// Callee: has a guess that is not counted yet.
    Guessed(PasscodeKey, [u8; 32]),
    /// Callee: has answered it.
    Answered(Host),
    /// Callee: waits for a person. Caller: so it was told.
    Waits,
    /// Caller: is asked for the passcode.
    Wanted,
    /// Caller: has sent its share.
    Shared(Joiner),
    /// Caller: has sent its tag.
    Tagged(Joined),
    /// Caller: its passcode was the right one.
    Passed,
}

impl Call {
    /// Callee: whether the caller is in front of the [door](Call::at_the_door) still.
    #[must_use]
    pub fn is_at_the_door(&self) -> bool {
        self.phase == Phase::Door
    }

    /// Callee: what happened at the door next.
    pub fn poll_door(&mut self) -> Option<DoorEvent> {
        self.door_events.pop_front()
    }

    pub(super) fn close_door(&mut self, door: Door) {
        self.phase = Phase::Door;
        match door {
            Door::Passcode(key) => {
                self.threshold = Threshold::Asked(key);
                self.write(&Message::Door(DoorMessage::PasscodeWanted));
            }
            Door::Lobby => self.send_to_lobby(),
        }
    }

    /// Callee, after [`DoorEvent::Guess`]: the guess is counted and kept, so it may be answered; or it is one too many, and the caller
    /// waits until a person [admits](Call::admit) it.
    pub fn answer_guess(&mut self, counted: bool) {
        if !matches!(self.threshold, Threshold::Guessed(..)) || self.phase != Phase::Door {
            return;
        }
        let Threshold::Guessed(key, share) = std::mem::replace(&mut self.threshold, Threshold::Waits) else {
            return;
        };
        if !counted {
            return self.send_to_lobby();
        }
        let (Some(parties), provider) = (self.parties(), self.line.provider.clone()) else { return };
        match Host::answer(&key, parties, &share, &*provider) {
            Ok(Some((host, share))) => {
                self.threshold = Threshold::Answered(host);
                self.write(&Message::Door(DoorMessage::CalleeShare(share)));
            }
            Ok(None) => self.violation("a passcode's share that is none"),
            Err(_) => self.hang_up(Reason::GoingAway),
        }
    }

    fn send_to_lobby(&mut self) {
        self.threshold = Threshold::Waits;
        self.write(&Message::Door(DoorMessage::Wait));
        self.door_events.push_back(DoorEvent::Knock);
    }

    /// Callee: a person lets in whoever waits. Without effect unless somebody waits.
    pub fn admit(&mut self, now: Time) {
        if self.phase == Phase::Door && matches!(self.threshold, Threshold::Waits) {
            self.open_door(now);
        }
    }

    fn open_door(&mut self, now: Time) {
        self.threshold = Threshold::Open;
        self.phase = Phase::Ringing;
        self.began = now;
        self.write(&Message::Ringing);
        self.door_events.push_back(DoorEvent::Admitted);
    }

    /// Caller, after [`Event::PasscodeWanted`]: tries `key`. There is one try in a call.
    pub fn enter_passcode(&mut self, key: &PasscodeKey) {
        if self.phase != Phase::Ringing || !matches!(self.threshold, Threshold::Wanted) {
            return;
        }
        let Some(parties) = self.parties() else { return };
        match Joiner::begin(key, parties, &*self.line.provider) {
            Ok((joiner, share)) => {
                self.threshold = Threshold::Shared(joiner);
                self.write(&Message::Door(DoorMessage::CallerShare(share)));
            }
            Err(_) => self.hang_up(Reason::GoingAway),
        }
    }

    /// Caller: it rings now, at last. Says whether that is in order.
    pub(super) fn door_opened(&mut self, now: Time) -> bool {
        match self.threshold {
            Threshold::Open => true,
            Threshold::Waits | Threshold::Passed => {
                self.threshold = Threshold::Open;
                self.began = now;
                true
            }
            _ => false,
        }
    }

    fn parties(&self) -> Option<Parties> {
        let (own, peer) = (self.identity().fingerprint(), self.peer()?.fingerprint());
        let (caller, callee) = match self.line.role {
            Role::Caller => (own, peer),
            Role::Callee => (peer, own),
        };
        Some(Parties { handshake_hash: self.line.handshake_hash, caller, callee })
    }

    pub(super) fn door_message(&mut self, now: Time, message: DoorMessage) {
        let threshold = std::mem::replace(&mut self.threshold, Threshold::Open);
        match (self.line.role, self.phase, threshold, message) {
            (Role::Caller, Phase::Ringing, Threshold::Open, DoorMessage::PasscodeWanted) if !self.rang => {
                self.threshold = Threshold::Wanted;
                self.event(Event::PasscodeWanted);
            }
            (Role::Caller, Phase::Ringing, Threshold::Shared(joiner), DoorMessage::CalleeShare(share)) => {
                let Some((joined, tag)) = joiner.answered(&share) else {
                    return self.violation("a passcode's share that is none");
                };
                self.threshold = Threshold::Tagged(joined);
                self.write(&Message::Door(DoorMessage::CallerTag(tag)));
            }
            (Role::Caller, Phase::Ringing, Threshold::Tagged(joined), DoorMessage::CalleeTag(tag)) => {
                // It said that this side's was right without knowing what is right.
                if !joined.holds(&tag) {
                    return self.hang_up(Reason::NotAdmitted);
                }
                self.threshold = Threshold::Passed;
            }
            (
                Role::Caller,
                Phase::Ringing,
                Threshold::Open | Threshold::Wanted | Threshold::Shared(_),
                DoorMessage::Wait,
            ) if !self.rang => {
                self.threshold = Threshold::Waits;
                self.event(Event::Waiting);
            }
            (Role::Callee, Phase::Door, Threshold::Asked(key), DoorMessage::CallerShare(share)) => {
                self.threshold = Threshold::Guessed(key, share);
                self.door_events.push_back(DoorEvent::Guess);
            }
            (Role::Callee, Phase::Door, Threshold::Answered(host), DoorMessage::CallerTag(tag)) => {
                match host.admit(&tag) {
                    Some(tag) => {
                        self.write(&Message::Door(DoorMessage::CalleeTag(tag)));
                        self.door_events.push_back(DoorEvent::Guessed);
                        self.open_door(now);
                    }
                    None => {
                        self.write(&Message::Decline(Reason::NotAdmitted));
                        self.end(Reason::NotAdmitted, EndedBy::Local);
                    }
                }
            }
            _ => self.violation("a message at the door out of order"),
        }
    }
}
