//! What one side says, where others may read it, so that those who know it find it: on the local network, and in the DHT.
//!
//! Guarantee: who shares no secret with whoever says it learns neither who that is nor whom it knows, and cannot make a record
//! that is believed; reading is bounded, and a record is a hint only: who is really there, the handshake proves.

mod dht;
mod lan;
#[cfg(all(test, feature = "aws-lc"))]
mod tests;

#[cfg(feature = "fuzzing")]
pub(crate) use dht::relay_in;
pub use dht::{DHT_VALUE, DhtKey, MAX_DAYS, days};
pub use lan::{LanKey, LanRecord, MAX_TAGS, TAG};

/// Why a record counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRecord {
    /// It is of a version that is not known here.
    #[error("expected a record of version 1, came version {came}; update Kring to use it")]
    Version {
        /// The first byte.
        came: u8,
    },
    /// It is not built as a record is.
    #[error("expected a record as docs/protocol.md, section 15, has it; this is none, and is passed over")]
    Malformed,
    /// It does not authenticate under the secret.
    #[error("the record was not made by whoever shares the secret, and is passed over")]
    Forged,
}
