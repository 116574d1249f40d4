//! Where the two ends of a call may be found besides where they are.
//!
//! Guarantee: nothing of it leaves before the peer is proven, nor before this side has answered (to dial is to have
//! answered); and nothing of the peer's is taken before then.

use super::{Call, Event, Phase};
use crate::control::Message;
use crate::handshake::Role;
use crate::ways::{SessionName, Ways};

impl Call {
    /// Whether what [`tell_ways`](Call::tell_ways) says reaches the peer: the peer is proven and this side has answered.
    #[must_use]
    pub fn may_tell_ways(&self) -> bool {
        let answered = self.phase == Phase::Talking || self.line.role == Role::Caller;
        answered && self.phase != Phase::Over && self.peer().is_some()
    }

    /// Tells the peer where this side may be found, in place of what it was told before. Without effect before this side
    /// [may](Call::may_tell_ways).
    pub fn tell_ways(&mut self, ways: &Ways) {
        if self.may_tell_ways() {
            self.write(&Message::Ways(Box::new(ways.clone())));
        }
    }

    /// Caller: tells the callee which of its sessions with a relay goes with this call. Without effect before the callee is
    /// proven.
    pub fn tell_session(&mut self, name: &SessionName) {
        if self.line.role == Role::Caller && self.may_tell_ways() {
            self.write(&Message::Session(*name));
        }
    }

    pub(super) fn peer_ways(&mut self, ways: Ways) {
        // A callee has to answer first; a caller has, by dialling.
        if self.line.role == Role::Caller && self.phase != Phase::Talking {
            return self.violation("ways before the answer");
        }
        self.event(Event::Ways(Box::new(ways)));
    }

    pub(super) fn peer_session(&mut self, name: SessionName) {
        if self.line.role == Role::Caller {
            return self.violation("a callee's word about a session");
        }
        self.event(Event::Session(name));
    }
}
