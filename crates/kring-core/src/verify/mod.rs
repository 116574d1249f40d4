//! Whether the person on the other side is the one meant: what two people compare, and what a pin says.
//!
//! Guarantee: values only, the same at both ends and the same on every run; nothing here decides by itself that somebody
//! is trusted.
//!
//! A [`Code`] belongs to one call: four words or five emoji that both read out. Only who controls both handshakes of a machine
//! in the middle could make them agree, by chance, once in 2⁴⁴ or 2³⁰ calls. A [`SafetyNumber`] belongs to two
//! identities and stays the same from call to call; a [`SafetyScan`] is that as a QR code. A [`Pin`] is what this side remembers of
//! somebody, and [`Trust`] what follows from it for a proven identity.

mod code;
mod emoji;
mod exchange;
mod number;
mod pin;
mod scan;

pub use code::Code;
pub use emoji::Emoji;
pub use exchange::{CODE_DEADLINE, CodeFailure};
pub(crate) use exchange::{CodeError, CodeExchange, CodeMessage, Step};
pub use number::SafetyNumber;
pub use pin::{Pin, Trust};
pub use scan::{SafetyMismatch, SafetyScan, ScanError};
