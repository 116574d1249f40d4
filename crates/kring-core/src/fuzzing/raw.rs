//! A side of the protocol without rules of its own: it writes whatever it is told to, and reads whatever comes.
//!
//! Guarantee: what it reads goes through the same decoders as everybody's; it decides nothing about what it has read.

use crate::call::Report;
use crate::crypto::{CryptoError, Provider, Secret32, read_header};
use crate::handshake::{HandshakeError, builder};
use crate::identity::{Certificate, CertificateError, Fingerprint, Identity, NoiseKey, PublicIdentity};
use crate::offer::Offer;
use crate::passcode::{Joined, Joiner, Parties, PasscodeKey};
use crate::rate::Feedback;
use crate::ticket::Ticket;
use crate::time::WallTime;
use crate::verify::Code;
use crate::wire::{self, Fields};
use snow::{HandshakeState, TransportState};
use std::sync::Arc;

/// The longest message of Noise (section 3 of its paper).
const MAX_MESSAGE: usize = 65_535;

/// A Noise handshake whose payloads, prologue and pre-shared key are the holder's affair.
pub struct RawHandshake(HandshakeState);

impl RawHandshake {
    /// The side that begins, towards the holder of `callee`.
    ///
    /// # Errors
    /// Without randomness.
    pub fn initiator(
        provider: &Arc<dyn Provider>,
        own: &Identity,
        callee: &[u8; 32],
        prologue: &[u8],
        psk0: &Secret32,
    ) -> Result<RawHandshake, HandshakeError> {
        let state = builder(provider, true)
            .local_private_key(&*own.noise_key().secret())?
            .remote_public_key(callee)?
            .prologue(prologue)?
            .psk(0, psk0)?
            .build_initiator()?;
        Ok(RawHandshake(state))
    }

    /// The side that answers.
    ///
    /// # Errors
    /// Without randomness.
    pub fn responder(
        provider: &Arc<dyn Provider>,
        own: &Identity,
        prologue: &[u8],
        psk0: &Secret32,
    ) -> Result<RawHandshake, HandshakeError> {
        let state = builder(provider, false)
            .local_private_key(&*own.noise_key().secret())?
            .prologue(prologue)?
            .psk(0, psk0)?
            .build_responder()?;
        Ok(RawHandshake(state))
    }

    /// The next message with any payload.
    ///
    /// # Errors
    /// If it does not fit, or is not this side's turn.
    pub fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut message = vec![0; MAX_MESSAGE];
        let len = self.0.write_message(payload, &mut message)?;
        message.truncate(len);
        Ok(message)
    }

    /// The payload of the other side's message. After an error the handshake is of no use any more.
    ///
    /// # Errors
    /// If it does not open.
    pub fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut payload = vec![0; message.len()];
        let len = self.0.read_message(message, &mut payload)?;
        payload.truncate(len);
        Ok(payload)
    }

    /// The Noise key of the other side, as far as it is known.
    #[must_use]
    pub fn remote_static(&self) -> Option<[u8; 32]> {
        self.0.get_remote_static()?.try_into().ok()
    }

    /// After message 2: the channel, and the handshake hash.
    ///
    /// # Errors
    /// Before that.
    pub fn finish(self) -> Result<(RawChannel, [u8; 32]), HandshakeError> {
        let hash = self.0.get_handshake_hash().try_into().map_err(|_| HandshakeError::Noise)?;
        Ok((RawChannel(self.0.into_transport_mode()?), hash))
    }
}

/// Noise transport messages, rekeyed when the holder says so.
pub struct RawChannel(TransportState);

impl RawChannel {
    /// # Errors
    /// If it is too long for a message.
    pub fn seal(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut message = vec![0; plaintext.len() + 16];
        let len = self.0.write_message(plaintext, &mut message)?;
        message.truncate(len);
        Ok(message)
    }

    /// # Errors
    /// If it does not open; the counter stays where it is then.
    pub fn open(&mut self, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut plaintext = vec![0; message.len()];
        let len = self.0.read_message(message, &mut plaintext)?;
        plaintext.truncate(len);
        Ok(plaintext)
    }

    pub fn rekey_outgoing(&mut self) {
        self.0.rekey_outgoing();
    }

    pub fn rekey_incoming(&mut self) {
        self.0.rekey_incoming();
    }
}

/// The fields of a message; `None` if it is malformed.
#[must_use]
pub fn fields(bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    Fields(bytes).collect::<Result<_, _>>().ok()
}

/// The number that makes up all of a field's value.
#[must_use]
pub fn number(value: &[u8]) -> Option<u64> {
    wire::number(value).ok()
}

/// Appends a field.
pub fn put(kind: u64, value: &[u8], out: &mut Vec<u8>) {
    wire::put(kind, value, out);
}

/// Appends a field that holds one number.
pub fn put_number(kind: u64, value: u64, out: &mut Vec<u8>) {
    wire::put_number(kind, value, out);
}

/// # Errors
/// If it is of another length.
pub fn certificate(bytes: &[u8]) -> Result<Certificate, CertificateError> {
    Certificate::decode(bytes)
}

/// # Errors
/// If it proves nothing about `noise` at `now`.
pub fn check_certificate(
    certificate: &Certificate,
    noise: &[u8; 32],
    now: WallTime,
) -> Result<(), CertificateError> {
    certificate.check(noise, now)
}

/// A certificate over any Noise key, with any end.
#[must_use]
pub fn certify(identity: &Identity, noise: [u8; 32], not_after: WallTime) -> Vec<u8> {
    let mut out = Vec::new();
    identity.certificate(&NoiseKey::of_public(noise, not_after)).encode(&mut out);
    out
}

/// An identity's newest Noise key.
#[must_use]
pub fn noise_key(identity: &Identity) -> [u8; 32] {
    identity.noise_key().public
}

#[must_use]
pub fn sign(identity: &Identity, message: &[u8]) -> [u8; 64] {
    identity.sign(message)
}

#[must_use]
pub fn verify(identity: &PublicIdentity, message: &[u8], signature: &[u8; 64]) -> bool {
    identity.verify(message, signature)
}

/// What a ticket says to whoever dials with it: the callee's Noise key and psk0.
#[must_use]
pub fn dialling(ticket: &Ticket) -> ([u8; 32], Secret32) {
    (*ticket.noise(), ticket.psk0())
}

#[must_use]
pub fn offer(bytes: &[u8]) -> Option<Offer> {
    Offer::decode(bytes).ok()
}

/// KID, counter and length of an SFrame header.
#[must_use]
pub fn sframe_header(sframe: &[u8]) -> Option<(u64, u64, usize)> {
    read_header(sframe)
}

/// All that a report says.
#[derive(Clone, Debug, Default)]
pub struct ReportRead {
    /// Its counts, if it has all of them.
    pub counts: Option<Report>,
    pub arrivals: Option<Feedback>,
    /// Of each track with pictures: which was decoded last, and whether something was lost since.
    pub pictures: Vec<(u8, Option<u32>, bool)>,
}

#[must_use]
pub fn report(bytes: &[u8]) -> Option<ReportRead> {
    Report::read(bytes)
}

/// The code of a call, from a handshake hash and both nonces.
#[must_use]
pub fn code(handshake_hash: &[u8; 32], caller: &[u8; 32], callee: &[u8; 32]) -> Code {
    Code::new(handshake_hash, caller, callee)
}

/// A caller in front of a door with a passcode.
pub struct Guest(Joiner);

/// The same, with its tag sent.
pub struct Tagged(Joined);

impl Guest {
    /// Its share is to be sent.
    ///
    /// # Errors
    /// Without randomness.
    pub fn begin(
        key: &PasscodeKey,
        handshake_hash: [u8; 32],
        (caller, callee): (Fingerprint, Fingerprint),
        provider: &dyn Provider,
    ) -> Result<(Guest, [u8; 32]), CryptoError> {
        let (joiner, share) = Joiner::begin(key, Parties { handshake_hash, caller, callee }, provider)?;
        Ok((Guest(joiner), share))
    }

    /// Takes the callee's share; its tag is to be sent. `None` if that was no share.
    #[must_use]
    pub fn answered(self, share: &[u8; 32]) -> Option<(Tagged, [u8; 64])> {
        let (joined, tag) = self.0.answered(share)?;
        Some((Tagged(joined), tag))
    }
}

impl Tagged {
    /// Whether the callee knows the passcode.
    #[must_use]
    pub fn holds(self, tag: &[u8; 64]) -> bool {
        self.0.holds(tag)
    }
}
