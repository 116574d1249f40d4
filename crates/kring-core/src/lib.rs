//! The Kring protocol without I/O.
#![forbid(unsafe_code)]

pub mod media;
pub mod time;
pub mod varint;
