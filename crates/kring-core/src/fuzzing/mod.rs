//! Doors for `kring-fuzz` and `kring-conform`: decoders that stand behind encryption, and a peer that seals what no honest
//! one would.
//!
//! Guarantee: compiled with the feature `fuzzing` only, and nothing here weakens what is compiled without it.
#![allow(missing_docs)]

pub mod raw;

use crate::contact::ContactKey;
use crate::control::Message;
use crate::crypto::{CryptoError, KEM_CIPHERTEXT_LEN, KemKey, OpenFrame, Provider, SealFrame, Secret32};
use crate::handshake::Role;
use crate::identity::{Certificate, CertificateError, Identity};
use crate::mailbox::RelayHint;
use crate::offer::Offer;
use crate::passcode::PasscodeKey;
use crate::time::WallTime;
use crate::verify::{Code, CodeExchange, Step};

pub use crate::handshake::fuzzing::{hostile_confirm, hostile_hello, hostile_reply};

/// Randomness that is all zeros, so that the GREASE beside a message is always the same.
struct Zeros;

impl Provider for Zeros {
    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        out.fill(0);
        Ok(())
    }

    fn kem_generate(&self) -> Result<Box<dyn KemKey>, CryptoError> {
        Err(CryptoError::Kem)
    }

    fn kem_encapsulate(&self, _: &[u8], _: &mut [u8; KEM_CIPHERTEXT_LEN]) -> Result<Secret32, CryptoError> {
        Err(CryptoError::Kem)
    }

    fn sealer(&self, _: u64, _: &Secret32) -> Box<dyn SealFrame> {
        unreachable!("no frame is sealed without randomness")
    }

    fn opener(&self, _: u64, _: &Secret32) -> Box<dyn OpenFrame> {
        unreachable!("no frame is opened without randomness")
    }
}

/// The known control message in `bytes`, encoded again.
#[must_use]
pub fn control(bytes: &[u8]) -> Option<Vec<u8>> {
    let message = Message::decode(bytes).ok()??;
    Some(message.encode(&Zeros).ok()?.to_vec())
}

#[must_use]
pub fn offer(bytes: &[u8]) -> Option<Offer> {
    Offer::decode(bytes).ok()
}

/// The certificate in `bytes`, encoded again, and whether it holds for `noise` at `now`.
#[must_use]
pub fn certificate(
    bytes: &[u8],
    noise: &[u8; 32],
    now: WallTime,
) -> Option<(Vec<u8>, Result<(), CertificateError>)> {
    let certificate = Certificate::decode(bytes).ok()?;
    let mut out = Vec::new();
    certificate.encode(&mut out);
    Some((out, certificate.check(noise, now)))
}

/// The relay in what stands inside a value of the DHT.
#[must_use]
pub fn relay_in(plain: &[u8]) -> Option<RelayHint> {
    crate::find::relay_in(plain).ok()
}

/// A contact's secret of the first generation, by two bytes.
#[must_use]
pub fn contact_key(old: u8, random: u8) -> ContactKey {
    let secret = |n| Secret32::new([n; 32]);
    let random = secret(random);
    ContactKey::derive((&secret(old), 0), &[1; 32], (&random, &random), ([2; 32], [3; 32]))
}

/// The certificate over an identity's newest Noise key.
#[must_use]
pub fn certificate_of(identity: &Identity) -> Vec<u8> {
    let mut out = Vec::new();
    identity.certificate(identity.noise_key()).encode(&mut out);
    out
}

/// One end of the exchange of a call's code, with the plaintexts of control messages for a wire.
pub struct CodeEnd(CodeExchange);

/// What became of a message to a [`CodeEnd`].
#[derive(Debug, Default)]
pub struct Taken {
    /// The answer.
    pub answer: Option<Vec<u8>>,
    pub code: Option<Code>,
    /// It was none, or not in order.
    pub refused: bool,
}

impl CodeEnd {
    /// Begins, and what is to be said first.
    ///
    /// # Errors
    /// Without randomness.
    pub fn begin(
        role: Role,
        handshake_hash: [u8; 32],
        provider: &dyn Provider,
    ) -> Result<(CodeEnd, Option<Vec<u8>>), CryptoError> {
        let (exchange, first) = CodeExchange::begin(role, handshake_hash, provider)?;
        Ok((CodeEnd(exchange), first.and_then(|first| plain(Message::Code(first)))))
    }

    pub fn take(&mut self, message: &[u8], provider: &dyn Provider) -> Taken {
        let Ok(Some(Message::Code(message))) = Message::decode(message) else {
            return Taken { refused: true, ..Taken::default() };
        };
        match self.0.take(message, provider) {
            Ok(Step::Nothing) => Taken::default(),
            Ok(Step::Send(answer)) => Taken { answer: plain(Message::Code(answer)), ..Taken::default() },
            Ok(Step::Reveal(answer, code)) => {
                Taken { answer: plain(Message::Code(answer)), code: Some(code), refused: false }
            }
            Ok(Step::Code(code)) => Taken { code: Some(code), ..Taken::default() },
            Err(_) => Taken { refused: true, ..Taken::default() },
        }
    }

    pub fn give_up(&mut self) -> bool {
        self.0.give_up()
    }
}

/// A passcode's key without the time that it takes to make one.
#[must_use]
pub fn passcode_key(bytes: [u8; 32]) -> PasscodeKey {
    PasscodeKey(zeroize::Zeroizing::new(bytes))
}

fn plain(message: Message) -> Option<Vec<u8>> {
    message.encode(&Zeros).ok().map(|bytes| bytes.to_vec())
}
