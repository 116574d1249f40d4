//! How a call of the facade may end, for one side and in the light of the other's end.
//!
//! Guarantee: every end is known, has a cause in the script or the network, and fits the other side's.

use crate::check;
use crate::scenario::{Action, Reaction, Scenario};
use kring::{End, EndedBy};
use kring_core::control::Reason;
use kring_core::handshake::Role;
use std::fmt;

/// How it ended for one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As the call said.
    Call(End),
    /// It never rang.
    NeverReached,
    /// The program was gone.
    Crashed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Call(end) => write!(f, "{end:?}"),
            Outcome::NeverReached => f.write_str("never reached"),
            Outcome::Crashed => f.write_str("crashed"),
        }
    }
}

impl Outcome {
    /// In the words of the simulator's first mode. `after` says whether the other side had ended before.
    pub(super) fn summary(&self, who: Role, after: bool) -> check::End {
        let over = |reason, by| check::End::Over { reason, by };
        let callee_does =
            |reason| over(reason, if who == Role::Callee { EndedBy::Local } else { EndedBy::Peer });
        match self {
            Outcome::Crashed => check::End::Crashed,
            Outcome::NeverReached => check::End::NeverReached,
            Outcome::Call(end) => match end {
                End::HungUp { by } => over(Reason::HungUp, *by),
                End::GoingAway { by } => over(Reason::GoingAway, *by),
                End::ProtocolError { by } => over(Reason::ProtocolError, *by),
                End::Declined { by } => over(Reason::Declined, *by),
                End::Busy => callee_does(Reason::Busy),
                End::NotAnswered => over(Reason::NotAnswered, EndedBy::Local),
                // Who ended later may have been told so, or found the connection gone.
                End::Vanished if after => over(Reason::Vanished, EndedBy::Peer),
                End::Vanished => over(Reason::Vanished, EndedBy::Network),
                End::BothDialled => over(Reason::BothDialled, EndedBy::Peer),
                End::Other(code) => over(Reason::from_code(*code), EndedBy::Peer),
                _ => check::End::NoHandshake,
            },
        }
    }
}

/// What a judge of ends knows of the call.
pub(super) struct Facts<'a> {
    pub(super) scenario: &'a Scenario,
    /// Whether nothing disturbs.
    pub(super) calm: bool,
    pub(super) crossing: bool,
    /// Whether both talked.
    pub(super) connected: bool,
}

impl Facts<'_> {
    /// Whether `own` is something that may have come to `who` when the other side's end is `other`.
    pub(super) fn fits(&self, who: Role, own: &Outcome, other: &Outcome) -> bool {
        let calm = self.calm;
        let Outcome::Call(end) = own else {
            return match own {
                Outcome::Crashed => self.scenario.does(who, Action::Crash),
                _ => who == Role::Callee && !self.connected,
            };
        };
        // Two calls that cross may cost each other much on a bad network; when they have met, they are one.
        let loose = self.crossing && !self.connected;
        match end {
            End::HungUp { by: EndedBy::Local } | End::GoingAway { by: EndedBy::Local } => self.hangs_up(who),
            End::HungUp { by: EndedBy::Peer } | End::GoingAway { by: EndedBy::Peer } => {
                let same = matches!(
                    (end, other),
                    (End::HungUp { .. }, Outcome::Call(End::HungUp { by: EndedBy::Local }))
                        | (End::GoingAway { .. }, Outcome::Call(End::GoingAway { by: EndedBy::Local }))
                );
                same || loose && self.hangs_up(who.other())
            }
            End::Declined { by: EndedBy::Local } => {
                who == Role::Callee && (self.declines() || self.hangs_up(who))
            }
            End::Declined { by: EndedBy::Peer } => {
                *other == Outcome::Call(End::Declined { by: EndedBy::Local }) || loose
            }
            End::Busy => {
                let busy = self.scenario.reaction_is(Reason::Busy);
                busy && (who == Role::Callee || *other == Outcome::Call(End::Busy))
            }
            End::NotAnswered => !self.connected,
            End::BothDialled => loose && !calm,
            End::Vanished | End::Unreachable(_) | End::Handshake(_) => !calm,
            // Nobody here revokes a ticket, lacks a codec, has a wrong clock or breaks the protocol.
            _ => false,
        }
    }

    fn hangs_up(&self, who: Role) -> bool {
        self.scenario.script.iter().any(|step| step.who == who && matches!(step.what, Action::HangUp(_)))
    }

    fn declines(&self) -> bool {
        matches!(self.scenario.reaction, Reaction::Decline(_, reason) if reason != Reason::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LOCAL: EndedBy = EndedBy::Local;
    const PEER: EndedBy = EndedBy::Peer;

    fn fits(link: &str, who: Role, own: End, other: End) -> bool {
        let mut scenario = Scenario::new(5, Some(&link.parse().expect("a network")));
        scenario.reaction = Reaction::Decline(Duration::ZERO, Reason::Declined);
        scenario.people.iter_mut().for_each(|person| person.pace = None);
        scenario.script.retain(|step| step.who == Role::Caller && matches!(step.what, Action::HangUp(_)));
        let facts =
            Facts { scenario: &scenario, calm: scenario.is_calm(), crossing: false, connected: false };
        facts.fits(who, &Outcome::Call(own), &Outcome::Call(other))
    }

    #[test]
    fn an_end_needs_a_cause() {
        let fits = |who, own, other| fits("delay=20", who, own, other);
        assert!(fits(Role::Caller, End::HungUp { by: LOCAL }, End::Vanished));
        assert!(!fits(Role::Callee, End::HungUp { by: LOCAL }, End::Vanished), "the callee hangs up never");
        assert!(fits(Role::Callee, End::HungUp { by: PEER }, End::HungUp { by: LOCAL }));
        assert!(!fits(Role::Callee, End::HungUp { by: PEER }, End::NotAnswered), "nobody hung up");
        assert!(fits(Role::Caller, End::Declined { by: PEER }, End::Declined { by: LOCAL }));
        assert!(!fits(Role::Caller, End::Busy, End::Busy), "it was declined, not busy");
        for never in [End::Refused, End::ClockOff, End::ProtocolError { by: PEER }, End::Other(67)] {
            assert!(!fits(Role::Caller, never.clone(), never));
        }
    }

    #[test]
    fn only_a_bad_network_makes_someone_vanish() {
        assert!(!fits("delay=20", Role::Caller, End::Vanished, End::Vanished));
        assert!(fits("delay=20,loss=50", Role::Caller, End::Vanished, End::Vanished));
    }
}
