//! Voice on the wire: how a frame travels with copies of earlier ones, and how much of that the network calls for.
//!
//! - [`plan`](AudioPlanner): from what the network is like to frame length, rate and redundancy;
//! - [`bundle`](Bundler): one frame, its copies and padding inside one seal.
//!
//! Guarantee: what a packet looks like from outside follows from the network's state alone, never from what is said.

mod bundle;
mod plan;

pub use bundle::{
    Bundle, BundleError, Bundler, CopiedFrame, Copies, MAX_BUNDLE, MAX_COPIES, MAX_OFFSET, SpokenFrame,
};
pub use plan::{AudioPlan, AudioPlanner, PACKET_OVERHEAD, VoiceNetwork};
