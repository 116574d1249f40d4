//! The C ABI of Kring, as `include/kring.h` declares it.
//!
//! Guarantee: whatever a program hands in, short of pointers that point to nothing, an error code comes back and not a crash. Every
//! function is declared in a file of its subject, with the words that stand in the header; docs/c.md is the guide.
//!
//! The crate is also a Rust library, so that tests and benches can link it; that is no interface: Rust programs use `kring`.
#![allow(non_camel_case_types, reason = "types are named as C programs know them")]
#![allow(clippy::missing_safety_doc, reason = "the header's first lines are the contract of all functions")]

mod codec;
mod handle;
#[doc(hidden)]
pub mod measured;
mod own_device;
mod pace;
mod sized;
mod text;

// In the order of the header.
mod version;

mod error;

mod runtime;

mod callback;

mod log;

mod store;

mod home;

mod people;

mod ticket;

mod endpoint;

mod arrivals;

mod incoming;

mod knock;

mod event;

mod call;

mod stats;

mod list;

mod devices;

mod media;

mod audio_source;

mod picture;

mod video_source;

mod audio_sink;

mod video_sink;

mod audio_codec;

mod video_codec;

pub use arrivals::*;
pub use audio_codec::*;
pub use audio_sink::*;
pub use audio_source::*;
pub use call::*;
pub use callback::*;
pub use devices::*;
pub use endpoint::*;
pub use error::*;
pub use event::*;
pub use home::*;
pub use incoming::*;
pub use knock::*;
pub use list::*;
pub use log::*;
pub use media::*;
pub use people::*;
pub use picture::*;
pub use runtime::*;
pub use stats::*;
pub use store::*;
pub use ticket::*;
pub use version::*;
pub use video_codec::*;
pub use video_sink::*;
pub use video_source::*;
