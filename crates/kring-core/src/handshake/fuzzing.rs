//! Handshake messages with payloads that no honest side writes, and sessions that say what they should not; for `kring-fuzz`
//! and `kring-conform`.
#![allow(missing_docs)]

use super::channel::put_frame;
use super::{Binding, Channel, Dial, HINT_LEN, HandshakeError, MAX_HANDSHAKE_FRAME, Session, builder};
use crate::crypto::Provider;
use crate::identity::Identity;
use crate::ticket::Ticket;
use std::sync::Arc;

/// What becomes of a message that is to be said, and of whether the channel is rekeyed after it; `None`: it is not said.
pub(crate) type Tamper = Box<dyn FnMut(&[u8], bool) -> Option<(Vec<u8>, bool)> + Send>;

impl Session {
    /// From now on this side's messages are changed before they are sealed.
    #[doc(hidden)]
    pub fn tamper(&mut self, tamper: Tamper) {
        self.line.channel.tamper = Some(tamper);
    }
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&parts.concat(), &mut out);
    out
}

fn write(state: &mut snow::HandshakeState, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let mut message = vec![0; MAX_HANDSHAKE_FRAME];
    let len = state.write_message(payload, &mut message)?;
    message.truncate(len);
    Ok(message)
}

/// Hint and message 1 with any payload.
///
/// # Errors
/// If the payload does not fit.
pub fn hostile_hello(
    identity: &Identity,
    ticket: &Ticket,
    binding: Binding,
    provider: &Arc<dyn Provider>,
    payload: &[u8],
) -> Result<Vec<u8>, HandshakeError> {
    let psk0 = ticket.psk0();
    let mut state = builder(provider, true)
        .local_private_key(&*identity.noise_key().secret())?
        .remote_public_key(ticket.noise())?
        .prologue(&binding.prologue())?
        .psk(0, &psk0)?
        .build_initiator()?;
    Ok(framed(&[&binding.hint(&psk0), &write(&mut state, payload)?]))
}

/// Message 2 with any payload, in answer to a whole frame with hint and message 1.
///
/// # Errors
/// If the payload does not fit or `hello` does not open.
pub fn hostile_reply(
    identity: &Identity,
    ticket: &Ticket,
    binding: Binding,
    provider: &Arc<dyn Provider>,
    hello: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>, HandshakeError> {
    let mut state = builder(provider, false)
        .local_private_key(&*identity.noise_key().secret())?
        .prologue(&binding.prologue())?
        .psk(0, &ticket.psk0())?
        .build_responder()?;
    let message = hello.get(2 + HINT_LEN..).ok_or(HandshakeError::Malformed)?;
    state.read_message(message, &mut vec![0; message.len()])?;
    Ok(framed(&[&write(&mut state, payload)?]))
}

/// `confirm` with any plaintext, in answer to a whole frame with message 2. Ends the dial.
///
/// # Errors
/// If the plaintext does not fit or `second` does not open.
pub fn hostile_confirm(dial: &mut Dial, second: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let mut state = dial.take_state().ok_or(HandshakeError::Failed)?;
    let message = second.get(2..).ok_or(HandshakeError::Malformed)?;
    state.read_message(message, &mut vec![0; message.len()])?;
    let mut out = Vec::new();
    Channel::new(state)?.0.seal(plaintext, false, &mut out)?;
    Ok(out)
}
