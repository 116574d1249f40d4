//! What hostile input must not do to Kring: one function for each fuzz target.
//!
//! Guarantee: each function drives the code that is shipped, panics only if that code breaks a promise, and does
//! the same for the same bytes on every run.
//!
//! The functions run in two places: under libFuzzer with a nightly compiler (`fuzz/`), and on stable in this
//! crate's tests, which replay `fuzz/corpus` and change its files at random with a fixed seed.
#![forbid(unsafe_code)]

mod call;
mod door;
mod files;
mod find;
mod handshake;
mod input;
mod lists;
mod media;
pub mod mutate;
mod parse;
mod paths;
mod rate;
mod relay;
pub mod seeds;
mod verify;
mod video;
mod world;

pub use call::call;
pub use door::door;
pub use files::{wav, y4m};
pub use find::{dht_value, lan_record};
pub use handshake::{accept, confirm, dial};
pub use lists::{contacts, passcodes, tickets};
pub use media::{jitter, reassembler, video_buffer};
pub use parse::{bundle, certificate, control, frame_header, identity, offer, packet, report, ticket};
pub use paths::{paths, set_up};
pub use rate::rate;
pub use relay::{relay_message, relay_packet};
pub use verify::{code, scan};
pub use video::h264;
pub use world::{certificate_of, offer as an_offer, pair, pair_at};

/// What a target does with its bytes.
pub type Run = fn(&[u8]);

/// Every target by its name, which is also that of its corpus in `fuzz/corpus` and of its file in
/// `fuzz/fuzz_targets`.
pub const TARGETS: &[(&str, Run)] = &[
    ("accept", accept),
    ("bundle", bundle),
    ("call", call),
    ("certificate", certificate),
    ("code", code),
    ("confirm", confirm),
    ("contacts", contacts),
    ("control", control),
    ("dht_value", dht_value),
    ("dial", dial),
    ("door", door),
    ("frame_header", frame_header),
    ("h264", h264),
    ("identity", identity),
    ("jitter", jitter),
    ("lan_record", lan_record),
    ("offer", offer),
    ("packet", packet),
    ("passcodes", passcodes),
    ("paths", paths),
    ("rate", rate),
    ("reassembler", reassembler),
    ("relay_message", relay_message),
    ("relay_packet", relay_packet),
    ("report", report),
    ("scan", scan),
    ("set_up", set_up),
    ("ticket", ticket),
    ("tickets", tickets),
    ("video_buffer", video_buffer),
    ("wav", wav),
    ("y4m", y4m),
];
