//! What two who talk exchange so that they can call each other again without a ticket.
//!
//! Guarantee: it happens once in a call, after the answer and the proof; a secret comes of it only if both sides take part,
//! and no address is told before this side has answered.

use super::{Call, Event, Phase};
use crate::contact::{ContactKey, ContactOffer};
use crate::control::Message;
use crate::crypto::{CryptoError, Secret32, random_secret};
use crate::handshake::Role;
use crate::identity::Identity;
use crate::mailbox::RelayHint;
use crate::time::WallTime;
use std::net::SocketAddr;
use zeroize::Zeroize;

/// How far the exchange has come.
#[derive(Default)]
pub(super) struct Exchange {
    /// This side's random value, and the Noise key that went with it.
    own: Option<(Secret32, [u8; 32])>,
    peer: Option<ContactOffer>,
    /// Nothing more is taken.
    over: bool,
    key: Option<ContactKey>,
}

impl Call {
    /// Offers the peer to renew the secret by which the two can call each other. If it does so too, there is an
    /// [`Event::ContactKey`]. Without effect before the answer and the proof, and the second time.
    ///
    /// # Errors
    /// [`CryptoError::Random`] without randomness; nothing was sent then.
    pub fn offer_contact(&mut self, identity: &Identity) -> Result<(), CryptoError> {
        if self.phase != Phase::Talking
            || self.peer().is_none()
            || self.contact.over
            || self.contact.own.is_some()
        {
            return Ok(());
        }
        let secret = random_secret(&*self.line.provider)?;
        let key = identity.noise_key();
        self.contact.own = Some((secret.clone(), key.public));
        let certificate = identity.certificate(key);
        self.write(&Message::Contact(Box::new(ContactOffer { secret, certificate })));
        self.agree();
        Ok(())
    }

    /// Tells the peer where this side can be reached; at most 8 addresses. Without effect before the answer and the proof.
    pub fn tell_addresses(&mut self, addresses: &[SocketAddr]) {
        if self.phase == Phase::Talking && self.peer().is_some() {
            self.write(&Message::Reach(addresses.to_vec()));
        }
    }

    /// Tells the peer at which relay this side waits for it from now on. Without effect before the answer and the proof.
    pub fn tell_relay(&mut self, hint: &RelayHint) {
        if self.phase == Phase::Talking && self.peer().is_some() {
            self.write(&Message::Relay(Box::new(hint.clone())));
        }
    }

    /// The new secret, once after [`Event::ContactKey`].
    pub fn take_contact_key(&mut self) -> Option<ContactKey> {
        self.contact.key.take()
    }

    pub(super) fn peer_contact(&mut self, offer: ContactOffer) {
        let certificate = &offer.certificate;
        // Whether it still holds is looked at when it is used.
        let proven = certificate.check(&certificate.noise, WallTime(0)).is_ok();
        let out_of_order = self.phase != Phase::Talking || self.contact.over || self.contact.peer.is_some();
        if out_of_order || !proven || self.peer() != Some(certificate.identity) {
            return self.violation("a contact's secret out of order, or with somebody else's certificate");
        }
        self.contact.peer = Some(offer);
        self.agree();
    }

    pub(super) fn peer_reach(&mut self, addresses: Vec<SocketAddr>) {
        if self.phase == Phase::Talking {
            self.event(Event::Reach(addresses));
        } else {
            self.violation("addresses before the answer");
        }
    }

    pub(super) fn peer_relay(&mut self, hint: Box<RelayHint>) {
        if self.phase == Phase::Talking {
            self.event(Event::Relay(hint));
        } else {
            self.violation("a relay before the answer");
        }
    }

    /// Makes the secret once both parts are there, and wipes what it was made of.
    fn agree(&mut self) {
        if self.contact.own.is_none() || self.contact.peer.is_none() {
            return;
        }
        let exchange = std::mem::take(&mut self.contact);
        let (Some((own, own_noise)), Some(peer)) = (exchange.own, exchange.peer) else { return };
        let secrets = match self.line.role {
            Role::Caller => (&own, &peer.secret),
            Role::Callee => (&peer.secret, &own),
        };
        let noise = (own_noise, peer.certificate.noise);
        let old = (&self.line.by.psk0, self.line.by.generation);
        let key = ContactKey::derive(old, &self.line.handshake_hash, secrets, noise);
        self.line.by.psk0.zeroize();
        self.contact = Exchange { over: true, key: Some(key), ..Exchange::default() };
        self.event(Event::ContactKey);
    }
}
