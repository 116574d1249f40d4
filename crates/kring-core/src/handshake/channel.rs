//! The encrypted, ordered channel that a handshake leaves behind, and the frames it travels in.
//!
//! Guarantee: a frame is at most [`MAX_FRAME`] bytes and at most that much is ever buffered; a frame that does not open
//! ends the channel.

use super::HandshakeError;
use snow::{HandshakeState, TransportState};

/// Noise's own limit (section 3), which is also the largest length that two bytes hold.
pub(crate) const MAX_FRAME: usize = 65_535;
const TAG: usize = 16;

/// Appends `message` as a frame.
pub(super) fn put_frame(message: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(message.len()).expect("Noise messages are at most 65,535 bytes");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(message);
}

/// Cuts a stream of bytes into frames.
#[derive(Default)]
pub(crate) struct FrameReader {
    buffer: Vec<u8>,
    taken: usize,
}

impl FrameReader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a frame has begun and is not whole.
    pub(crate) fn is_half(&self) -> bool {
        self.taken < self.buffer.len()
    }

    /// How many bytes are buffered.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole frame of at most `max` bytes; `Err` if a longer one is announced.
    pub(crate) fn next(&mut self, max: usize) -> Result<Option<&[u8]>, TooLong> {
        let Some((len, rest)) = self.buffer[self.taken..].split_first_chunk::<2>() else { return Ok(None) };
        let len = usize::from(u16::from_be_bytes(*len));
        if len > max {
            return Err(TooLong);
        }
        if rest.len() < len {
            return Ok(None);
        }
        let start = self.taken + 2;
        self.taken = start + len;
        Ok(Some(&self.buffer[start..start + len]))
    }
}

/// A frame was announced that is longer than allowed here.
#[derive(Debug)]
pub(crate) struct TooLong;

/// Noise transport state, one direction each way, rekeyed after every message that carried a secret, and replaced by that
/// of a new handshake.
pub(crate) struct Channel {
    state: TransportState,
    /// That of the handshake before, under which the peer still writes.
    reading: Option<TransportState>,
    /// What a dishonest program does to what it says.
    #[cfg(feature = "fuzzing")]
    pub(super) tamper: Option<super::fuzzing::Tamper>,
}

/// A finished handshake's transport state and its hash, which can be had only before.
pub(super) fn transport(state: HandshakeState) -> Result<(TransportState, [u8; 32]), HandshakeError> {
    let hash = state.get_handshake_hash().try_into().map_err(|_| HandshakeError::Noise)?;
    Ok((state.into_transport_mode()?, hash))
}

impl Channel {
    /// The channel and the handshake hash.
    pub(super) fn new(state: HandshakeState) -> Result<(Channel, [u8; 32]), HandshakeError> {
        let (state, hash) = transport(state)?;
        Ok((
            Channel {
                state,
                reading: None,
                #[cfg(feature = "fuzzing")]
                tamper: None,
            },
            hash,
        ))
    }

    /// From now on writes under `fresh`; reads as before until [`read_on`](Self::read_on).
    pub(super) fn write_with(&mut self, fresh: TransportState) {
        let mut old = std::mem::replace(&mut self.state, fresh);
        // Nothing is written with it any more, so the key for that goes at once.
        old.rekey_outgoing();
        self.reading = Some(old);
    }

    /// The peer writes under the new keys as well: those before are gone.
    pub(crate) fn read_on(&mut self) {
        self.reading = None;
    }

    /// From now on reads and writes under `fresh`; the keys before are gone.
    pub(super) fn replace(&mut self, fresh: TransportState) {
        (self.state, self.reading) = (fresh, None);
    }

    /// Seals `plaintext` and appends the frame to `out`; `secret` says that this direction is rekeyed after it.
    pub(crate) fn seal(
        &mut self,
        plaintext: &[u8],
        secret: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), HandshakeError> {
        #[cfg(feature = "fuzzing")]
        if let Some(tamper) = &mut self.tamper {
            let Some((plaintext, secret)) = tamper(plaintext, secret) else { return Ok(()) };
            return self.write(&plaintext, secret, out);
        }
        self.write(plaintext, secret, out)
    }

    fn write(&mut self, plaintext: &[u8], secret: bool, out: &mut Vec<u8>) -> Result<(), HandshakeError> {
        let mut message = vec![0; plaintext.len() + TAG];
        let len = self.state.write_message(plaintext, &mut message)?;
        put_frame(&message[..len], out);
        if secret && rekeys() {
            self.state.rekey_outgoing();
        }
        Ok(())
    }

    /// Opens one frame. If it carried a secret, [`rekey_incoming`](Self::rekey_incoming) has to follow.
    pub(crate) fn open(&mut self, frame: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, HandshakeError> {
        let mut plaintext = zeroize::Zeroizing::new(vec![0; frame.len()]);
        let len = self.incoming().read_message(frame, &mut plaintext)?;
        plaintext.truncate(len);
        Ok(plaintext)
    }

    pub(crate) fn rekey_incoming(&mut self) {
        if rekeys() {
            self.incoming().rekey_incoming();
        }
    }

    fn incoming(&mut self) -> &mut TransportState {
        self.reading.as_mut().unwrap_or(&mut self.state)
    }
}

#[cfg(not(test))]
const fn rekeys() -> bool {
    true
}

#[cfg(test)]
pub(crate) use without::{rekeys, without_rekeying};

/// For the proof that a test of forward secrecy notices when there is none.
#[cfg(test)]
mod without {
    use std::cell::Cell;

    thread_local!(static REKEYS: Cell<bool> = const { Cell::new(true) });

    pub(crate) fn rekeys() -> bool {
        REKEYS.get()
    }

    pub(crate) fn without_rekeying<T>(f: impl FnOnce() -> T) -> T {
        REKEYS.set(false);
        let out = f();
        REKEYS.set(true);
        out
    }
}
