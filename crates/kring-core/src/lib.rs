//! The Kring protocol without I/O.
#![forbid(unsafe_code)]

pub mod crypto;
pub mod handshake;
pub mod identity;
pub mod media;
pub mod ticket;
pub mod time;
pub mod varint;
mod wire;
