//! A peer that walks any implementation of Kring through docs/protocol.md, step by step, and names the section that it
//! failed.
//!
//! As a caller it [dials a ticket](dial), as a callee it [is dialled](answer), over and over, as two clients it meets at a [relay]: first as a good peer that judges all
//! that comes, then as a bad one, where the right answer is a refusal. Each [`Step`] has the section that it is about and,
//! where it failed, what was expected and what came.
//!
//! Guarantee: whatever the other side sends, a walk ends, and holds no more than a call does. Control messages, keys and the
//! order of things are judged by a reading of the paper of its own (`paper`, `side`, the walks); bytes are taken apart by
//! `kring-core`'s decoders, which are fuzzed.
#![forbid(unsafe_code)]

mod answer;
mod contacts;
mod dial;
mod good;
mod hello;
mod judge;
mod link;
mod log;
mod media;
mod messages;
pub mod paper;
mod picture;
mod refusals;
mod relay;
mod side;
mod times;
mod tls;

pub use answer::{By, Invitation, answer};
pub use dial::{dial, dial_over};
pub use log::{Log, Step, Verdict};
pub use relay::relay;

use kring_core::passcode::Passcode;
use std::time::Duration;

/// How a walk is made.
pub struct Options {
    /// How long each thing is waited for. Default 12 s: a little more than the protocol's own 10 s. Where people have to
    /// answer, longer.
    pub patience: Duration,
    /// For a ticket that takes one.
    pub passcode: Option<Passcode>,
    /// The other side keeps this one as a contact, as soon as the two are acquainted (section 12): then it is dialled, or has
    /// to dial, without the ticket as well, and at the same time as this side (11). Default: it does not.
    pub contact: bool,
    /// Also what takes minutes and hours: keys that turn over by the clock, and what ends when something does not come.
    /// Default: not.
    pub long: bool,
    /// Only walks with this in their name, the good call apart.
    pub only: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options { patience: Duration::from_secs(12), passcode: None, contact: false, long: false, only: None }
    }
}

impl Options {
    fn takes(&self, walk: &str) -> bool {
        self.only.as_ref().is_none_or(|only| walk.contains(only.as_str()))
    }
}
