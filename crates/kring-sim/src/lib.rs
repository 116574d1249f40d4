//! Whole calls in virtual time: two [`Call`](kring_core::call::Call)s with the real handshake, model codecs and a model
//! network.
//!
//! ```text
//! seed → scenario → world: side ↔ link ↔ side → check
//!                          side: handshake, call, stream, engine (model devices, jitter and frame buffer)
//! ```
//!
//! Guarantee: a seed is one call, bit for bit, wherever it runs; whatever it shows can be shown again.
//!
//! `cargo run -p kring-sim -- --seeds 0..1000` runs many, `--seed 7` tells of one what happened when.
#![forbid(unsafe_code)]

pub mod check;
pub mod codec;
mod engine;
pub mod facade;
pub mod flows;
pub mod link;
pub mod rng;
pub mod scenario;
mod side;
pub mod stream;
pub mod sweep;
pub mod talk;
pub mod trace;
pub mod world;
