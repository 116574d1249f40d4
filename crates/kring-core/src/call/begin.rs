//! How a call begins: with a peer who is proven, or ahead of the proof.
//!
//! Guarantee: a call has a peer at once only where a [`Session`] proves one; else the first message on the stream has to.

use super::door::{Door, Threshold};
use super::outbox::Outbox;
use super::pictures::Pictures;
use super::protect::Protection;
use super::receive::Inbox;
use super::rotate::Turnover;
use super::verification::Verification;
use super::{Call, CallStats, DEFAULT_RATE, Peer, Phase, Playout, REPORT_INTERVAL, Timeouts};
use crate::control::Message;
use crate::crypto::random_secret;
use crate::handshake::{Claimed, HandshakeError, Line, Role, Session};
use crate::identity::Identity;
use crate::keys::{Group, OwnKeys, PeerKeys};
use crate::media::Packetiser;
use crate::offer::Offer;
use crate::rate::{RateControl, Share};
use crate::time::Time;
use crate::verify::CodeExchange;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

impl Call {
    /// The call that a session is for. `offer` is the one sent with `confirm`, at the caller; ignored at the callee.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`] if the caller's offer makes no sense; [`HandshakeError::Crypto`] without
    /// randomness.
    pub fn new(
        session: Session,
        identity: &Arc<Identity>,
        offer: &Offer,
        timeouts: Timeouts,
        now: Time,
    ) -> Result<Call, HandshakeError> {
        let mut call = Call::of_session(session, identity, timeouts, now)?;
        match call.line.role {
            Role::Caller => call.set_tracks(offer),
            Role::Callee => call.write(&Message::Ringing),
        }
        call.handle_stream(now, &[]);
        Ok(call)
    }

    /// Callee: has the caller wait in front of `door` before it rings. Until [`DoorEvent::Admitted`](super::DoorEvent::Admitted) there is nothing to
    /// answer; that it can be declined is all.
    ///
    /// # Errors
    /// As for [`new`](Call::new).
    pub fn at_the_door(
        session: Session,
        identity: &Arc<Identity>,
        door: Door,
        timeouts: Timeouts,
        now: Time,
    ) -> Result<Call, HandshakeError> {
        let mut call = Call::of_session(session, identity, timeouts, now)?;
        if call.line.role == Role::Callee {
            call.close_door(door);
        }
        call.handle_stream(now, &[]);
        Ok(call)
    }

    /// Callee: answers whoever holds the ticket, right behind message 2 and before `confirm`. Only for somebody who has
    /// consented to that; and `offer` may name codecs only that every implementation receives.
    ///
    /// What is sent is sealed for the device that message 1 named. The caller has no name ([`peer`](Call::peer) is `None`)
    /// and nothing of what it sends is opened until it has proven itself ([`Event::Proven`](super::Event::Proven)); if it does not within
    /// [`PROOF_DEADLINE`](super::PROOF_DEADLINE), the call ends.
    ///
    /// # Errors
    /// [`HandshakeError::Crypto`] without randomness.
    pub fn ahead(
        claimed: Claimed,
        identity: &Arc<Identity>,
        offer: &Offer,
        timeouts: Timeouts,
        now: Time,
    ) -> Result<Call, HandshakeError> {
        let peer = Peer::Claimed(claimed.claim);
        let mut call = Call::begin(claimed.line, peer, Offer::default(), identity, timeouts, now)?;
        call.write(&Message::Ringing);
        call.answer(now, offer);
        call.handle_stream(now, &[]);
        Ok(call)
    }

    fn of_session(
        session: Session,
        identity: &Arc<Identity>,
        timeouts: Timeouts,
        now: Time,
    ) -> Result<Call, HandshakeError> {
        let peer_offer = Offer::decode(&session.offer)?;
        Call::begin(session.line, Peer::Proven(session.peer), peer_offer, identity, timeouts, now)
    }

    fn begin(
        line: Line,
        peer: Peer,
        peer_offer: Offer,
        identity: &Arc<Identity>,
        timeouts: Timeouts,
        now: Time,
    ) -> Result<Call, HandshakeError> {
        let group = Group::direct(line.call_id, line.handshake_hash);
        let (role, peer_leaf) = (line.role, line.role.other().leaf());
        let provider = &line.provider;
        let own = OwnKeys::new(provider.clone(), group, role.leaf(), random_secret(&**provider)?);
        let peer_keys = PeerKeys::new(provider.clone(), group, peer_leaf);
        let (exchange, commitment) = CodeExchange::begin(role, line.handshake_hash, &**provider)?;
        let mut call = Call {
            inbox: Inbox::new(peer_keys),
            line,
            peer,
            phase: Phase::Ringing,
            timeouts,
            began: now,
            own,
            turnover: Turnover::new(identity.clone(), now),
            tracks: HashMap::new(),
            peer_offer,
            packetiser: Packetiser::default(),
            hushed: Time::ZERO,
            contact: super::contact::Exchange::default(),
            outbox: Outbox::default(),
            pictures: Pictures::default(),
            protection: Protection::default(),
            to_stream: Vec::new(),
            events: VecDeque::new(),
            transport_sequence: 0,
            last_heard: now,
            interrupted: false,
            next_report: now,
            next_counts: now + REPORT_INTERVAL,
            reported: now,
            report_interval: REPORT_INTERVAL,
            hurried: false,
            shown: BTreeMap::new(),
            rate: RateControl::new(now, DEFAULT_RATE),
            share: Share::default(),
            report_frame: 0,
            playout: Playout::default(),
            stats: CallStats::default(),
            scratch: Default::default(),
            threshold: Threshold::Open,
            door_events: VecDeque::new(),
            rang: false,
            verification: Verification::new(identity.public(), exchange, now),
        };
        call.write(&Message::SenderKey(call.own.announce(identity)));
        if let Some(commitment) = commitment {
            call.write(&Message::Code(commitment));
        }
        Ok(call)
    }
}
