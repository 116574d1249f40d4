//! The caller's side.

use super::channel::put_frame;
use super::{
    Binding, CallId, Chain, Channel, F_CALL_ID, F_CERTIFICATE, F_OFFER, F_TIME, F_VERSION, FrameReader,
    HandshakeError, Key, Line, MAX_HANDSHAKE_FRAME, Role, Session, VERSION, builder,
};
use crate::contact::ContactKey;
use crate::crypto::Provider;
use crate::identity::{Certificate, CertificateError, Fingerprint, Identity, PublicIdentity};
use crate::ticket::Ticket;
use crate::time::WallTime;
use crate::wire::{self, Fields};
use std::sync::Arc;

/// A handshake begun by this side, waiting for message 2.
pub struct Dial {
    state: Option<snow::HandshakeState>,
    reader: FrameReader,
    call_id: CallId,
    callee: Fingerprint,
    by: Key,
    certificate: Certificate,
    provider: Arc<dyn Provider>,
}

impl Dial {
    /// Begins a handshake with the holder of `ticket`. The bytes are to be written to the stream.
    ///
    /// # Errors
    /// [`HandshakeError::Ticket`] for an expired ticket; [`HandshakeError::Crypto`] without randomness.
    pub fn new(
        identity: &Identity,
        ticket: &Ticket,
        binding: Binding,
        now: WallTime,
        provider: &Arc<dyn Provider>,
    ) -> Result<(Dial, Vec<u8>), HandshakeError> {
        ticket.check(now)?;
        Dial::begin(identity, ticket.fingerprint(), Key::of_ticket(ticket), binding, now, provider)
    }

    /// Begins a handshake with a contact, by a secret that the two share. The bytes are to be written to the stream.
    ///
    /// # Errors
    /// [`HandshakeError::Crypto`] without randomness.
    pub fn contact(
        identity: &Identity,
        (contact, key): (PublicIdentity, &ContactKey),
        binding: Binding,
        now: WallTime,
        provider: &Arc<dyn Provider>,
    ) -> Result<(Dial, Vec<u8>), HandshakeError> {
        let key = Key::of_contact(contact, key, false);
        Dial::begin(identity, contact.fingerprint(), key, binding, now, provider)
    }

    fn begin(
        identity: &Identity,
        callee: Fingerprint,
        by: Key,
        binding: Binding,
        now: WallTime,
        provider: &Arc<dyn Provider>,
    ) -> Result<(Dial, Vec<u8>), HandshakeError> {
        let key = identity.noise_key();
        let mut call_id = [0; 16];
        provider.random(&mut call_id)?;
        let mut state = builder(provider, true)
            .local_private_key(&*key.secret())?
            .remote_public_key(&by.callee_noise)?
            .prologue(&binding.prologue())?
            .psk(0, &by.psk0)?
            .build_initiator()?;

        let mut payload = Vec::new();
        wire::put(F_CALL_ID, &call_id, &mut payload);
        wire::put_number(F_TIME, now.0, &mut payload);
        wire::put_number(F_VERSION, VERSION, &mut payload);
        wire::put_grease(&**provider, &mut payload)?;

        let mut message = vec![0; MAX_HANDSHAKE_FRAME];
        let hint = binding.hint(&by.psk0);
        message[..hint.len()].copy_from_slice(&hint);
        let len = hint.len() + state.write_message(&payload, &mut message[hint.len()..])?;
        let mut out = Vec::with_capacity(len + 2);
        put_frame(&message[..len], &mut out);

        let dial = Dial {
            state: Some(state),
            reader: FrameReader::default(),
            call_id: CallId(call_id),
            callee,
            by,
            certificate: identity.certificate(key),
            provider: provider.clone(),
        };
        Ok((dial, out))
    }

    #[cfg(test)]
    pub(crate) fn set_certificate(&mut self, certificate: Certificate) {
        self.certificate = certificate;
    }

    #[cfg(feature = "fuzzing")]
    pub(super) fn take_state(&mut self) -> Option<snow::HandshakeState> {
        self.state.take()
    }

    /// Reads from the stream. Once message 2 is whole and proves the callee, gives the session and the bytes of
    /// `confirm`, which carries `offer`.
    ///
    /// # Errors
    /// Any [`HandshakeError`] but those of [`new`](Dial::new); the handshake is over then.
    pub fn handle(
        &mut self,
        bytes: &[u8],
        offer: &[u8],
        now: WallTime,
    ) -> Result<Option<(Session, Vec<u8>)>, HandshakeError> {
        // Taken out first: after a failed read snow's state must not be used again, and nothing is buffered.
        let mut state = self.state.take().ok_or(HandshakeError::Failed)?;
        self.reader.push(bytes);
        let Some(message) = self.reader.next(MAX_HANDSHAKE_FRAME).map_err(|_| HandshakeError::Malformed)?
        else {
            self.state = Some(state);
            return Ok(None);
        };
        let mut payload = vec![0; message.len()];
        let len = state.read_message(message, &mut payload)?;

        let (mut certificate, mut version) = (None, None);
        for field in Fields(&payload[..len]) {
            match field? {
                (F_CERTIFICATE, value) => certificate = Some(Certificate::decode(value)?),
                (F_VERSION, value) => version = Some(wire::number(value)?),
                _ => {}
            }
        }
        let certificate = certificate.ok_or(HandshakeError::Malformed)?;
        if certificate.identity.fingerprint() != self.callee {
            return Err(CertificateError::OtherIdentity.into());
        }
        certificate.check(&self.by.callee_noise, now)?;
        let version = version.filter(|v| *v == VERSION).ok_or(HandshakeError::Version)?;

        let (mut channel, handshake_hash) = Channel::new(state)?;
        let mut confirm = Vec::new();
        let mut own = Vec::with_capacity(Certificate::LEN);
        self.certificate.encode(&mut own);
        wire::put(F_CERTIFICATE, &own, &mut confirm);
        wire::put(F_OFFER, offer, &mut confirm);
        wire::put_grease(&*self.provider, &mut confirm)?;
        let mut out = Vec::new();
        channel.seal(&confirm, false, &mut out)?;

        let line = Line {
            role: Role::Caller,
            call_id: self.call_id,
            handshake_hash,
            chain: Chain::new(self.certificate.noise, self.by.callee_noise, handshake_hash),
            channel,
            reader: std::mem::take(&mut self.reader),
            provider: self.provider.clone(),
            by: self.by.clone(),
        };
        let session = Session { line, version, peer: certificate.identity, offer: Vec::new() };
        Ok(Some((session, out)))
    }
}
