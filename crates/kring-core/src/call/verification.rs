//! Who the peer of a call is taken for, and the code by which people find out.
//!
//! Guarantee: the exchange of the code begins once and only with a proven peer; that it failed is told once. While the proven
//! identity is not the expected one, nothing is sent and nothing given out, until a person accepts it.

use super::{Call, Event};
use crate::control::{Message, Reason};
use crate::identity::PublicIdentity;
use crate::time::Time;
use crate::verify::{
    CODE_DEADLINE, Code, CodeError, CodeExchange, CodeFailure, CodeMessage, Pin, Step, Trust,
};

pub(super) struct Verification {
    /// This side.
    own: PublicIdentity,
    exchange: CodeExchange,
    deadline: Time,
    code: Option<Code>,
    /// Whom this side expects.
    pin: Option<Pin>,
    /// A person has accepted that it is somebody else.
    accepted: bool,
}

impl Verification {
    pub(super) fn new(own: PublicIdentity, exchange: CodeExchange, now: Time) -> Verification {
        Verification { own, exchange, deadline: now + CODE_DEADLINE, code: None, pin: None, accepted: false }
    }
}

impl Call {
    /// Who this side is.
    #[must_use]
    pub fn identity(&self) -> PublicIdentity {
        self.verification.own
    }

    /// The call's code, once both sides have done their part.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.verification.code
    }

    /// Says whom this side takes the other for, as far as it knows somebody. Where the peer is, or proves to be, another, the call is
    /// held: [`Event::KeyChanged`].
    pub fn expect(&mut self, pin: Option<Pin>) {
        self.verification.pin = pin;
        self.verification.accepted = false;
        self.judge();
    }

    /// What is known of the peer; `None` before it has proven itself.
    #[must_use]
    pub fn trust(&self) -> Option<Trust> {
        let peer = self.peer()?;
        if self.verification.accepted {
            return Some(Trust::Unverified);
        }
        Some(Trust::of(&peer, self.verification.pin.as_ref()))
    }

    /// A person accepts that the peer is another than was expected: it counts as unverified from now on. Without effect
    /// otherwise.
    pub fn accept_changed_key(&mut self) {
        self.verification.accepted |= self.is_held();
    }

    /// A person has compared the code or the safety number: the peer counts as verified from now on. Without effect while
    /// the peer is not proven, or its key has changed.
    pub fn mark_verified(&mut self) {
        if let Some(identity) = self.peer().filter(|_| !self.is_held()) {
            self.verification.pin = Some(Pin { identity, verified: true });
            self.verification.accepted = false;
        }
    }

    /// Whether no media is exchanged because the peer is not the one expected.
    pub(super) fn is_held(&self) -> bool {
        self.trust().is_some_and(|trust| !trust.has_media())
    }

    pub(super) fn judge(&mut self) {
        if let Some(trust) = self.trust().filter(|trust| !trust.has_media() && !self.is_over()) {
            self.event(Event::KeyChanged(trust));
        }
    }

    pub(super) fn code_message(&mut self, message: CodeMessage) {
        let provider = self.line.provider.clone();
        match self.verification.exchange.take(message, &*provider) {
            Ok(Step::Nothing) => {}
            Ok(Step::Send(answer)) => self.write(&Message::Code(answer)),
            Ok(Step::Reveal(reveal, code)) => {
                self.write(&Message::Code(reveal));
                self.code_known(code);
            }
            Ok(Step::Code(code)) => self.code_known(code),
            Err(CodeError::OutOfOrder) => self.violation("a message of the code out of order"),
            Err(CodeError::Forged) => {
                self.event(Event::CodeFailed(CodeFailure::Forged));
                self.violation("a reveal that does not fit its commitment");
            }
            // Without it nothing can go on.
            Err(CodeError::Random) => self.hang_up(Reason::GoingAway),
        }
    }

    fn code_known(&mut self, code: Code) {
        self.verification.code = Some(code);
        self.event(Event::Code(code));
    }

    /// When waiting for the code ends.
    pub(super) fn code_due(&self) -> Option<Time> {
        self.verification.exchange.waits().then_some(self.verification.deadline)
    }

    pub(super) fn code_timeout(&mut self, now: Time) {
        let late = now >= self.verification.deadline && self.peer().is_some();
        if late && self.verification.exchange.give_up() {
            self.event(Event::CodeFailed(CodeFailure::NotInTime));
        }
    }
}
