//! End-to-end encrypted calls between people's own machines.
#![forbid(unsafe_code)]

mod call;
mod clock;
mod dial;
mod driver;
mod endpoint;
mod engine;
mod event;
mod media;
mod shared;
pub mod store;

pub use call::{Call, Stats};
pub use endpoint::{Endpoint, EndpointBuilder, Incoming};
pub use event::{End, Event, Safety};
pub use kring_core::call::{CallStats, EndedBy, Playout, Report, Timeouts};
pub use kring_core::control::{Offer, TrackInfo, TrackSource, TrackState};
pub use kring_core::handshake::{Counters, HandshakeError};
pub use kring_core::identity::{Fingerprint, Identity, PublicIdentity};
pub use kring_core::ticket::{DEFAULT_LIFETIME, Ticket, TicketError, TicketId};
pub use kring_net::BindError;
pub use media::{CAMERA, MICROPHONE, Media};

/// Sources and sinks: files, tone, test card, and the traits for an app's own.
pub use kring_capture as capture;
/// Codecs, and the traits for an app's own.
pub use kring_codec as codec;
