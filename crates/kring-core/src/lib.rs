//! The Kring protocol without I/O: no sockets, threads, clocks or `unsafe`. Time, bytes and randomness are passed in,
//! so a whole call runs in virtual time.
//!
//! The way of a call through this crate:
//!
//! 1. The callee [issues a ticket](ticket::Ticket::issue) and [adds it](handshake::Acceptor::add) to its acceptor.
//! 2. The caller [dials](handshake::Dial), the callee [accepts](handshake::Accept); each ends with a
//!    [`Session`](handshake::Session), which exists only once the other side is proven.
//! 3. A [`Call`](call::Call) made from the session rings, is answered, carries sealed frames and ends.
//! 4. The two people compare the call's [`Code`](verify::Code), or once for all their
//!    [`SafetyNumber`](verify::SafetyNumber).
//! 5. Opened frames go through a [`JitterBuffer`](media::JitterBuffer) or [`VideoBuffer`](media::VideoBuffer) to
//!    a decoder.
//!
//! The bytes on the wire are described in docs/protocol.md.
#![forbid(unsafe_code)]

mod address;
pub mod call;
pub mod contact;
pub mod control;
pub mod crypto;
pub mod find;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod handshake;
pub mod identity;
pub mod issued;
mod kept;
pub mod keys;
pub mod lobby;
pub mod mailbox;
pub mod media;
pub mod offer;
#[cfg(all(test, feature = "aws-lc"))]
mod official;
pub mod passcode;
pub mod rate;
pub mod ticket;
pub mod time;
pub mod varint;
#[cfg(all(test, feature = "aws-lc", feature = "pure-rust"))]
mod vectors;
pub mod verify;
pub mod ways;
mod wire;

pub use kept::KeptError;
