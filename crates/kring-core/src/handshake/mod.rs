//! The Noise handshake between two people's devices, on the first QUIC stream.
//!
//! ```text
//! caller → callee   hint ‖ message 1     psk, e, es, e1, s, ss   {call id, time, versions}
//! caller ← callee   message 2            e, ee, ekem1, se        {certificate, version}
//! caller → callee   confirm              first transport message {certificate, offer}
//! ```
//!
//! Guarantee: a [`Session`] exists at the callee only once `confirm` has been opened, so only then does it know that
//! the caller holds the static key that message 1 named; nothing may ring before. Message 1 alone proves too little:
//! it can be replayed, and whoever stole the callee's static key can forge it for any caller. The one exception is a
//! callee who has consented to answer whoever holds the ticket: it may send ahead on a [`Claimed`] channel, which only
//! the holder of that static key can read, but it learns, plays and names nothing before `confirm`.
//!
//! Each message stands in a frame: two bytes of length, big-endian, then the message.

mod accept;
mod channel;
mod dial;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod pass;
mod renew;
mod replay;
#[cfg(all(test, feature = "aws-lc"))]
mod tests;

pub(crate) use accept::Claim;
pub use accept::{Accept, Acceptor, Claimed, Counters, Progress};
#[cfg(test)]
pub(crate) use channel::without_rekeying;
pub(crate) use channel::{Channel, FrameReader};
pub use dial::Dial;
pub(crate) use pass::Key;
pub use pass::Pass;
pub(crate) use renew::{Chain, Renew, Renewal, Renewed};

use crate::crypto::noise::Resolver;
use crate::crypto::{CryptoError, Provider, Secret32, kdf};
use crate::identity::{CertificateError, PublicIdentity};
use crate::ticket::TicketError;
use crate::wire::Malformed;
use snow::params::{
    BaseChoice, CipherChoice, DHChoice, HandshakeChoice, HandshakeModifier, HandshakeModifierList,
    HandshakePattern, HashChoice, KemChoice, NoiseParams,
};
use std::sync::Arc;
use std::time::Duration;

/// The one handshake of this version: identities are hidden, both are proven, the ticket's secret is mixed in first,
/// and ML-KEM-768 stands beside X25519.
pub const NOISE_NAME: &str = "Noise_IKhfs+psk0_25519+MLKEM768_ChaChaPoly_SHA256";
/// What every prologue begins with.
const VERSION_TEXT: &[u8] = b"kring/1\0";
/// The protocol version that this build speaks.
pub const VERSION: u64 = 1;
/// How far message 1's time may be from the callee's clock.
pub const REPLAY_WINDOW: Duration = Duration::from_secs(600);
/// How long either side waits for the other's next message.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Label for TLS's `export_keying_material` (RFC 8446, section 7.5); 32 bytes, empty context.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-kring-1";

/// Length of the hint in bytes.
const HINT_LEN: usize = 16;
/// The longest handshake frame, in bytes; messages 1 and 2 take about 1,400.
const MAX_HANDSHAKE_FRAME: usize = 4096;

const F_CALL_ID: u64 = 1;
const F_TIME: u64 = 2;
const F_VERSION: u64 = 3;
const F_CERTIFICATE: u64 = 4;
const F_OFFER: u64 = 5;

/// 16 random bytes that name a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub [u8; 16]);

/// Which side of the handshake this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Dialled: the Noise initiator, leaf 1.
    Caller,
    /// Was dialled: the Noise responder, leaf 0.
    Callee,
}

impl Role {
    /// The place in a direct call's room of two.
    #[must_use]
    pub const fn leaf(self) -> u8 {
        match self {
            Role::Callee => 0,
            Role::Caller => 1,
        }
    }

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Role {
        match self {
            Role::Callee => Role::Caller,
            Role::Caller => Role::Callee,
        }
    }
}

/// What ties the handshake to the connection below it.
#[derive(Clone, Copy)]
pub enum Binding {
    /// The Noise peers are the QUIC endpoints: 32 bytes exported from TLS with [`EXPORTER_LABEL`]. A machine that ends
    /// TLS in the middle has two of them, so neither side's handshake opens at the other.
    Quic([u8; 32]),
}

impl Binding {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Binding::Quic(exporter) => exporter,
        }
    }

    /// version ‖ mode (0: a call, whose initiator is the caller) ‖ binding.
    pub(crate) fn prologue(&self) -> Vec<u8> {
        [VERSION_TEXT, &[0], self.bytes()].concat()
    }

    pub(crate) fn hint(&self, psk0: &Secret32) -> [u8; HINT_LEN] {
        let full = kdf::hmac(&psk0[..], "kring hint", &[self.bytes()]);
        full[..HINT_LEN].try_into().expect("16 of 32 bytes")
    }
}

/// The encrypted channel between two devices, and what the handshake has settled.
pub(crate) struct Line {
    pub(crate) role: Role,
    pub(crate) call_id: CallId,
    /// Of the call's first handshake, which names its media keys.
    pub(crate) handshake_hash: [u8; 32],
    pub(crate) chain: Chain,
    pub(crate) channel: Channel,
    pub(crate) reader: FrameReader,
    pub(crate) provider: Arc<dyn Provider>,
    /// What let the caller through.
    pub(crate) by: Key,
}

/// Two devices that have proven themselves to each other, and the encrypted channel between them.
pub struct Session {
    pub(crate) line: Line,
    pub(crate) version: u64,
    pub(crate) peer: PublicIdentity,
    /// At the callee: what came with `confirm`.
    pub(crate) offer: Vec<u8>,
}

impl Session {
    /// Who the other side is, proven.
    #[must_use]
    pub fn peer(&self) -> PublicIdentity {
        self.peer
    }

    /// Which side this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.line.role
    }

    /// The call's name.
    #[must_use]
    pub fn call_id(&self) -> CallId {
        self.line.call_id
    }

    /// What let the caller through.
    #[must_use]
    pub fn pass(&self) -> Pass {
        self.line.by.pass
    }

    /// The protocol version that both agreed on.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The caller's ticket is no good.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// No live ticket fits the hint: a stranger, an old ticket, or a machine in the middle of TLS.
    #[error("no live ticket fits: an ended ticket, a stranger, or a machine in the middle of the connection")]
    UnknownHint,
    /// The caller is somebody whom this side has blocked.
    #[error("the caller is blocked")]
    Blocked,
    /// A message did not open.
    #[error("a handshake message does not open: wrong key, or changed on the way")]
    Noise,
    /// A message of a length or form that there is not.
    #[error("a handshake message is malformed")]
    Malformed,
    /// Message 1 was seen before.
    #[error("the first handshake message was seen before")]
    Replayed,
    /// Message 1's time is too far off.
    #[error("the caller's clock is off by {off_by} s, at most {} s are accepted; set both clocks", REPLAY_WINDOW.as_secs())]
    Clock {
        /// By how many seconds.
        off_by: u64,
    },
    /// The two have no version in common.
    #[error("no protocol version in common: this build speaks version {VERSION}")]
    Version,
    /// The peer's certificate proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It failed before; nothing more is read.
    #[error("this handshake failed before")]
    Failed,
}

impl From<Malformed> for HandshakeError {
    fn from(_: Malformed) -> HandshakeError {
        HandshakeError::Malformed
    }
}

impl From<snow::Error> for HandshakeError {
    fn from(_: snow::Error) -> HandshakeError {
        HandshakeError::Noise
    }
}

fn params() -> NoiseParams {
    let modifiers = HandshakeModifierList { list: vec![HandshakeModifier::Hfs, HandshakeModifier::Psk(0)] };
    NoiseParams::new(
        NOISE_NAME.to_owned(),
        BaseChoice::Noise,
        HandshakeChoice { pattern: HandshakePattern::IK, modifiers },
        DHChoice::Curve25519,
        // snow knows no name for ML-KEM; the resolver gives ML-KEM-768 whatever stands here, and the name above is
        // what is hashed.
        Some(KemChoice::Kyber1024),
        CipherChoice::ChaChaPoly,
        HashChoice::SHA256,
    )
}

/// The builder of a handshake of another name, for test vectors.
#[cfg(test)]
pub(crate) fn classical<'a>(name: &str, provider: &Arc<dyn Provider>) -> snow::Builder<'a> {
    let params = name.parse().expect("a Noise protocol that snow knows");
    snow::Builder::with_resolver(params, Box::new(Resolver { provider: provider.clone(), initiator: true }))
}

pub(crate) fn builder<'a>(provider: &Arc<dyn Provider>, initiator: bool) -> snow::Builder<'a> {
    snow::Builder::with_resolver(params(), Box::new(Resolver { provider: provider.clone(), initiator }))
}
