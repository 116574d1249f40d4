//! Keys that turn over while people talk: a fresh sender key every five minutes, a fresh handshake every hour.
//!
//! Guarantee: nothing is sealed under a key before the peer has said that it holds it, so no frame waits for one; what was
//! replaced is dropped at once, or 2 s after the peer has changed over; a peer that does not take part ends the call, so
//! that no key outlives its time unseen.

use super::{Call, Phase};
use crate::control::Message;
use crate::crypto::random_secret;
use crate::handshake::{HandshakeError, Renew, Renewal, Renewed, Role};
use crate::identity::Identity;
use crate::time::Time;
use std::sync::Arc;
use std::time::Duration;

/// How long keys of a call are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLifetimes {
    /// Of what this side seals its media with: default 5 min.
    pub sender_key: Duration,
    /// Of what a handshake agreed on; the caller begins the next: default 1 h.
    pub handshake: Duration,
}

impl Default for KeyLifetimes {
    fn default() -> KeyLifetimes {
        KeyLifetimes { sender_key: Duration::from_secs(300), handshake: Duration::from_secs(3600) }
    }
}

/// How long the peer may take to answer, while it is heard.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// A callee that was not asked for a new handshake for so long ends the call.
pub(super) const LATEST_HANDSHAKE: Duration = Duration::from_secs(90 * 60);
/// A handshake costs some tenth of a millisecond; a peer gets no more than one in that time.
const SOONEST_HANDSHAKE: Duration = Duration::from_secs(1);

/// How far a new handshake is.
enum Stage {
    Done,
    /// Caller: `renewed` is awaited.
    Asked(Box<Renewal>),
    /// Callee: `switched` is awaited.
    Answered,
    /// Callee: the first message under the new keys is awaited, which proves that the caller has them.
    Switched,
}

/// When keys turn over, and what is awaited of the peer meanwhile.
pub(super) struct Turnover {
    identity: Arc<Identity>,
    lifetimes: KeyLifetimes,
    /// When this side announces its next sender key.
    next_key: Time,
    /// Since when it has been waiting for the peer to take one.
    announced: Option<Time>,
    stage: Stage,
    /// When the stage was reached.
    since: Time,
    /// Callee: when it last answered. (When it was told that the caller has switched may be much later.)
    answered: Option<Time>,
    /// Since when a control message has begun and is not whole.
    half: Option<Time>,
    /// No deadline is over before that: the peer was not heard for a while.
    grace: Time,
}

impl Turnover {
    pub(super) fn new(identity: Arc<Identity>, now: Time) -> Turnover {
        let lifetimes = KeyLifetimes::default();
        Turnover {
            identity,
            lifetimes,
            next_key: now + lifetimes.sender_key,
            announced: None,
            stage: Stage::Done,
            since: now,
            answered: None,
            half: None,
            grace: now,
        }
    }

    #[cfg(test)]
    pub(super) fn identity(&self) -> Arc<Identity> {
        self.identity.clone()
    }

    /// Asks for no new handshake any more.
    #[cfg(test)]
    pub(super) fn postpone(&mut self) {
        self.lifetimes.handshake = Duration::from_secs(1 << 32);
    }

    /// A control message has begun and is not whole, or none is any more.
    pub(super) fn half_message(&mut self, is_half: bool, now: Time) {
        self.half = is_half.then(|| self.half.unwrap_or(now));
    }

    /// The peer is heard again: what it owes may still be on its way.
    pub(super) fn resumed(&mut self, now: Time) {
        self.grace = now + PATIENCE;
    }

    /// When this side announces a sender key or begins a handshake.
    fn next_step(&self, role: Role) -> Option<Time> {
        let key = self.announced.is_none().then_some(self.next_key);
        let begins = role == Role::Caller && matches!(self.stage, Stage::Done);
        let handshake = begins.then(|| self.since + self.lifetimes.handshake);
        key.into_iter().chain(handshake).min()
    }

    /// When the peer has taken too long.
    fn deadline(&self, role: Role) -> Option<Time> {
        let owed = [self.announced, self.half].map(|since| since.map(|at| at + PATIENCE));
        let handshake = match self.stage {
            Stage::Done if role == Role::Callee => Some(self.since + LATEST_HANDSHAKE),
            Stage::Done => None,
            _ => Some(self.since + PATIENCE),
        };
        owed.into_iter().flatten().chain(handshake).min().map(|at| at.max(self.grace))
    }
}

impl Call {
    /// Shortens the time for which this side's keys are used; a longer time than the default has no effect. Below two
    /// seconds for a handshake the peer may refuse.
    pub fn set_key_lifetimes(&mut self, now: Time, lifetimes: KeyLifetimes) {
        let most = KeyLifetimes::default();
        let turnover = &mut self.turnover;
        turnover.lifetimes = KeyLifetimes {
            sender_key: lifetimes.sender_key.min(most.sender_key),
            handshake: lifetimes.handshake.min(most.handshake),
        };
        turnover.next_key = turnover.next_key.min(now + turnover.lifetimes.sender_key);
    }

    /// When [`turn_over`](Call::turn_over) has something to do.
    pub(super) fn turnover_due(&self) -> Option<Time> {
        if self.phase != Phase::Talking || self.peer().is_none() {
            return None;
        }
        let role = self.line.role;
        // Nobody can answer while nothing passes.
        let deadline = self.turnover.deadline(role).filter(|_| !self.interrupted);
        self.turnover.next_step(role).into_iter().chain(deadline).min()
    }

    /// Announces a sender key, begins a handshake, or gives up a peer that does not take part.
    pub(super) fn turn_over(&mut self, now: Time) {
        let role = self.line.role;
        if self.turnover.deadline(role).is_some_and(|at| now >= at) && !self.interrupted {
            return self.violation("an answer, or the rest of a message, that does not come");
        }
        if self.turnover.announced.is_none() && now >= self.turnover.next_key {
            self.announce_key(now);
        }
        let begins = role == Role::Caller && matches!(self.turnover.stage, Stage::Done);
        if begins && now >= self.turnover.since + self.turnover.lifetimes.handshake {
            self.begin_handshake(now);
        }
    }

    fn announce_key(&mut self, now: Time) {
        self.turnover.next_key = now + self.turnover.lifetimes.sender_key;
        match random_secret(&*self.line.provider) {
            Ok(secret) => {
                let key = self.own.announce_next(&self.turnover.identity, secret);
                self.turnover.announced = Some(now);
                self.write(&Message::SenderKey(key));
            }
            Err(_) => self.give_up("a sender key"),
        }
    }

    /// The peer holds the sender key that was announced: from now on it is used.
    pub(super) fn key_taken(&mut self, rotation: u8) {
        if self.turnover.announced.is_none() || !self.own.switch(rotation) {
            return self.violation("a sender key taken that was not announced");
        }
        self.turnover.announced = None;
        self.stats.sender_keys += 1;
    }

    fn begin_handshake(&mut self, now: Time) {
        match self.line.renew(&self.turnover.identity) {
            Ok((renewal, renew)) => {
                self.turn_to(Stage::Asked(Box::new(renewal)), now);
                self.write(&Message::Renew(renew));
            }
            Err(_) => self.give_up("a handshake"),
        }
    }

    /// Callee: the caller asks for a new handshake.
    pub(super) fn renew(&mut self, now: Time, renew: &Renew) {
        let turnover = &self.turnover;
        let soon = turnover.answered.is_some_and(|last| now.since(last) < SOONEST_HANDSHAKE);
        let in_turn = matches!(turnover.stage, Stage::Done) && !soon;
        if self.line.role == Role::Caller || self.phase != Phase::Talking || !in_turn {
            return self.violation("a new handshake out of turn");
        }
        let (identity, to_stream) = (self.turnover.identity.clone(), &mut self.to_stream);
        let answered = self.line.answer_renewal(&identity, renew, |line, renewed| {
            let bytes = Message::Renewed(renewed).encode(&*line.provider)?;
            line.channel.seal(&bytes, false, to_stream)
        });
        match answered {
            Ok(()) => {
                self.turnover.answered = Some(now);
                self.turn_to(Stage::Answered, now);
            }
            Err(error) => self.failed(error),
        }
    }

    /// Caller: the callee has answered.
    pub(super) fn renewed(&mut self, now: Time, renewed: &Renewed) {
        let Stage::Asked(renewal) = std::mem::replace(&mut self.turnover.stage, Stage::Done) else {
            return self.violation("an answer to no handshake");
        };
        let to_stream = &mut self.to_stream;
        let finished = self.line.finish_renewal(*renewal, renewed, |line| {
            let bytes = Message::Switched.encode(&*line.provider)?;
            line.channel.seal(&bytes, false, to_stream)
        });
        match finished {
            Ok(()) => self.handshake_done(now),
            Err(error) => self.failed(error),
        }
    }

    /// Callee: what the caller writes from here on is under the new keys.
    pub(super) fn switched(&mut self, now: Time) {
        if !matches!(self.turnover.stage, Stage::Answered) {
            return self.violation("a switch of keys without a handshake");
        }
        self.line.channel.read_on();
        self.turn_to(Stage::Switched, now);
    }

    /// A control message was opened.
    pub(super) fn opened(&mut self, now: Time) {
        if matches!(self.turnover.stage, Stage::Switched) {
            self.handshake_done(now);
        }
    }

    fn handshake_done(&mut self, now: Time) {
        self.turn_to(Stage::Done, now);
        self.stats.handshakes += 1;
        // The next sender key is the first that travels under the new keys.
        self.turnover.next_key = now;
        if self.turnover.announced.is_none() {
            self.announce_key(now);
        }
    }

    fn turn_to(&mut self, stage: Stage, now: Time) {
        (self.turnover.stage, self.turnover.since) = (stage, now);
    }

    fn failed(&mut self, error: HandshakeError) {
        tracing::debug!(reason = %error, "a new handshake failed");
        self.violation("a new handshake that fails");
    }

    fn give_up(&mut self, what: &'static str) {
        tracing::warn!(what, "no randomness for new keys");
        self.hang_up(crate::control::Reason::GoingAway);
    }
}
