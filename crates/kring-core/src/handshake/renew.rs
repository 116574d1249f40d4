//! A new handshake inside an established session.
//!
//! ```text
//! caller → callee   renew      counter, seed, Noise message 1
//! caller ← callee   renewed    counter, Noise message 2
//! ```
//!
//! Guarantee: both sides are the devices that the call's first handshake proved, and the new keys come from secrets drawn
//! for this handshake alone: whoever holds all of a session's keys from before it, static keys included, and merely
//! listens, can open nothing that comes after it.

use super::channel::transport;
use super::{HandshakeError, Line, MAX_HANDSHAKE_FRAME, VERSION_TEXT, builder};
use crate::crypto::{Secret32, kdf, random_secret};
use crate::identity::Identity;
use crate::wire;
use snow::HandshakeState;

/// The prologue's byte for a handshake inside a session; a call's own has 0.
const MODE_RENEWAL: u8 = 1;

/// Where a session's chain of handshakes stands.
pub(crate) struct Chain {
    /// This side's Noise key and the other's, as the first handshake proved them.
    pub(crate) own: [u8; 32],
    pub(crate) peer: [u8; 32],
    /// How many handshakes there were after the first.
    pub(crate) counter: u64,
    /// The handshake hash of the last one.
    pub(crate) hash: [u8; 32],
}

impl Chain {
    pub(super) fn new(own: [u8; 32], peer: [u8; 32], hash: [u8; 32]) -> Chain {
        Chain { own, peer, counter: 0, hash }
    }

    /// version ‖ mode ‖ counter (8) ‖ hash of the handshake before (32)
    fn prologue(&self, counter: u64) -> Vec<u8> {
        [VERSION_TEXT, &[MODE_RENEWAL], &counter.to_be_bytes(), &self.hash].concat()
    }

    /// What only those know who could read the old channel.
    fn psk(&self, seed: &Secret32) -> Secret32 {
        kdf::extract_expand(&self.hash, &seed[..], "kring renewal psk")
    }
}

/// The caller's first message.
pub(crate) struct Renew {
    pub(crate) counter: u64,
    pub(crate) seed: Secret32,
    pub(crate) message: Vec<u8>,
}

/// The callee's answer.
pub(crate) struct Renewed {
    pub(crate) counter: u64,
    pub(crate) message: Vec<u8>,
}

/// A new handshake under way at the caller.
pub(crate) struct Renewal {
    state: HandshakeState,
    counter: u64,
}

impl Line {
    /// Caller: begins a new handshake.
    pub(crate) fn renew(&self, identity: &Identity) -> Result<(Renewal, Renew), HandshakeError> {
        let chain = &self.chain;
        let counter = chain.counter + 1;
        let key = identity.noise_key_of(&chain.own).ok_or(HandshakeError::Noise)?;
        let seed = random_secret(&*self.provider)?;
        let mut state = builder(&self.provider, true)
            .local_private_key(&*key.secret())?
            .remote_public_key(&chain.peer)?
            .prologue(&chain.prologue(counter))?
            .psk(0, &chain.psk(&seed))?
            .build_initiator()?;
        let message = self.write_renewal(&mut state)?;
        Ok((Renewal { state, counter }, Renew { counter, seed, message }))
    }

    /// Callee: answers `renew`. `announce` is given the answer, to be sealed under the old keys; behind it this side
    /// writes under the new ones, and reads under the old ones until the caller says that it has switched.
    pub(crate) fn answer_renewal(
        &mut self,
        identity: &Identity,
        renew: &Renew,
        announce: impl FnOnce(&mut Line, Renewed) -> Result<(), HandshakeError>,
    ) -> Result<(), HandshakeError> {
        let (counter, chain) = (self.chain.counter + 1, &self.chain);
        if renew.counter != counter {
            return Err(HandshakeError::Malformed);
        }
        let key = identity.noise_key_of(&chain.own).ok_or(HandshakeError::Noise)?;
        let mut state = builder(&self.provider, false)
            .local_private_key(&*key.secret())?
            .prologue(&chain.prologue(counter))?
            .psk(0, &chain.psk(&renew.seed))?
            .build_responder()?;
        read(&mut state, &renew.message)?;
        if state.get_remote_static() != Some(&chain.peer) {
            return Err(HandshakeError::Noise);
        }
        let message = self.write_renewal(&mut state)?;
        let (fresh, hash) = transport(state)?;
        announce(self, Renewed { counter, message })?;
        self.channel.write_with(fresh);
        (self.chain.counter, self.chain.hash) = (counter, hash);
        Ok(())
    }

    /// Caller: takes the answer. `announce` is to seal that this side switches, under the old keys; behind it both
    /// directions are under the new ones.
    pub(crate) fn finish_renewal(
        &mut self,
        mut renewal: Renewal,
        renewed: &Renewed,
        announce: impl FnOnce(&mut Line) -> Result<(), HandshakeError>,
    ) -> Result<(), HandshakeError> {
        if renewed.counter != renewal.counter {
            return Err(HandshakeError::Malformed);
        }
        read(&mut renewal.state, &renewed.message)?;
        let (fresh, hash) = transport(renewal.state)?;
        announce(self)?;
        self.channel.replace(fresh);
        (self.chain.counter, self.chain.hash) = (renewal.counter, hash);
        Ok(())
    }

    /// A message whose payload says nothing.
    fn write_renewal(&self, state: &mut HandshakeState) -> Result<Vec<u8>, HandshakeError> {
        let mut payload = Vec::new();
        wire::put_grease(&*self.provider, &mut payload)?;
        let mut message = vec![0; MAX_HANDSHAKE_FRAME];
        let len = state.write_message(&payload, &mut message)?;
        message.truncate(len);
        Ok(message)
    }
}

/// Reads a message; what its payload says is passed over.
fn read(state: &mut HandshakeState, message: &[u8]) -> Result<(), HandshakeError> {
    if message.len() > MAX_HANDSHAKE_FRAME {
        return Err(HandshakeError::Malformed);
    }
    state.read_message(message, &mut vec![0; message.len()])?;
    Ok(())
}
